"""What the steps of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isal import igzip_lib

from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, RoleState
from loadgenctl.model import ChainNetwork, RunPlan
from loadgenctl.monitor.sampler import ReaderFactory, Sampler
from loadgenctl.plainfile import RolePath, write_plain
from loadgenctl.process import Runner
from loadgenctl.records import schema
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import Pod
from loadgenctl.roles.role import Role, signal_of
from loadgenctl.run.disk import DiskGuard
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.progress import Progress
from loadgenctl.run.storage import StorageSaver
from loadgenctl.sdks.base import OUT, STATE, TOOLS, RoleContext, SdkFamily

AT_ONCE = 1.0
"""Seconds a role may take to stop after the second Ctrl-C."""


@dataclass(frozen=True, slots=True)
class StageContext:
    """Everything a stage needs, made by the runner."""

    plan: RunPlan
    engine: Engine
    clock: Clock
    store: RunStore
    pod: Pod
    family: SdkFamily
    progress: Progress
    interrupts: Interrupts
    saver: StorageSaver
    sampler: Sampler
    disk: DiskGuard
    vat_names: dict[str, str | None]
    """Vat id → name as the slog tells it; grows while stages run."""
    on_ready: Callable[[], None]
    """See `Services.on_ready`."""
    processes: Runner
    make_reader: ReaderFactory
    """See `Services.make_reader`."""
    network: ChainNetwork | None = None
    """The network that others run, if the chain is not our own."""

    def role_context(self, stage: int) -> RoleContext:
        """What the SDK's recipes depend on."""
        return role_context(self.plan, stage, self.network)

    def on_host(self, path: str) -> RolePath:
        """A path below /out or /state in the containers, on the host."""
        for prefix, folder in ((OUT, self.pod.folders.shared), (STATE, self.pod.folders.state)):
            if path.startswith(prefix + "/"):
                return RolePath(folder, PurePosixPath(path[len(prefix) :].lstrip("/")))
        raise ValueError(f"{path} is not shared with the host")

    def packed_slog(self, role: str, stage: int) -> Path:
        """Where a stage's slog goes, compressed."""
        return self.store.path(schema.slog_name(role, stage, self.plan.slog_codec))

    def patience(self) -> float:
        """Seconds a role may take to stop when it is closed, whatever its recipe says."""
        return AT_ONCE if self.interrupts.at_once else float("inf")

    def timeout(self, role: str, default: float) -> float:
        """Seconds, as the person set them or `default`."""
        return self.plan.timeouts_s.get(role, default)

    def close_role(self, role: Role, name: str) -> None:
        """Stop a role, keep its log as logs/NAME.log.gz, remove it; note how it ended.

        Nothing happens unless it was started. One that still runs by now is of no use any more: why
        is known, and that it does not stop as it should is only warned of.
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
    """Appends chunks to a gzip file; every call leaves whole gzip members behind."""

    def __init__(self, path: Path) -> None:
        """The file is made at the first chunk."""
        self._path = path

    def __call__(self, chunk: bytes) -> None:
        """Append one chunk. Raises `OSError`."""
        member = igzip_lib.compress(chunk, 1, igzip_lib.COMP_GZIP)
        with write_plain(self._path, append=True) as stream:
            stream.write(member)
