"""The simulated SDK: how its chain, client and load driver run.

Pure description; the programs are in images/sim.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from loadgenctl import resources
from loadgenctl.errors import UsageError
from loadgenctl.model import Command, ResolvedRevision
from loadgenctl.sdks.base import (
    CLIENT_ANSWER,
    HOME,
    NETWORK,
    OUT,
    PROJECT,
    SRC,
    BuildRecipe,
    FatalMark,
    ImageRecipe,
    LogMark,
    RoleContext,
    RoleRecipe,
    SourceTree,
    load_service,
)

MARKER = "simsdk.toml"
"""The file at the top of a tree that marks it as the simulated SDK."""
CHAIN_HOME = f"{PROJECT}/chain"
SOLO_HOME = f"{PROJECT}/solo"
PATH = "/usr/local/bin:/usr/bin:/bin"
PROGRAMS = ("sim-chain", "sim-solo", "sim-wallet", "sim-driver")
SINCE = frozenset({"wallet", "compute-limit"})
"""Features that a tree has if its marker names them; no other feature of `lacks` is simulated."""


class SimSdk:
    """The simulated SDK at one revision."""

    name = "sim"
    simulated = True
    era = "sim"

    def __init__(self, version: str, features: Collection[str] = ()) -> None:
        """`version` and `features` as the tree states them."""
        self._features = SINCE.intersection(features)
        self.notes: tuple[str, ...] = (
            f"simulated SDK {version}: its numbers say nothing about a real chain",
        )

    def image(self) -> ImageRecipe:
        """Debian with Python and psutil, for the agent."""
        return ImageRecipe(
            name="loadgenctl/sim",
            suite="bookworm",
            template=resources.images("sim", "Dockerfile.j2"),
        )

    def build(self) -> BuildRecipe:
        """Nothing to compile; a program that cannot print its version fails the build."""
        return BuildRecipe(
            steps=tuple(
                Command(
                    argv=("python3", f"{SRC}/bin/{program}", "--version"),
                    env={"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"},
                    workdir=SRC,
                    timeout=60.0,
                    label=f"check {program}",
                )
                for program in PROGRAMS
                if program != "sim-wallet" or "wallet" in self._features
            )
        )

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        """The simulated node."""
        slog = f"{OUT}/chain-stage-{ctx.stage}.slog"
        return RoleRecipe(
            role="chain",
            command=_command(
                ctx,
                *("sim-chain", "start", "--home", CHAIN_HOME),
                *(("--follow", ctx.network.rpc[0]) if ctx.network else ()),
                SLOGFILE=slog,
            ),
            prepare=(
                _command(
                    ctx,
                    *("sim-chain", "init", "--home", CHAIN_HOME),
                    *(("--genesis", f"{NETWORK}/genesis.json") if ctx.network else ()),
                    *(("--compute-limit", str(ctx.compute_limit)) if ctx.compute_limit else ()),
                    timeout=60.0,
                    label="create the simulated chain",
                ),
            ),
            state_probe=f"{CHAIN_HOME}/config/genesis.json",
            marks=(
                LogMark("launched", r"launch-chain: Launching SwingSet kernel"),
                LogMark("ready", r"block-manager: block \d+ commit"),
            ),
            fatal=(FatalMark("consensus failure", r"CONSENSUS FAILURE"),),
            stop_signal="SIGINT",
            ready_timeout=300.0,
            storage=CHAIN_HOME,
            ports=(ctx.ports.chain,),
            slog=slog,
            genesis=f"{CHAIN_HOME}/config/genesis.json",
            node_key=f"{CHAIN_HOME}/config/node_key.json",
            watch_log=ctx.network is not None,
        )

    def solo(self, ctx: RoleContext) -> RoleRecipe:
        """The simulated client."""
        slog = f"{OUT}/client-stage-{ctx.stage}.slog"
        home = ("--home", SOLO_HOME)
        return RoleRecipe(
            role="solo",
            command=_command(ctx, "sim-solo", "start", *home, SOLO_SLOGFILE=slog),
            prepare=(
                _command(
                    ctx,
                    "sim-solo",
                    "init",
                    *home,
                    timeout=60.0,
                    label="create the simulated client",
                ),
            ),
            state_probe=f"{SOLO_HOME}/solo.json",
            provision=()
            if ctx.network
            else (
                _command(
                    ctx,
                    *("sim-solo", "provision", *home),
                    timeout=150.0,
                    label="fund and provision the simulated client",
                ),
            ),
            ask=_command(
                ctx,
                *("sim-solo", "ask", *home, "--answer", CLIENT_ANSWER),
                timeout=60.0,
                label="ask the network for the client",
            ),
            marks=(
                LogMark("started", r"start: swingset running"),
                LogMark("ready", r"Deployed Wallet!"),
            ),
            ready_timeout=300.0,
            storage=SOLO_HOME,
            ports=(ctx.ports.solo,),
            slog=slog,
        )

    def loadgen(self, ctx: RoleContext) -> RoleRecipe:
        """The load service with the simulated driver."""
        wallet = ctx.client == "wallet"
        provision = _command(
            ctx,
            *("sim-wallet", "provision"),
            timeout=150.0,
            label="fund and provision the simulated wallets",
        )
        driver = ("python3", f"{SRC}/bin/sim-driver", *(("--client", "wallet") if wallet else ()))
        return RoleRecipe(
            role="loadgen",
            command=load_service(ctx, _env(ctx), *driver),
            provision=(provision,) if wallet else (),
            marks=(LogMark("ready", r"server running"),),
            hurry_signal="SIGINT",
            ready_timeout=300.0,
            ports=(ctx.ports.loadgen,),
        )

    def lacks(self, feature: str) -> str | None:
        """See `SdkFamily.lacks`."""
        if feature in self._features:
            return None
        which = "this revision of the simulated SDK" if feature in SINCE else "the simulated SDK"
        return f"{which} has no {feature}"

    def tools(self) -> Mapping[str, Path]:
        """The load service and the agent."""
        return {
            "service": resources.images("loadgen", "service"),
            "agent": resources.images("agent"),
        }


def make(revision: ResolvedRevision, tree: SourceTree) -> SimSdk:
    """The family at a revision. Raises `UsageError` for another kind of tree."""
    where = f"{revision.repository} at {revision.short}"
    marker = tree.read(MARKER)
    if marker is None:
        raise UsageError(
            f"{where} is not the simulated SDK: it has no {MARKER}",
            hint="omit --sdk-repo and --src to use the one that comes with loadgenctl",
        )
    try:
        document = tomllib.loads(marker.decode())
    except ValueError as error:
        raise UsageError(f"{where}: {MARKER} cannot be read: {error}") from error
    if document.get("name") != "simsdk":
        raise UsageError(f"{where}: {MARKER} does not name the simulated SDK")
    features = document.get("features", [])
    return SimSdk(
        str(document.get("version", "of an unknown version")),
        [str(name) for name in features] if isinstance(features, list) else (),
    )


def _env(ctx: RoleContext, **more: str) -> dict[str, str]:
    config = {"SIM_CONFIG": ctx.sim_config} if ctx.sim_config else {}
    if ctx.network:
        config["SIM_NETWORK"] = ctx.network.rpc[0]
    return {
        "HOME": HOME,
        "PATH": PATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "SIM_STAGE": str(ctx.stage),
        "SIM_RPC_PORT": str(ctx.ports.chain),
        "SIM_SOLO_PORT": str(ctx.ports.solo),
        **config,
        **more,
    }


def _command(
    ctx: RoleContext,
    program: str,
    *arguments: str,
    timeout: float | None = None,
    label: str = "",
    **env: str,
) -> Command:
    # By the interpreter: not every packaging keeps the permission to execute a file.
    return Command(
        argv=("python3", f"{SRC}/bin/{program}", *arguments),
        env=_env(ctx, **env),
        workdir=PROJECT,
        timeout=timeout,
        label=label,
    )
