"""The composition root: the only place where real clocks, engines and folders are chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import docker
from rich.console import Console

from loadgenctl.cli.console import ConsoleProgress
from loadgenctl.clock import SystemClock
from loadgenctl.engines import labels
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.engines.docker_errors import connect as connect_docker
from loadgenctl.errors import OutputFolderError
from loadgenctl.images import ImageStore
from loadgenctl.model import RunPlan
from loadgenctl.owner import Owner
from loadgenctl.process import Runner
from loadgenctl.records import schema
from loadgenctl.records.store import RunStore
from loadgenctl.run import host
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.progress import Progress, Silent
from loadgenctl.run.runner import Services
from loadgenctl.sdkbuild import Builder
from loadgenctl.sdks import agoric, sim
from loadgenctl.sdks.base import SdkFactory
from loadgenctl.site import SiteSettings
from loadgenctl.sources.base import SdkSource
from loadgenctl.sources.bundled import BundledSource
from loadgenctl.sources.cache import SdkCache
from loadgenctl.sources.directory import DirectorySource
from loadgenctl.sources.git import GitSource
from loadgenctl.stats.finish import perf_finish_stats
from loadgenctl.stats.run import summarize

CACHE_VARIABLE = "LOADGENCTL_CACHE"
FACTORIES: Mapping[str, SdkFactory] = {"agoric": agoric.make, "sim": sim.make}


def cache_dir() -> Path:
    """Where clones, built SDKs and package caches are kept between runs."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "loadgenctl"


@contextmanager
def connect() -> Iterator[DockerEngine]:
    """The Docker engine that the environment names. Raises `EngineUnavailable`."""
    engine = DockerEngine(connect_docker(docker.from_env), SystemClock())
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def at_work(site: SiteSettings, *, quiet: bool) -> Iterator[Wiring]:
    """For what takes its time: the engine, progress on standard error, signals taken over.

    Raises `EngineUnavailable`.
    """
    progress = ConsoleProgress(Console(stderr=True), quiet=quiet)
    interrupts = Interrupts()
    with interrupts.installed(), Wiring(site, progress, interrupts) as wiring:
        try:
            yield wiring
        finally:
            progress.close()


@contextmanager
def image_store() -> Iterator[ImageStore]:
    """The images on the engine, to be looked at. Raises `EngineUnavailable`."""
    with Wiring(SiteSettings(), Silent(), Interrupts()) as wiring:
        yield wiring.images()


def engine_ready() -> None:
    """Raise `EngineUnavailable` unless an engine answers."""
    with connect() as engine:
        engine.info()


def sweep_engine() -> list[str]:
    """Remove what dead runs left on the engine; kinds and names. Raises `EngineUnavailable`."""
    with connect() as engine:
        return [f"{item.kind} {item.name}" for item in labels.sweep(engine)]


def git_source(site: SiteSettings, say: Callable[[str], None]) -> GitSource:
    """Revisions of git repositories, by way of the cache."""
    return GitSource(Runner(), cache_dir(), site.rewrite_git, SystemClock(), say)


def sdk_cache() -> SdkCache:
    """The built SDKs."""
    return SdkCache(cache_dir() / "sdk")


@dataclass
class Wiring:
    """Everything a run is done with, for the time of one command."""

    site_settings: SiteSettings
    progress: Progress
    interrupts: Interrupts

    def __enter__(self) -> Wiring:
        """Connect to the engine. Raises `EngineUnavailable`."""
        self._clock = SystemClock()
        self._client = connect_docker(docker.from_env)
        self._engine = DockerEngine(self._client, self._clock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the engine go."""
        self._engine.close()

    def services(self, plan: RunPlan) -> Services:
        """What the plan is executed with."""
        runner, cache = Runner(), cache_dir()
        user = host.role_user()
        return Services(
            engine=self._engine,
            clock=self._clock,
            source=self._source(plan, runner),
            factory=FACTORIES[plan.sdk],
            images=self.images(),
            builder=self._builder(cache, user),
            processes=runner,
            progress=self.progress,
            interrupts=self.interrupts,
            role_user=user,
            finish=self._finish(plan),
            site_name=self.site_settings.name,
        )

    def images(self) -> ImageStore:
        """Our images on the engine."""
        return ImageStore(
            self._client,
            Runner(),
            self.site_settings,
            self._clock,
            cache_dir(),
            cleaning=self.interrupts.held,
        )

    def _source(self, plan: RunPlan, runner: Runner) -> SdkSource:
        if plan.source_dir is not None:
            return DirectorySource(runner)
        if plan.sdk == "sim" and plan.repository is None:
            return BundledSource()
        return git_source(self.site_settings, self.progress.step)

    def _builder(self, cache: Path, user: tuple[int, int]) -> Builder:
        site = self.site_settings
        gitconfig = cache / "site.gitconfig"
        try:
            cache.mkdir(parents=True, exist_ok=True)
            gitconfig.write_text(site.builder_gitconfig(), encoding="utf-8")
            gitconfig.chmod(0o644)
        except OSError as error:
            raise OutputFolderError(
                f"the cache {cache} cannot be written: {error.strerror}",
                hint=f"name another folder with {CACHE_VARIABLE}",
            ) from error
        return Builder(
            engine=self._engine,
            clock=self._clock,
            cache=sdk_cache(),
            packages=cache / "packages",
            user=f"{user[0]}:{user[1]}",
            env=site.builder_env(),
            mounts=site.builder_mounts(gitconfig=gitconfig),
            labels=labels.make(Owner.current(), "build", "builder"),
            on_step=self.progress.step,
            on_line=self.progress.output,
            check=self.interrupts.check,
            cleaning=self.interrupts.held,
        )

    def _finish(self, plan: RunPlan) -> Callable[[RunStore], None]:
        def finish(store: RunStore) -> None:
            stats = perf_finish_stats(
                store.folder,
                success=store.status.outcome == "passed",
                metadata={"profile": plan.profile, "testData": dict(plan.test_data)},
            )
            store.perf("perf-finish", stats=stats)
            store.write_document(schema.SUMMARY, summarize(store.folder))

        return finish
