"""What an SDK family is: how it is built, and how each role runs. Pure description, no engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from loadgenctl.model import ChainNetwork, Command, Mount, Ports, ResolvedRevision

SRC = "/src"
OUT = "/out"
STATE = "/state"
PROJECT = f"{STATE}/project"
HOME = f"{STATE}/home"
TOOLS = f"{OUT}/tools"
BUILD_HOME = "/tmp/home"  # noqa: S108 - inside the builder, gone with it
"""HOME of build steps that write to it."""
NETWORK = f"{OUT}/network"
"""Folder with the documents of the network that roles follow."""
CLIENT_ANSWER = f"{OUT}/client.json"
"""What a client's `ask` writes: `address`, `known` (by the network) and, if not, the `reason`."""


def events_path(stage: int) -> str:
    """Where the load service of a stage writes its events."""
    return f"{OUT}/events-stage-{stage}.jsonl"


LOAD_PORT_VARIABLE = "LOADGEN_PORT"
"""The load service's port, for its driver."""


@dataclass(frozen=True, slots=True)
class LogMark:
    """A line in a role's log that shows its progress."""

    name: str
    """`launched`, `started`, `ready` …"""
    pattern: str
    """A regular expression over bytes of one line (searched, not matched)."""


@dataclass(frozen=True, slots=True)
class FatalMark:
    """A line after which the role cannot become ready."""

    name: str
    """Its name in messages, e.g. `consensus failure`."""
    pattern: str


@dataclass(frozen=True, slots=True)
class RoleRecipe:
    """How one role of this SDK runs. Paths are inside the container (SRC, OUT, STATE)."""

    role: str
    """`chain`, `solo` or `loadgen`."""
    command: Command
    prepare: tuple[Command, ...] = ()
    """One-shots before the first start, while the role has no state (`state_probe`)."""
    state_probe: str | None = None
    """Path below STATE that exists once `prepare` has run."""
    provision: tuple[Command, ...] = ()
    """One-shots before every start, with the chain running; they must be idempotent."""
    marks: tuple[LogMark, ...] = ()
    """In order; the last one means ready."""
    fatal: tuple[FatalMark, ...] = ()
    stop_signal: str = "SIGTERM"
    hurry_signal: str | None = None
    """Sent after `stop_signal` if the role's remaining work does not matter; it differs, because
    two equal signals may arrive as one.
    """
    stop_grace: float = 30.0
    """Seconds between the stop signal and SIGKILL."""
    stop_codes: tuple[int, ...] = (0, 130, 143)
    """Exit codes of a main process that stopped as requested."""
    ready_timeout: float = 600.0
    """Seconds until each of its marks."""
    quiet_timeout: float | None = None
    """Seconds without a line of log or slog after which the next mark is no longer awaited; None:
    only `ready_timeout` counts.
    """
    storage: str | None = None
    """Folder (below STATE) whose size is sampled, and which is saved at a stage's end."""
    ports: tuple[int, ...] = ()
    """The ports at which it listens."""
    slog: str | None = None
    """Path of its slog, below OUT; contains `{stage}`, as does the command's environment."""
    ask: Command | None = None
    """One-shot of a client on a network that others run: writes CLIENT_ANSWER."""
    genesis: str | None = None
    """Path of the chain's genesis, below STATE."""
    node_key: str | None = None
    """Path of the node's key file, below STATE."""
    traces: Mapping[str, str] = field(default_factory=dict)
    """Trace → path below OUT to which the role writes it."""
    watch_log: bool = False
    """Its log is also searched for `fatal` marks after it is ready."""


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """How to make an image: a template, its values, the Debian suite of the base."""

    name: str
    """Repository part of the tag, e.g. `loadgenctl/sdk-2021-spring`."""
    suite: str
    """Debian suite of the base."""
    template: Path
    values: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Name in the build context → file on disk."""


@dataclass(frozen=True, slots=True)
class BuildRecipe:
    """How the SDK is built in a builder container, /src mounted writable."""

    steps: tuple[Command, ...]
    """In order; a failure of one ends the build. Empty: nothing to build."""
    caches: Mapping[str, str] = field(default_factory=dict)
    """Cache name → folder in the container (kept between builds: yarn, Go modules …)."""
    sparse: tuple[str, ...] = ()
    """Patterns for `git sparse-checkout set --no-cone`; empty: everything."""
    submodules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Submodule path → its sparse patterns (empty tuple: everything); checked out by the source at
    the pinned commit.
    """
    makes: tuple[str, ...] = ()
    """Files of a built tree without which no role can run."""
    frozen: tuple[str, ...] = ()
    """Options of the steps that forbid changes of the lockfile, removed if a site's overrides
    change what is installed.
    """
    go_steps: tuple[str, ...] = ()
    """Labels of the steps that build only `go_part`."""
    go_part: str | None = None
    """Folder of the built tree with the Go part; None if there is none."""
    mounts: tuple[Mount, ...] = ()
    """Folders of this machine that the steps read."""
    ask_modules: Command | None = None
    """Run after a step that lacks a Go module: fetches all, and reports each missing one."""


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What a role's recipe may depend on in a run."""

    stage: int
    sim_config: str | None = None
    """Path in the container of the simulated SDK's TOML."""
    fail_fast: bool = False
    ports: Ports = field(default_factory=Ports)
    network: ChainNetwork | None = None
    """The network that the chain node follows; None for a local chain."""
    shared: bool = False
    """Nodes of other runs follow the chain: they must compute the same state."""
    traces: tuple[str, ...] = ()
    bootstrap: str | None = None
    """Path in the container of the chain's bootstrap configuration."""
    sdk_bootstrap: bool = False
    """See `RunPlan.sdk_bootstrap`."""
    snapshot_interval: int | None = None
    """See `RunPlan.snapshot_interval`."""
    client: Literal["solo", "wallet"] = "solo"
    """See `RunPlan.client`."""
    compute_limit: int | None = None
    """See `RunPlan.compute_limit`."""


