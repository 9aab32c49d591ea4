"""Every option of a run, defined once: name, type, default, help.

Keys are dotted paths of kebab-case words. `*` in a path is a stage number, a role or (at the end)
anything: such a subtree is free-form and passed on unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadgenctl.plan.times import EXAMPLES, Unit

Kind = Literal["bool", "int", "number", "text", "path", "bytes", "tree"]

ROLES = ("chain", "solo", "loadgen")
WAITS = ("block", "cycle", "provision")
"""What has a time limit besides the roles."""
ORIGINS: Mapping[str, str] = {
    "testnet": "https://testnet.agoric.net",
    "devnet": "https://devnet.agoric.net",
    "stage": "https://stage.agoric.net",
}
"""Profile → where its network is described, unless --testnet-origin names another place."""
SDK_BOOTSTRAP = "sdk"
"""The value of `--custom-bootstrap` without a file."""
TRACES = ("xsnap", "kvstore", "swingstore")


@dataclass(frozen=True, slots=True)
class Option:
    """One option. With `default` None it is unset, and the planner decides."""

    key: str
    kind: Kind
    default: Any
    help: str
    group: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    unit: Unit | None = None
    """The unit of a plain number, for an option that is a time and accepts other units, too."""
    bare: str | None = None
    """The value of an option given without one, or as true; None: it needs a value. Such an option
    may also be false, which is the same as not given.
    """

    @property
    def path(self) -> tuple[str, ...]:
        """The key's words."""
        return tuple(self.key.split("."))


WHAT = "What runs"
STAGES = "Stages and load"
WATCH = "Watching"
RESULTS = "Results"
CONTAINERS = "Containers"

