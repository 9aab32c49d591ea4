"""The Agoric SDK: its image by era, its build, how chain, client and load driver run.

Pure description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from loadgenctl import resources
from loadgenctl.errors import UsageError
from loadgenctl.model import ChainNetwork, Command, ResolvedRevision
from loadgenctl.sdks import eras
from loadgenctl.sdks.base import (
    BUILD_HOME,
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
"""The SDK's programs where its build leaves them, so that nothing has to be linked or installed."""

STOP_CODES = (0, 98, 130, 143)
"""Exit codes of chain and client that a signal stopped; 98 since June 2021 (docs/eras.md)."""

ALSO_LISTENS = (26656, 9090)
"""Ports of the chain node beside its RPC: to other nodes, and gRPC."""

VERBOSE = "agoric,SwingSet:vat,SwingSet:ls"
"""What chain and client log, as the original load generator asks for: numbers stay comparable."""

BOOTSTRAP = "CHAIN_BOOTSTRAP_VAT_CONFIG"
KVSTORE = "kvstore"
SNAPSHOTS = "--state-sync.snapshot-interval={} --state-sync.snapshot-keep-recent=2"
"""Options of a node that makes snapshots: as the SDK's own testnets, it keeps two."""
TRACE_VARIABLES = {"xsnap": "XSNAP_TEST_RECORD", "swingstore": "SWING_STORE_TRACE"}
"""Trace → the variable that names where it goes; the store of the chain's Go part has an option."""

# `canvas`, deep below the wallet's page, is compiled where its prebuilt binary cannot be had.
ADDON_PACKAGES = (
    "libcairo2-dev",
    "libfontconfig1-dev",
    "libgif-dev",
    "libjpeg-dev",
    "libpango1.0-dev",
    "librsvg2-dev",
)

# The SDK pins a copy of yarn that the image's own replaces.
SPARSE = ("/*", "!/.yarn/releases")
SPARSE_MODDABLE = ("/*", "!/documentation", "!/examples", "!/contributed")
_SUBMODULE_PATH = re.compile(rb"^\s*path\s*=\s*(\S+)\s*$", re.MULTILINE)

CACHES = {"yarn": "/cache/yarn", "go-modules": "/cache/go-modules", "go-build": "/cache/go-build"}
BUILD_ENV = {
    "HOME": BUILD_HOME,
    "YARN_CACHE_FOLDER": CACHES["yarn"],
    "GOMODCACHE": CACHES["go-modules"],
    "GOCACHE": CACHES["go-build"],
    "CI": "true",
}

INSTALL = """
mkdir -p "$HOME"
yarn install --frozen-lockfile --non-interactive
"""

BUILD = """
mkdir -p "$HOME"
{pins}yarn build
"""

# The submodules' checkouts are there already; the build is told to take them as they are.
PIN = """\
if [ -e {path}/.git ]; then
  {variable}=$(git -C {path} rev-parse HEAD)
  export {variable}
fi
"""

GO = """
mkdir -p "$HOME"
make -C golang/cosmos all
"""

ADDON = "golang/cosmos/build/Release/agcosmosdaemon.node"
"""The chain's Go part, as Node loads it."""
CHECK = """
for made in golang/cosmos/build/$HELPER {addon} \
    {worker}; do
  if [ ! -s "$made" ]; then
    echo "the build ended without an error, but $made is missing" >&2
    exit 1
  fi
done
"""


