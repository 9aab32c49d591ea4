"""The Agoric SDK: how chain, client and load driver run (its build: agoric_build).

Pure description.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadgenctl import resources
from loadgenctl.errors import UsageError
from loadgenctl.model import ChainNetwork, Command, ResolvedRevision
from loadgenctl.sdks import agoric_build, agoric_tree, eras
from loadgenctl.sdks.base import (
    CLIENT_ANSWER,
    HOME,
    NETWORK,
    OUT,
    PROJECT,
    SRC,
    TOOLS,
    BuildRecipe,
    FatalMark,
    ImageRecipe,
    LogMark,
    RoleContext,
    RoleRecipe,
    SourceTree,
    load_service,
    trace_paths,
)
from loadgenctl.sdks.eras import Era

SETUP = f"{TOOLS}/agoric/setup"
CHAIN_HOME = f"{PROJECT}/chain"
SOLO_HOME = f"{PROJECT}/solo"
PATH = ":".join(
    (
        f"{SRC}/packages/cosmic-swingset/bin",
        f"{SRC}/packages/solo/bin",
        f"{SRC}/packages/agoric-cli/bin",
        f"{SRC}/golang/cosmos/build",
        "/opt/node/bin",
        "/usr/local/bin",
        "/usr/bin",
        "/bin",
    )
)
"""The SDK's programs where its build leaves them: nothing has to be linked or installed."""

STOP_CODES = (0, 98, 130, 143)
"""Exit codes of chain and client after a stop signal; 98 since June 2021 (docs/eras.md)."""

ALSO_LISTENS = (26656, 9090)
"""Other ports of the chain node: for its peers, and gRPC."""

CHAIN_READY = 5400.0
"""Seconds: on a busy machine bundling, bootstrap and core proposals took 31 minutes; the replay of
long transcripts takes as long.
"""
CLIENT_READY = 1800.0
"""Seconds: on a busy machine its first start took 5 minutes."""
CHAIN_QUIET = 1800.0
"""Seconds: while a chain bundles code it writes nothing, on a very busy machine for 15 minutes."""

VERBOSE = "agoric,SwingSet:vat,SwingSet:ls"
"""What chain and client log: the same as with the original load generator, to compare numbers."""

BOOTSTRAP = "CHAIN_BOOTSTRAP_VAT_CONFIG"
OWN_BOOTSTRAP = f"{PROJECT}/bootstrap/bootstrap.json"
WALLET_BOOTSTRAP = f"{PROJECT}/wallet/bootstrap.json"
"""Written when the chain is created for load by smart wallets."""
KVSTORE = "kvstore"
SNAPSHOTS = "--state-sync.snapshot-interval={} --state-sync.snapshot-keep-recent=2"
"""Options of a node that makes snapshots; like the SDK's own testnets, it keeps two."""
SWINGSTORE = "swingstore"
TRACE_VARIABLES = {"xsnap": "XSNAP_TEST_RECORD", SWINGSTORE: "SWING_STORE_TRACE"}
"""Trace → the variable with its path; the store of the chain's Go part has an option instead."""


