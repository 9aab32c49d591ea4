"""What a run works with: the services that it is given, and the context that its steps share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from isal import igzip_lib

from loadgenctl.building.builder import Builder
from loadgenctl.building.overrides import Overrides
from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, EngineInfo, RoleState
from loadgenctl.errors import LoadgenError, RunError
from loadgenctl.images import ImageRef
from loadgenctl.model import ChainNetwork, ResolvedRevision, RunPlan
from loadgenctl.monitor.readers import ThreadReader
from loadgenctl.monitor.sampler import ReaderFactory
from loadgenctl.monitor.self_usage import OwnUsage, read_own_usage
from loadgenctl.networks.fetch import HttpFetch
from loadgenctl.networks.origin import Found, OriginReader
from loadgenctl.plainfile import RolePath, write_plain
from loadgenctl.process import Runner
from loadgenctl.records import schema
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import Pod
from loadgenctl.roles.role import Role, signal_of
from loadgenctl.run.disk_space import DiskGuard, Disks
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.progress import Progress
from loadgenctl.run.resume import Resumption
from loadgenctl.run.saved_storage import StorageSaver
from loadgenctl.sdks.base import (
    OUT,
    STATE,
    TOOLS,
    BuildRecipe,
    ImageRecipe,
    RoleContext,
    SdkFactory,
    SdkFamily,
)
from loadgenctl.sources.base import SdkSource

SHARED = "shared"
"""Folder in the results that is /out in the containers; removed at the run's end."""
AT_ONCE = 1.0
"""Seconds that a role may take to stop after the second Ctrl-C."""

MakeImage = Callable[[ImageRecipe, Callable[[str], None]], ImageRef]
"""The image of a recipe, built or reused; every line of its build's output goes to the second
argument. Raises `BuildError`.
"""


@dataclass(frozen=True, slots=True)
class ResolvedSdk:
    """A revision that is pinned down, and what its SDK is."""

    resolved: ResolvedRevision
    family: SdkFamily
    recipe: BuildRecipe
    """Of the build, with the site's overrides."""
    deviations: tuple[str, ...] = ()
    """What the site's overrides change in what is run; see `Tailored`."""