def trace_paths(role: str, ctx: RoleContext, known: Collection[str]) -> dict[str, str]:
    """Trace → its path, for the requested traces that the role can record."""
    return {
        name: f"{OUT}/{role}-stage-{ctx.stage}-{name}-trace" for name in ctx.traces if name in known
    }


def load_service(ctx: RoleContext, env: Mapping[str, str], *driver: str) -> Command:
    """The load service, with the family's driver as its child; `env` is the driver's."""
    port = str(ctx.ports.loadgen)
    argv = (
        *("python3", f"{TOOLS}/service/main.py"),
        *("--events", events_path(ctx.stage)),
        *("--port", port),
        *(("--fail-fast",) if ctx.fail_fast else ()),
        *("--", *driver),
    )
    return Command(argv=argv, env={**env, LOAD_PORT_VARIABLE: port}, workdir=PROJECT)


class SourceTree(Protocol):
    """A revision's files and history, before they are checked out."""

    def read(self, path: str) -> bytes | None:
        """A file's content at the revision; None where there is none."""
        ...

    def contains(self, commit: str) -> bool | None:
        """True if `commit` is an ancestor of (or is) the revision; None if unknown."""
        ...


class SdkFamily(Protocol):
    """An SDK family at one revision, with its era."""

    name: str
    simulated: bool
    era: str
    notes: tuple[str, ...]
    """Warnings, e.g. that the revision is outside the table of eras."""

    def image(self) -> ImageRecipe:
        """The image that builds the SDK and runs every role."""
        ...

    def build(self) -> BuildRecipe:
        """How the SDK in /src is built."""
        ...

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        """The chain node."""
        ...

    def solo(self, ctx: RoleContext) -> RoleRecipe:
        """The client, for load through a client kernel."""
        ...

    def loadgen(self, ctx: RoleContext) -> RoleRecipe:
        """The load service with this family's driver for the context's client.

        With `wallet`, its `provision` creates and funds the wallets.
        """
        ...

    def lacks(self, feature: str) -> str | None:
        """Why this revision cannot do it (`xsnap`, `kvstore` and `swingstore` traces, `bootstrap`,
        `state-sync`, `wallet`, `compute-limit`); None if it can, or if unknown.
        """
        ...

    def tools(self) -> Mapping[str, Path]:
        """Folder name below TOOLS → folder on disk, copied for every run."""
        ...


def clients(family: SdkFamily, ctx: RoleContext) -> tuple[RoleRecipe, ...]:
    """The clients that are roles; none if the load acts through smart wallets."""
    return (family.solo(ctx),) if ctx.client == "solo" else ()


class SdkFactory(Protocol):
    """Chooses the era and creates the family object."""

    def __call__(self, revision: ResolvedRevision, tree: SourceTree) -> SdkFamily:
        """Raise `UsageError` for a tree of another kind."""
        ...