class AgoricSdk:
    """The Agoric SDK at one revision."""

    name = "agoric"
    simulated = False

    def __init__(
        self,
        era: Era,
        notes: tuple[str, ...] = (),
        made_of: agoric_build.MadeOf | None = None,
        lacks: Mapping[str, str] | None = None,
    ) -> None:
        """See `make`."""
        self._lacks = lacks or {}
        self._era = era
        self.era = era.name
        self.notes = notes
        self._made_of = made_of or agoric_build.MadeOf()

    def image(self) -> ImageRecipe:
        """Debian with the era's Node, yarn and Go."""
        return agoric_build.image(self._era)

    def build(self) -> BuildRecipe:
        """The packages, the chain's Go part, then everything that is bundled from JavaScript."""
        return agoric_build.build(self._era, self._made_of)

    def _setup(self, label: str, script: str, *options: str) -> Command:
        return Command(
            argv=("python3", f"{SETUP}/{script}", "--project", PROJECT, *options),
            env=self._env(),
            label=label,
            timeout=420.0,
        )

    def _env(self, **more: str) -> dict[str, str]:
        # The client calls the SDK's tool by a wrapper, which would rebuild an outdated tool.
        python, tool = {"PYTHONDONTWRITEBYTECODE": "1"}, {"NO_BUILD": "true"}
        return {"HOME": HOME, "PATH": PATH, **python, **tool, **more}

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        """A local chain of one validator, or a node that follows a network.

        It is started directly, so that signals reach the node itself.
        """
        era = self._era
        slog = f"{OUT}/chain-stage-{ctx.stage}.slog"
        traces = trace_paths("chain", ctx, TRACE_VARIABLES.keys() | {KVSTORE})
        snapshots = SNAPSHOTS.format(ctx.snapshot_interval).split() if ctx.snapshot_interval else ()
        return RoleRecipe(
            role="chain",
            command=Command(
                argv=(
                    *(era.daemon, "start", f"--home={CHAIN_HOME}"),
                    *(*snapshots, *_store_trace(traces)),
                ),
                env=self._env(SLOGFILE=slog, **self._chain_env(ctx), **_trace_env(traces)),
                workdir=PROJECT,
            ),
            prepare=(
                *self._own_bootstrap(ctx),
                self._follower(ctx.network) if ctx.network else self._own_chain(ctx),
            ),
            state_probe=f"{CHAIN_HOME}/config/genesis.json.sha256",
            marks=(
                LogMark("launched", r"launch-chain: Launching SwingSet kernel"),
                # Not its begin: since 2024 the first block runs the core proposals, for minutes.
                LogMark("ready", r"block-manager: block \d+ commit"),
            ),
            fatal=(
                FatalMark("consensus failure", r"CONSENSUS FAILURE"),
                FatalMark("error running the chain", r"error running ag-chain-cosmos"),
                FatalMark("panic", r"^panic: "),
            ),
            stop_signal="SIGINT",
            stop_grace=60.0,
            stop_codes=STOP_CODES,
            ready_timeout=CHAIN_READY,
            quiet_timeout=CHAIN_QUIET,
            storage=CHAIN_HOME,
            ports=(ctx.ports.chain, *ALSO_LISTENS),
            slog=slog,
            genesis=f"{CHAIN_HOME}/config/genesis.json",
            node_key=f"{CHAIN_HOME}/config/node_key.json",
            traces=traces,
            watch_log=ctx.network is not None,
        )

    def _chain_env(self, ctx: RoleContext) -> dict[str, str]:
        """Environment of the chain except for its traces."""
        # Until February 2022 DEBUG changed what vats compute: nodes that must agree go without it.
        debug = {} if ctx.network or ctx.shared else {"DEBUG": VERBOSE}
        placed = OWN_BOOTSTRAP if ctx.bootstrap else None
        config = WALLET_BOOTSTRAP if ctx.client == "wallet" else placed
        bootstrap = {BOOTSTRAP: config} if config else {}
        # A node that replays a network needs the bootstrap configuration of the network's nodes.
        as_local = not ctx.network or ctx.sdk_bootstrap
        return {**debug, **(self._era.chain_env if as_local else {}), **bootstrap}

    def _own_bootstrap(self, ctx: RoleContext) -> tuple[Command, ...]:
        """Place the person's configuration, if there is one. Wallet load writes its own."""
        if ctx.bootstrap is None or ctx.client == "wallet":
            return ()
        options = ("--src", SRC, "--config", ctx.bootstrap)
        return (self._setup("lay out the bootstrap", "place_bootstrap.py", *options),)

    def _own_chain(self, ctx: RoleContext) -> Command:
        era, limit = self._era, ctx.compute_limit
        base = ("--bootstrap", ctx.bootstrap) if ctx.bootstrap else ()
        return self._setup(
            "create the chain",
            "init_chain.py",
            *("--helper", era.helper),
            *("--daemon", era.daemon),
            *("--stable", era.stable),
            *(() if limit is None else ("--compute-limit", str(limit))),
            *(("--wallets", SRC, *base) if ctx.client == "wallet" else ()),
        )

    def _follower(self, network: ChainNetwork) -> Command:
        trust = network.trust
        sync = (
            ()
            if trust is None
            else (
                *("--trust-height", str(trust.height)),
                *("--trust-hash", trust.block_hash),
                *("--rpc", ",".join(network.rpc)),
            )
        )
        return self._setup(
            "create a node of the network",
            "init_follower.py",
            *("--daemon", self._era.daemon),
            *("--genesis", f"{NETWORK}/genesis.json"),
            *("--chain-id", network.chain_id),
            *("--identity", network.identity),
            *("--peers", ",".join(network.peers)),
            *("--seeds", ",".join(network.seeds)),
            *sync,
        )

    def solo(self, ctx: RoleContext) -> RoleRecipe:
        """The client: a separate kernel that talks to the chain by transactions."""
        era = self._era
        # The client reads SOLO_SLOGFILE since August 2021; before, there is no file.
        slog = f"{OUT}/client-stage-{ctx.stage}.slog"
        port, network = str(ctx.ports.solo), ctx.network
        traces = trace_paths("client", ctx, TRACE_VARIABLES)
        return RoleRecipe(
            role="solo",
            command=Command(
                argv=("ag-solo", "start"),
                env=self._env(SOLO_SLOGFILE=slog, DEBUG=VERBOSE, **_trace_env(traces)),
                workdir=SOLO_HOME,
            ),
            prepare=(
                self._setup(
                    "create the client", "init_solo.py", "--port", port, *_known_chain(network)
                ),
            ),
            state_probe=f"{SOLO_HOME}/connections.json",
            ask=None
            if network is None
            else self._setup(
                "ask the network for the client",
                "ask_client.py",
                *("--helper", era.helper),
                *("--chain-id", network.chain_id),
                *("--rpc", ",".join(network.rpc)),
                *("--answer", CLIENT_ANSWER),
            ),
            traces=traces,
            provision=()
            if network
            else (
                self._setup(
                    "fund and provision the client",
                    "provision.py",
                    *("--helper", era.helper),
                    *("--stable", era.stable),
                ),
            ),
            marks=(
                LogMark("started", r"start: swingset running"),
                LogMark("ready", r"Deployed Wallet!|Don't need our provides: wallet"),
            ),
            fatal=(FatalMark("error running the client", r"error running ag-solo"),),
            stop_codes=STOP_CODES,
            ready_timeout=CLIENT_READY,
            storage=SOLO_HOME,
            ports=(ctx.ports.solo,),
            slog=slog,
        )

    def loadgen(self, ctx: RoleContext) -> RoleRecipe:
        """The load service. Its driver is a deploy script against the client, or acts by smart
        wallets, which it creates if they are missing.
        """
        driver: tuple[str, ...] = (
            *("/bin/sh", f"{TOOLS}/agoric/run_driver.sh", SRC, f"{PROJECT}/loadgen"),
        )
        if ctx.client == "wallet":
            driver = (
                *("python3", f"{TOOLS}/agoric/wallet/driver.py", "--project", PROJECT),
                *("--helper", self._era.helper, "--stage", str(ctx.stage)),
                *("--rpc-port", str(ctx.ports.chain)),
            )
        return RoleRecipe(
            role="loadgen",
            command=load_service(
                ctx,
                self._env(**({"LOADGEN_FEES": "yes"} if self._era.fees else {})),
                *driver,
            ),
            marks=(LogMark("ready", r"server running"),),
            hurry_signal="SIGINT",
            ports=(ctx.ports.loadgen,),
        )

    def lacks(self, feature: str) -> str | None:
        """See `SdkFamily.lacks`."""
        return self._lacks.get(feature)

    def tools(self) -> Mapping[str, Path]:
        """Set-up scripts and driver, the load service, the agent."""
        return {
            "agoric": resources.images("loadgen", "agoric"),
            "service": resources.images("loadgen", "service"),
            "agent": resources.images("agent"),
        }


