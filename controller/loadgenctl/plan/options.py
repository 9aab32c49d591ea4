"""Every option of a run, defined once: name, type, default, help.

Keys are dotted paths of kebab-case words. `*` in a path stands for a stage number, a role or
(at the end) for anything: such a subtree is free-form and passed on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadgenctl.plan.times import Unit

Kind = Literal["bool", "int", "number", "text", "path", "bytes", "tree"]

ROLES = ("chain", "solo", "loadgen")
WAITS = ("block", "cycle", "provision")
"""What has a timeout beside the roles."""
ORIGINS: Mapping[str, str] = {
    "testnet": "https://testnet.agoric.net",
    "devnet": "https://devnet.agoric.net",
    "stage": "https://stage.agoric.net",
}
"""Profile → where its network is described, unless somebody says otherwise."""
SDK_BOOTSTRAP = "sdk"
"""What `--custom-bootstrap` means that names no file."""
TRACES = ("xsnap", "kvstore", "swingstore")


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` None means: unset, the planner decides."""

    key: str
    kind: Kind
    default: Any
    help: str
    group: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    unit: Unit | None = None
    """Of a number that is a time: what a plain number means. Units may be written, too."""
    bare: str | None = None
    """What an option means that stands alone, or is true; None: it needs a value. One that may
    stand alone may also be false, which is the same as not given.
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
    Option("sdk", "text", "agoric", "SDK family", WHAT, choices=("agoric", "sim")),
    Option(
        "revision",
        "text",
        None,
        "commit id (at least 4 digits), tag or branch of the SDK; HEAD, the repository's default"
        " branch, if not given",
        WHAT,
    ),
    Option("sdk-repo", "text", None, "git repository of the SDK (URL or path)", WHAT),
    Option("src", "path", None, "use this SDK checkout as it is; it is never reset", WHAT),
    Option(
        "profile",
        "text",
        "local",
        "network that the chain node joins; `local` makes a new chain",
        WHAT,
        choices=("local", *ORIGINS),
    ),
    Option(
        "testnet-origin",
        "text",
        None,
        "URL or folder of a network's network-config and genesis.json; with a profile that is not"
        " local",
        WHAT,
    ),
    Option(
        "monitor",
        "bool",
        True,
        "--no-monitor: no chain node, only client and load on the network; the results then contain"
        " no blocks, slogs or chain samples",
        WHAT,
    ),
    Option(
        "use-state-sync",
        "bool",
        False,
        "the node starts from a snapshot of the network instead of replaying it all",
        WHAT,
    ),
    Option(
        "provision-command",
        "text",
        None,
        "shell command that makes the network provision the client, whose address is in"
        " $LOADGENCTL_ADDRESS; without one, provision it by hand",
        WHAT,
    ),
    Option(
        "custom-bootstrap",
        "path",
        None,
        "bootstrap configuration (JSON) of the local chain, or of a network's chain for a node that"
        " replays it; without a file: the SDK's own for load generators",
        WHAT,
        bare=SDK_BOOTSTRAP,
    ),
    Option(
        "chain.snapshot-interval",
        "int",
        None,
        "blocks between two state-sync snapshots of the local chain; none if not given",
        WHAT,
        minimum=1,
    ),
    Option(
        "client",
        "text",
        "solo",
        "what the load acts through: `solo`, a client kernel of its own; or `wallet`, smart wallets"
        " of the local chain, without a client",
        WHAT,
        choices=("solo", "wallet"),
    ),
    Option(
        "chain.compute-limit",
        "int",
        None,
        "computrons that a block of the local chain may use, set in its genesis; if not given,"
        " 65000000 (as Agoric's main network) with --client wallet, else the SDK's default",
        WHAT,
        minimum=1,
    ),
    Option(
        "sim-config",
        "path",
        None,
        "speeds and faults of the simulated SDK (TOML), with --sdk sim",
        WHAT,
    ),
    Option(
        "stages", "int", 6, "number of stages; the chain restarts between them", STAGES, minimum=1
    ),
    Option(
        "stage.duration",
        "number",
        360,
        "minutes of a stage with load, from its start; or a time with units: 90s, 10m, 1h30m",
        STAGES,
        unit="min",
    ),
    Option(
        "stage.load-duration",
        "number",
        None,
        "minutes under load, from the moment the load begins, so that stages get equal load however"
        " long their start takes; instead of --stage.duration",
        STAGES,
        minimum=0.01,
    ),
    Option(
        "stage.loadgen.*",
        "tree",
        None,
        "load config, e.g. --stage.loadgen.faucet.interval 10 (also .wait, .limit; tasks: faucet,"
        " amm, vault). If not given, a run has the faucet every 60 s, and `up` no load. A run's"
        " .cycles N ends a stage after N cycles",
        STAGES,
    ),
    Option(
        "stage.save-storage",
        "bool",
        None,
        "save the chain's storage at the end of every stage, or of none",
        STAGES,
    ),
    Option(
        "stage.*.duration",
        "number",
        None,
        "minutes of stage N; 0 if chain-only; negative: until interrupted",
        STAGES,
        unit="min",
    ),
    Option(
        "stage.*.load-duration",
        "number",
        None,
        "minutes under load of stage N; instead of --stage.N.duration",
        STAGES,
        minimum=0.01,
    ),
    Option(
        "stage.*.loadgen.*",
        "tree",
        None,
        "load config of stage N; --stage.N.loadgen alone: the shared one, --no-stage.N.loadgen:"
        " none, the stage runs the chain alone",
        STAGES,
    ),
    Option(
        "stage.*.chain-only",
        "bool",
        None,
        "stage N runs the chain alone; true for the first and last stage unless they have a load",
        STAGES,
    ),
    Option(
        "stage.*.save-storage",
        "bool",
        None,
        "save the chain's storage at the end of stage N; true with load and for stage 0",
        STAGES,
    ),
    Option("chain-only", "bool", None, "every stage runs the chain alone", STAGES),
    Option(
        "reset",
        "bool",
        True,
        "start from a fresh chain; --no-reset continues with the state folder as it is",
        STAGES,
    ),
    Option("fail-fast", "bool", False, "end the run at the first failed cycle", STAGES),
    Option(
        "monitor-interval",
        "number",
        5,
        "minutes between full samples",
        WATCH,
        minimum=0.01,
        unit="min",
    ),
    Option(
        "sample-interval",
        "number",
        5,
        "seconds between light samples (containers, kernel)",
        WATCH,
        minimum=1,
        unit="s",
    ),
    Option(
        "trace",
        "text",
        None,
        f"record traces of chain and client beside the slog: {', '.join(TRACES)}, or all of them",
        WATCH,
        bare=",".join(TRACES),
    ),
    Option(
        "acceptance-integration-message-file",
        "path",
        None,
        "file shared with the SDK's acceptance tests: `ready` is written when the node has caught"
        " up, and the last stage ends when the file contains `stop`",
        WATCH,
    ),
    Option("slog-codec", "text", "gzip", "compression of slogs", WATCH, choices=("gzip", "zstd")),
    Option(
        "output-dir", "path", None, "results folder; results/run-<posix time> if not given", RESULTS
    ),
    Option(
        "state-dir",
        "path",
        None,
        "folder of the chain's and client's state; <output-dir>/state if not given",
        RESULTS,
    ),
    Option("keep-state", "bool", False, "keep the state folder after a run that passed", RESULTS),
    Option(
        "disk.needed",
        "bytes",
        None,
        "free space that a run needs to begin, e.g. 20g; 0: no check; estimated from the stages if"
        " not given",
        RESULTS,
    ),
    Option(
        "disk.reserve",
        "bytes",
        256 * 1024 * 1024,
        "space kept free on the disks of results and state: a stage is ended (exit code 4) before"
        " it uses it",
        RESULTS,
    ),
    Option("test-data.*", "tree", None, "free metadata recorded with the run", RESULTS),
    Option(
        "engine",
        "text",
        "docker",
        "where roles run: in Docker containers, or as processes of this machine with the SDK"
        " installed on it",
        CONTAINERS,
        choices=("docker", "local"),
    ),
    Option(
        "publish",
        "bool",
        False,
        "publish the ports 26657 (RPC), 8000 (client) and 3352 (load) on 127.0.0.1",
        CONTAINERS,
    ),
    Option(
        "network",
        "text",
        None,
        "Docker network that the run joins, so that the chains of several runs reach each other",
        CONTAINERS,
    ),
    Option(
        "port.*",
        "int",
        None,
        "port of loadgen; with --sdk sim also of chain (RPC) and solo",
        CONTAINERS,
        minimum=1,
    ),
    Option(
        "limit.*.cpus",
        "number",
        None,
        "processors of a role (chain, solo, loadgen)",
        CONTAINERS,
        minimum=0.01,
    ),
    Option(
        "limit.*.memory",
        "bytes",
        None,
        "memory of a role, e.g. 4g",
        CONTAINERS,
        minimum=6 * 1024 * 1024,
    ),
    Option("limit.*.pids", "int", 4096, "processes of a role", CONTAINERS, minimum=16),
    Option(
        "timeout.*",
        "number",
        None,
        "seconds that a role (chain, solo, loadgen) may take to start",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.block",
        "number",
        None,
        "the run fails as stalled after so many seconds without a block; 180 if not given",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.cycle",
        "number",
        None,
        "the run fails as stalled if no cycle finishes for so many seconds, although one was due;"
        " 600 if not given",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
    Option(
        "timeout.provision",
        "number",
        None,
        "seconds that a network may take to provision the client; 600 if not given",
        CONTAINERS,
        minimum=1,
        unit="s",
    ),
)

SYNONYMS: Mapping[str, str] = {
    "OUTPUT_DIR": "output-dir",
    "SDK_SRC": "src",
    "SDK_REVISION": "revision",
    "SDK_REPO": "sdk-repo",
}
"""Environment variables that the original's users set."""