class AgoricSdk:
    """The Agoric SDK at one revision."""

    name = "agoric"
    simulated = False

    def __init__(
        self,
        era: Era,
        notes: tuple[str, ...],
        submodules: Mapping[str, tuple[str, ...]],
        lacks: Mapping[str, str] | None = None,
    ) -> None:
        """See `make`."""
        self._lacks = lacks or {}
        self._era = era
        self.era = era.name
        self.notes = notes
        self._submodules = submodules

    def image(self) -> ImageRecipe:
        """Debian with the era's Node, yarn and Go."""
        era = self._era
        return ImageRecipe(
            name=f"loadgenctl/sdk-{era.name}",
            suite=era.suite,
            template=resources.images("sdk", "Dockerfile.j2"),
            values={
                "node": era.node,
                "npm": era.npm,
                "yarn": era.yarn,
                "old_gyp": era.old_gyp,
                "go_package": era.go_package,
                "go_root": era.go_root,
                "apt_packages": ADDON_PACKAGES,
            },
        )

    def build(self) -> BuildRecipe:
        """Packages, the chain's Go part, then everything that is bundled from JavaScript."""
        era = self._era
        pins = "".join(PIN.format(path=path, variable=name) for path, name in era.pins.items())
        check = CHECK.format(addon=ADDON, worker=era.worker)
        return BuildRecipe(
            steps=(
                self._step("install the packages", INSTALL, 1800.0),
                self._step("build the chain", GO, 3600.0),
                self._step("build the packages", BUILD.format(pins=pins), 1800.0),
                self._step("check what was built", check, 60.0),
            ),
            caches=CACHES,
            sparse=SPARSE,
            submodules=self._submodules,
            makes=(f"golang/cosmos/build/{era.helper}", ADDON, era.worker),
        )

    def _step(self, label: str, script: str, timeout: float) -> Command:
        return Command(
            argv=("/bin/sh", "-ec", script),
            env={
                **BUILD_ENV,
                "HELPER": self._era.helper,
                **({"PYTHONPATH": "/opt/old-gyp"} if self._era.old_gyp else {}),
            },
            workdir=SRC,
            timeout=timeout,
            label=label,
        )

    def _setup(self, label: str, script: str, *options: str) -> Command:
        return Command(
            argv=("python3", f"{SETUP}/{script}", "--project", PROJECT, *options),
            env=self._env(),
            label=label,
            timeout=420.0,
        )

    def _env(self, **more: str) -> dict[str, str]:
        return {"HOME": HOME, "PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        """A local chain of one validator, or a node that follows a network; started directly:
        signals reach the node itself.
        """
        era = self._era
        slog = f"{OUT}/chain-stage-{ctx.stage}.slog"
        traces = trace_paths("chain", ctx, TRACE_VARIABLES.keys() | {KVSTORE})
        store = (f"--trace-store={traces[KVSTORE]}",) if KVSTORE in traces else ()
        snapshots = SNAPSHOTS.format(ctx.snapshot_interval).split() if ctx.snapshot_interval else ()
        # Until February 2022 DEBUG changed what vats compute: nodes that are to agree go without.
        debug = {} if ctx.network or ctx.shared else {"DEBUG": VERBOSE}
        bootstrap = {BOOTSTRAP: ctx.bootstrap} if ctx.bootstrap else {}
        # A node that replays a network computes the bootstrap by what the network's own nodes had.
        as_local = not ctx.network or ctx.sdk_bootstrap
        env = {**debug, **(era.chain_env if as_local else {}), **bootstrap}
        return RoleRecipe(
            role="chain",
            command=Command(
                argv=(era.daemon, "start", f"--home={CHAIN_HOME}", *store, *snapshots),
                env=self._env(SLOGFILE=slog, **env, **_trace_env(traces)),
                workdir=PROJECT,
            ),
            prepare=(self._follower(ctx.network) if ctx.network else self._own_chain(),),
            state_probe=f"{CHAIN_HOME}/config/genesis.json.sha256",
            marks=(
                LogMark("launched", r"launch-chain: Launching SwingSet kernel"),
                LogMark("ready", r"block-manager: block \d+ begin"),
            ),
            fatal=(
                FatalMark("consensus failure", r"CONSENSUS FAILURE"),
                FatalMark("error running the chain", r"error running ag-chain-cosmos"),
                FatalMark("panic", r"^panic: "),
            ),
            stop_signal="SIGINT",
            stop_grace=60.0,
            stop_codes=STOP_CODES,
            storage=CHAIN_HOME,
            ports=(ctx.ports.chain, *ALSO_LISTENS),
            slog=slog,
            genesis=f"{CHAIN_HOME}/config/genesis.json",
            node_key=f"{CHAIN_HOME}/config/node_key.json",
            traces=traces,
            watch_log=ctx.network is not None,
        )

    def _own_chain(self) -> Command:
        era = self._era
        return self._setup(
            "create the chain",
            "init_chain.py",
            *("--helper", era.helper),
            *("--daemon", era.daemon),
            *("--stable", era.stable),
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
        """The client: a kernel of its own that speaks with the chain through transactions."""
        era = self._era
        # The client knows SOLO_SLOGFILE since August 2021; before, the file stays absent.
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
            storage=SOLO_HOME,
            ports=(ctx.ports.solo,),
            slog=slog,
        )

    def loadgen(self, ctx: RoleContext) -> RoleRecipe:
        """The load service; its driver is a deploy script against the client."""
        driver = ("/bin/sh", f"{TOOLS}/agoric/run_driver.sh", SRC, f"{PROJECT}/loadgen")
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
    table = resources.images("sdk", "eras.toml")
    choice = eras.choose(eras.load(table), tree)
    lacks = eras.lacking(eras.load_features(table), tree)
    return AgoricSdk(choice.era, choice.notes, _submodules(tree), lacks)


def of_era(name: str) -> AgoricSdk:
    """The family at no revision in particular, for an era's image. Raises `UsageError`."""
    known = eras.load(resources.images("sdk", "eras.toml"))
    for era in known:
        if era.name == name:
            return AgoricSdk(era, (), {})
    raise UsageError(
        f"there is no era {name!r} of the Agoric SDK",
        hint=f"known: {', '.join(era.name for era in known)} (docs/eras.md)",
    )


def _known_chain(network: ChainNetwork | None) -> tuple[str, ...]:
    """Which chain a client goes by, if it is not the one beside it."""
    if network is None:
        return ()
    return (
        *("--identity", network.identity),
        *("--chain-id", network.chain_id),
        *("--rpc", ",".join(network.rpc)),
    )


def _trace_env(traces: Mapping[str, str]) -> dict[str, str]:
    env = {TRACE_VARIABLES[name]: path for name, path in traces.items() if name in TRACE_VARIABLES}
    # The one trace refers to the snapshots that the other shows being made.
    return env | ({"XSNAP_KEEP_SNAPSHOTS": "1"} if len(env) == len(TRACE_VARIABLES) else {})


def _submodules(tree: SourceTree) -> dict[str, tuple[str, ...]]:
    paths = [path.decode() for path in _SUBMODULE_PATH.findall(tree.read(".gitmodules") or b"")]
    return {path: SPARSE_MODDABLE if path.endswith("/moddable") else () for path in paths}