def make(revision: ResolvedRevision, tree: SourceTree) -> AgoricSdk:
    """The family at a revision, its era chosen. Raises `UsageError` for another kind of tree."""
    if tree.read("packages/cosmic-swingset/package.json") is None:
        raise UsageError(
            f"{revision.repository} at {revision.short} is not the Agoric SDK:"
            " it has no packages/cosmic-swingset",
            hint="name the SDK's repository with --sdk-repo, or its checkout with --src",
        )
    table = load_table()
    choice = eras.choose(table.eras, tree)
    era, notes = agoric_tree.fitted(choice.era, table.releases, tree)
    lacks = eras.lacking(table.features, tree)
    made_of = agoric_build.made_of(era, table.releases, tree)
    return AgoricSdk(era, (*choice.notes, *notes), made_of, lacks)


def load_table() -> eras.Table:
    """The table of eras. Raises `LoadgenError` when it is damaged."""
    return eras.load(resources.images("sdk", "eras.toml"))


def of_era(name: str) -> AgoricSdk:
    """The family without a revision, for an era's image. Raises `UsageError`."""
    known = load_table().eras
    for era in known:
        if era.name == name:
            return AgoricSdk(era)
    raise UsageError(
        f"there is no era {name!r} of the Agoric SDK",
        hint=f"known: {', '.join(era.name for era in known)} (docs/eras.md)",
    )


def _known_chain(network: ChainNetwork | None) -> tuple[str, ...]:
    """The chain of a client, if it is not that of the same run."""
    if network is None:
        return ()
    return (
        *("--identity", network.identity),
        *("--chain-id", network.chain_id),
        *("--rpc", ",".join(network.rpc)),
    )


def _store_trace(traces: Mapping[str, str]) -> tuple[str, ...]:
    """The end of the command line: the path of the trace of the chain's Go part.

    Since January 2023 (04bbcea036) the kernel also reads this option, before its own variable, and
    both would write one file. The kernel uses the last option of the line, Go none after `--`.
    """
    if KVSTORE not in traces:
        return ()
    return (f"--trace-store={traces[KVSTORE]}", "--", f"--trace-store={traces.get(SWINGSTORE, 0)}")


def _trace_env(traces: Mapping[str, str]) -> dict[str, str]:
    env = {TRACE_VARIABLES[name]: path for name, path in traces.items() if name in TRACE_VARIABLES}
    # One trace refers to the snapshots whose creation is in the other one.
    return env | ({"XSNAP_KEEP_SNAPSHOTS": "1"} if len(env) == len(TRACE_VARIABLES) else {})