OPTIONS: tuple[Option, ...] = (
    Option("sdk", "text", "agoric", "SDK family.", WHAT, choices=("agoric", "sim")),
    Option(
        "revision",
        "text",
        None,
        "Commit id (at least 4 digits), tag or branch of the SDK. Default: HEAD, the repository's"
        " default branch.",
        WHAT,
    ),
    Option("sdk-repo", "text", None, "Git repository of the SDK: URL or path.", WHAT),
    Option("src", "path", None, "Use this SDK checkout as it is. It is never reset.", WHAT),
    Option(
        "profile",
        "text",
        "local",
        "Network that the chain node joins. `local` creates a new chain.",
        WHAT,
        choices=("local", *ORIGINS),
    ),
    Option(
        "testnet-origin",
        "text",
        None,
        "URL or folder with the network's network-config and genesis.json. Requires a --profile"
        " other than local.",
        WHAT,
    ),
    Option(
        "monitor",
        "bool",
        True,
        "Run a chain node. With --no-monitor, only client and load run on the network, and the"
        " results contain no blocks, slogs or chain samples.",
        WHAT,
    ),
    Option(
        "use-state-sync",
        "bool",
        False,
        "Start the node from a snapshot of the network instead of replaying all blocks.",
        WHAT,
    ),
    Option(
        "provision-command",
        "text",
        None,
        "Shell command that makes the network provision the client. The client's address is in"
        " $LOADGENCTL_ADDRESS. Without it, provision the client by hand.",
        WHAT,
    ),
    Option(
        "custom-bootstrap",
        "path",
        None,
        "Bootstrap configuration (JSON) of the local chain, or of the network's chain for a node"
        " that replays it. Without a file: the SDK's own configuration for load generators.",
        WHAT,
        bare=SDK_BOOTSTRAP,
    ),
    Option(
        "chain.snapshot-interval",
        "int",
        None,
        "Blocks between two state-sync snapshots of the local chain. Default: no snapshots.",
        WHAT,
        minimum=1,
    ),
    Option(
        "client",
        "text",
        "solo",
        "What the load acts through. `solo` is a client kernel. `wallet` uses smart wallets of the"
        " local chain, without a client.",
        WHAT,
        choices=("solo", "wallet"),
    ),
    Option(
        "chain.compute-limit",
        "int",
        None,
        "Computrons that a block of the local chain may use. It is set in the genesis. Default:"
        " 65000000 with --client wallet (as on Agoric's main network), else the SDK's default.",
        WHAT,
        minimum=1,
    ),
    Option(
        "sim-config",
        "path",
        None,
        "Speeds and faults of the simulated SDK (TOML). Requires --sdk sim.",
        WHAT,
    ),
    Option(
        "stages",
        "int",
        6,
        "Number of stages. The chain restarts between stages.",
        STAGES,
        minimum=1,
    ),
    Option(
        "stage.duration",
        "number",
        360,
        "Minutes of a stage with load, counted from its start. Or a time with units, such as"
        f" {EXAMPLES}.",
        STAGES,
        unit="min",
    ),
    Option(
        "stage.load-duration",
        "number",
        None,
        "Minutes under load, counted from the beginning of the load. All stages get the same load,"
        " however long they take to start. Use it instead of --stage.duration.",
        STAGES,
        minimum=0.01,
    ),
    Option(
        "stage.loadgen.*",
        "tree",
        None,
        "Load config, e.g. --stage.loadgen.faucet.interval 10. Tasks: faucet, amm, vault. Settings:"
        " interval, wait, limit. With cycles N, a stage ends after N cycles. Default: faucet every"
        " 60 s in `run`, no load in `up`.",
        STAGES,
    ),
    Option(
        "stage.save-storage",
        "bool",
        None,
        "Save the chain's storage at the end of every stage. --no-stage.save-storage: of none.",
        STAGES,
    ),
    Option(
        "stage.*.duration",
        "number",
        None,
        "Minutes of stage N. Default: --stage.duration, or 0 if the stage is chain-only. -1: until"
        " interrupted.",
        STAGES,
        unit="min",
    ),
    Option(
        "stage.*.load-duration",
        "number",
        None,
        "Minutes under load of stage N. Use it instead of --stage.N.duration.",
        STAGES,
        minimum=0.01,
    ),
    Option(
        "stage.*.loadgen.*",
        "tree",
        None,
        "Load config of stage N. --stage.N.loadgen alone uses the shared load config."
        " --no-stage.N.loadgen runs the chain alone.",
        STAGES,
    ),
    Option(
        "stage.*.chain-only",
        "bool",
        None,
        "Run the chain alone in stage N. Default: on for the first and the last stage, unless they"
        " have a load config.",
        STAGES,
    ),
    Option(
        "stage.*.save-storage",
        "bool",
        None,
        "Save the chain's storage at the end of stage N. Default: on for stage 0 and"
        " stages with load.",
        STAGES,
    ),
    Option("chain-only", "bool", None, "Run the chain alone in every stage.", STAGES),
    Option(
        "reset",
        "bool",
        True,
        "Start from a fresh chain. --no-reset continues with the existing state folder.",
        STAGES,
    ),
    Option("fail-fast", "bool", False, "End the run at the first failed cycle.", STAGES),
    Option(
        "monitor-interval",
        "number",
        5,
        "Minutes between full samples.",
        WATCH,
        minimum=0.01,
        unit="min",
    ),
    Option(
        "sample-interval",
        "number",
        5,
        "Seconds between light samples (containers, kernel).",
        WATCH,
        minimum=1,
        unit="s",
    ),
    Option(
        "trace",
        "text",
        None,
        f"Traces of chain and client to record beside the slog: {', '.join(TRACES)}. Without a"
        " value: all.",
        WATCH,
        bare=",".join(TRACES),
    ),
    Option(
        "acceptance-integration-message-file",
        "path",
        None,
        "File shared with the SDK's acceptance tests. `ready` is written to it when the node has"
        " caught up. The last stage ends when it contains `stop`.",
        WATCH,
    ),
    Option("slog-codec", "text", "gzip", "Compression of slogs.", WATCH, choices=("gzip", "zstd")),
    Option(
        "output-dir", "path", None, "Results folder. Default: results/run-<posix time>.", RESULTS
    ),
    Option(
        "state-dir",
        "path",
        None,
        "Folder for the state of chain and client. Default: <output-dir>/state.",
        RESULTS,
    ),
    Option("keep-state", "bool", False, "Keep the state folder after a run that passed.", RESULTS),
    Option(
        "disk.needed",
        "bytes",
        None,
        "Free space required to begin the run, e.g. 20g. 0 turns the check off. Default: estimated"
        " from the stages.",
        RESULTS,
    ),
    Option(
        "disk.reserve",
        "bytes",
        256 * 1024 * 1024,
        "Space to keep free on the disks of results and state. The run fails (exit code 4) before"
        " it uses it.",
        RESULTS,
    ),
    Option("test-data.*", "tree", None, "Any metadata to record with the run.", RESULTS),
    Option(
        "engine",
        "text",
        "docker",
        "Where roles run: in Docker containers, or as processes of this machine with the installed"
        " SDK.",
        CONTAINERS,
        choices=("docker", "local"),
    ),
    Option(
        "publish",
        "bool",
        False,
        "Publish the ports 26657 (RPC), 8000 (client) and 3352 (load) on 127.0.0.1.",
        CONTAINERS,
    ),
    Option(
        "network",
        "text",
        None,
        "Docker network to join, so that the chains of several runs reach each other.",
        CONTAINERS,
    ),
    Option(
        "port.*",
        "int",
        None,
        "Port of loadgen. With --sdk sim, also of chain (RPC) and solo.",
        CONTAINERS,
        minimum=1,
    ),
    Option(
        "limit.*.cpus",
        "number",
        None,
        "Processors of a role (chain, solo, loadgen).",
        CONTAINERS,
        minimum=0.01,
    ),
    Option(
        "limit.*.memory",
        "bytes",
        None,
        "Memory of a role, e.g. 4g.",
        CONTAINERS,
        minimum=6 * 1024 * 1024,
    ),
    Option("limit.*.pids", "int", 4096, "Number of processes of a role.", CONTAINERS, minimum=16),
    Option(
        "timeout.*",
        "number",
        None,
        "Time limit, in seconds, for a role (chain, solo, loadgen) to start.",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.block",
        "number",
        None,
        "The run fails as stalled after this many seconds without a block. Default: 180.",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.cycle",
        "number",
        None,
        "The run fails as stalled if no cycle finishes for this many seconds although one was due."
        " Default: 600.",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.provision",
        "number",
        None,
        "Time limit, in seconds, for a network to provision the client. Default: 600.",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
)