def _do_nothing() -> None:
    """For runs that are not driven by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What runs and builds work with; made by the composition root, faked by tests."""

    engine: Engine
    clock: Clock
    source: SdkSource
    factory: SdkFactory
    make_image: MakeImage | None
    """None if there is no image: roles are programs of this machine."""
    builder: Builder
    processes: Runner
    progress: Progress
    interrupts: Interrupts
    role_user: tuple[int, int]
    """uid and gid of the roles."""
    finish: Callable[[RunStore], dict[str, Any]]
    """Called at the very end: the analysis side writes and returns the summary."""
    overrides: Overrides = field(default_factory=Overrides)
    """The site's changes of how an SDK is built."""
    site_name: str | None = None
    disks: Disks = field(default_factory=Disks)
    """What is known of disks; tests have their own."""
    make_reader: ReaderFactory = ThreadReader
    """How the sampler reads without waiting; tests read inline."""
    own_usage: OwnUsage = read_own_usage
    """What the controller itself uses."""
    origins: OriginReader = field(default_factory=lambda: OriginReader(HttpFetch()))
    """Reads the descriptions of networks that others run."""
    on_ready: Callable[[], None] = _do_nothing
    """Called in a run by hand when everything is ready, right after a step was reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(Services):
    """A run's services, its plan, and what is known of it before its first step."""

    plan: RunPlan
    engine_info: EngineInfo
    sdk: ResolvedSdk
    store: RunStore
    disk: DiskGuard
    saver: StorageSaver
    origin: Found | RunError | None
    """What the origin of a network that others run says, or why it cannot be read."""
    resumption: Resumption | None
    """Of a run that is resumed."""
    run_id: str
    held: ExitStack
    """What is released when the run is over."""
    vat_names: dict[str, str | None] = field(default_factory=dict)
    """Vat id → name as in the slog; grows while stages run."""
    opened: Pod | None = None
    """See `pod`."""

    @classmethod
    def of(cls, services: Services, **known: Any) -> RunContext:
        """The context of a run: all services, and the fields in `known`."""
        given = {each.name: getattr(services, each.name) for each in fields(Services)}
        return cls(**given, **known)

    @property
    def pod(self) -> Pod:
        """The roles' containers, for the steps after the one that opens the pod."""
        if self.opened is None:
            raise LoadgenError("a step ran before the one that opens the pod")
        return self.opened

    @property
    def family(self) -> SdkFamily:
        """What the SDK is."""
        return self.sdk.family

    @property
    def found(self) -> Found | None:
        """The network that others run, if the chain is not our own."""
        return None if isinstance(self.origin, RunError) else self.origin

    @property
    def network(self) -> ChainNetwork | None:
        """The part of it that roles get."""
        return None if self.found is None else self.found.network

    @property
    def shared(self) -> Path:
        """The folder that is /out in the containers."""
        return self.store.folder / SHARED

    def role_context(self, stage: int) -> RoleContext:
        """What the SDK's recipes depend on."""
        return role_context(self.plan, stage, self.network)

    def on_host(self, path: str) -> RolePath:
        """A path below /out or /state in the containers, on the host."""
        for prefix, folder in ((OUT, self.shared), (STATE, self.plan.state_dir)):
            if path.startswith(prefix + "/"):
                return RolePath(folder, PurePosixPath(path[len(prefix) :].lstrip("/")))
        raise ValueError(f"{path} is not shared with the host")

    def packed_slog(self, role: str, stage: int) -> Path:
        """Where a stage's slog goes, compressed."""
        return self.store.path(schema.slog_name(role, stage, self.plan.slog_codec))

    def patience(self) -> float:
        """Seconds that a role may take to stop when it is closed, whatever its recipe says."""
        return AT_ONCE if self.interrupts.at_once else float("inf")

    def timeout(self, role: str, default: float) -> float:
        """Seconds, as set with `--timeout.ROLE`, or `default`."""
        return self.plan.timeouts_s.get(role, default)

    def close_role(self, role: Role, name: str) -> None:
        """Stop a role, keep its log as logs/NAME.log.gz, remove it; record how it ended.

        Nothing happens unless it was started. A role that still runs here is no longer needed: the
        reason is known, and a failure to stop as it should is only a warning.
        """
        keep = self.log_keeper(name)
        if not role.started:
            return
        stopped_before = role.ended is not None
        try:
            role.end(keep, self.patience, hurry=True)
        finally:
            if role.disorder is not None and not stopped_before and not self.interrupts.at_once:
                self.progress.warn(role.disorder)
            end = role.ended or RoleState("gone")
            self.store.container_ended(
                role.name,
                exit_code=end.exit_code,
                signal=signal_of(end),
                oom_killed=end.oom_killed,
            )

    def log_keeper(self, name: str) -> Callable[[bytes], None]:
        """Where a log goes: chunks appended to logs/NAME.log.gz."""
        return LogFile(self.store.path("logs", f"{name}.log.gz"))


def role_context(plan: RunPlan, stage: int, network: ChainNetwork | None = None) -> RoleContext:
    """What an SDK's recipes may depend on, in one stage of a plan."""
    sim_config = f"{TOOLS}/sim.toml" if plan.sim_config else None
    return RoleContext(
        stage=stage,
        sim_config=sim_config,
        fail_fast=plan.fail_fast,
        ports=plan.ports,
        network=network,
        shared=plan.network is not None,
        traces=plan.traces,
        bootstrap=f"{TOOLS}/bootstrap.json" if plan.bootstrap else None,
        client=plan.client,
        compute_limit=plan.compute_limit,
        sdk_bootstrap=plan.sdk_bootstrap,
        snapshot_interval=plan.snapshot_interval,
    )


class LogFile:
    """Appends chunks to a gzip file; every call leaves complete gzip members behind."""

    def __init__(self, path: Path) -> None:
        """The file is made at the first chunk."""
        self._path = path

    def __call__(self, chunk: bytes) -> None:
        """Append one chunk. Raises `OSError`."""
        member = igzip_lib.compress(chunk, 1, igzip_lib.COMP_GZIP)
        with write_plain(self._path, append=True) as stream:
            stream.write(member)
