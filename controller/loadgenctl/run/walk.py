"""What the steps of a run are done with, and what they have found out so far."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from loadgenctl.clock import Clock
from loadgenctl.engines.base import EngineInfo
from loadgenctl.errors import LoadgenError, RunError
from loadgenctl.model import ChainNetwork, RunPlan
from loadgenctl.monitor.own import OwnUsage, read_own_usage
from loadgenctl.monitor.readers import ThreadReader
from loadgenctl.monitor.sampler import ReaderFactory
from loadgenctl.networks.fetch import HttpFetch
from loadgenctl.networks.origin import Found, OriginReader
from loadgenctl.process import Runner as ProcessRunner
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import Pod
from loadgenctl.run.disk import Disks
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.making import ImageRef, Makers, Wanted
from loadgenctl.run.resume import Resumption
from loadgenctl.sdks.base import SdkFamily

T = TypeVar("T")

BUILD_LOG = "build.log"


def _nobody_waits() -> None:
    """For runs that nobody drives."""


@dataclass(frozen=True, slots=True)
class Services(Makers):
    """What a run is done with; made by the composition root, faked by tests."""

    clock: Clock
    processes: ProcessRunner
    interrupts: Interrupts
    role_user: tuple[int, int]
    """uid and gid of the roles."""
    finish: Callable[[RunStore], None]
    """Called at the very end: the analysis side makes the summary from the folder."""
    site_name: str | None = None
    disks: Disks = field(default_factory=Disks)
    """What is known of disks; tests have their own."""
    make_reader: ReaderFactory = ThreadReader
    """How the sampler reads without waiting; tests read inline."""
    own_usage: OwnUsage = read_own_usage
    """What the controller itself uses."""
    origins: OriginReader = field(default_factory=lambda: OriginReader(HttpFetch()))
    """How networks that others run are looked up."""
    on_ready: Callable[[], None] = _nobody_waits
    """Called when all is up that a person drives by hand, right after a step was told."""


@dataclass(slots=True)
class Walk:
    """What the steps have found out so far."""

    plan: RunPlan
    services: Services
    engine_info: EngineInfo
    wanted: Wanted
    store: RunStore
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    image: ImageRef | None = None
    source_dir: Path | None = None
    pod: Pod | None = None
    answer: Found | RunError | None = None
    """What the origin of a network that others run said, or that it said nothing."""
    held: ExitStack = field(default_factory=ExitStack)
    """What is given back when the run is over."""
    resumption: Resumption | None = None
    """Of a run that is gone on with."""

    @property
    def family(self) -> SdkFamily:
        """What the SDK is."""
        return self.wanted.family

    @property
    def found(self) -> Found | None:
        """The network that others run."""
        return None if isinstance(self.answer, RunError) else self.answer

    @property
    def network(self) -> ChainNetwork | None:
        """What of it roles are told."""
        return None if self.found is None else self.found.network

    @property
    def build_log(self) -> Path:
        """Where what is made tells of it."""
        return self.store.path(BUILD_LOG)


def known(value: T | None) -> T:
    """What an earlier step has found out."""
    if value is None:
        raise LoadgenError("a step ran before the one it builds on")
    return value
