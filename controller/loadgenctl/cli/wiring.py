"""The composition root: the only place where real clocks, engines and folders are chosen."""

from __future__ import annotations

import os
import site
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import docker
from rich.console import Console

from loadgenctl import resources
from loadgenctl.cachedir import cache_dir
from loadgenctl.cli.console import ConsoleProgress
from loadgenctl.cli.localsite import keep_gitconfig, local_build_settings
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.engines import labels
from loadgenctl.engines.base import Engine
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.engines.docker_connect import connect as connect_docker
from loadgenctl.engines.local import LocalEngine
from loadgenctl.engines.local_registry import Registry
from loadgenctl.errors import LoadgenError
from loadgenctl.filetrouble import file_error
from loadgenctl.images import ImageStore
from loadgenctl.images.allinone import AllInOne
from loadgenctl.images.own import OwnImage, load_toolchain
from loadgenctl.model import Mount, RunPlan
from loadgenctl.networks.fetch import HttpFetch
from loadgenctl.networks.origin import OriginReader
from loadgenctl.owner import Owner
from loadgenctl.process import INTERPRETER, Runner, own_environment
from loadgenctl.records import schema
from loadgenctl.records.store import RunStore
from loadgenctl.run import host
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.leftovers import Swept, sweep
from loadgenctl.run.progress import Progress, Silent
from loadgenctl.run.walk import Services
from loadgenctl.sdkbuild import Builder
from loadgenctl.sdks import agoric, sim
from loadgenctl.sdks.base import SdkFactory
from loadgenctl.site import SiteSettings
from loadgenctl.sources.base import SdkSource
from loadgenctl.sources.bundled import BundledSource
from loadgenctl.sources.cache import SdkCache
from loadgenctl.sources.directory import DirectorySource
from loadgenctl.sources.git import GitSource
from loadgenctl.stats.finish import finish_run

DOCKER, LOCAL = "docker", "local"
ENGINES = (LOCAL, DOCKER)
FACTORIES: Mapping[str, SdkFactory] = {"agoric": agoric.make, "sim": sim.make}


@contextmanager
def connect(kind: str) -> Iterator[Engine]:
    """An engine of `ENGINES`: the local one, or the Docker engine that the environment names.

    Raises `EngineUnavailable`.
    """
    clock = SystemClock()
    engine: Engine = local_engine(clock) if kind == LOCAL else DockerEngine(connect_docker(), clock)
    try:
        yield engine
    finally:
        engine.close()


def local_engine(clock: Clock) -> LocalEngine:
    """The processes of this machine, as the caller."""
    # Keepers and the roles that are Python programs of ours inherit it.
    caller = own_environment(os.environ)
    if site.ENABLE_USER_SITE:
        # What was installed for the person alone is found below their home, and roles have another.
        caller["PYTHONUSERBASE"] = site.getuserbase()
    return LocalEngine(Registry(cache_dir() / "local", python=INTERPRETER), clock, caller)


@contextmanager
def at_work(
    settings: SiteSettings,
    *,
    quiet: bool,
    engine: str = DOCKER,
    progress: ConsoleProgress | None = None,
) -> Iterator[Wiring]:
    """For what takes its time: the engine, progress on standard error, signals taken over.

    `view` is as in `ConsoleProgress`. Raises `EngineUnavailable`.
    """
    progress = progress or ConsoleProgress(Console(stderr=True), quiet=quiet)
    interrupts = Interrupts()
    with interrupts.installed(), Wiring(settings, progress, interrupts, engine) as wiring:
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
    with connect(DOCKER) as engine:
        engine.info()


def sweep_engine() -> Swept:
    """Remove what dead runs left on the engine. Raises `EngineUnavailable`."""
    with connect(DOCKER) as engine:
        return sweep(engine)


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
    engine: str = DOCKER

    def __enter__(self) -> Wiring:
        """Connect to the engine. Raises `EngineUnavailable`."""
        self._clock = SystemClock()
        self._client: docker.DockerClient | None = None
        self._engine: Engine
        if self.engine == LOCAL:
            self._engine = local_engine(self._clock)
        else:
            self._client = connect_docker()
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
        runner = Runner()
        local = self._client is None
        user = host.caller() if local else host.role_user()
        own, factory = self._own_image(plan), FACTORIES[plan.sdk]
        return Services(
            engine=self._engine,
            clock=self._clock,
            source=self._source(plan, runner),
            factory=factory if own is None else own.serving(factory),
            images=own if local else self.images(),
            builder=self._builder(plan, user),
            processes=runner,
            progress=self.progress,
            interrupts=self.interrupts,
            role_user=user,
            finish=self._finish(plan),
            site_name=self.site_settings.name,
            overrides=self.site_settings.overrides,
            origins=OriginReader(
                HttpFetch(self.site_settings.ca_bundle, self.site_settings.proxies())
            ),
        )

    def images(self) -> ImageStore:
        """Our images on the engine, which has to be Docker's."""
        if self._client is None:
            raise LoadgenError(f"the {self.engine} engine has no images")
        return ImageStore(
            self._client,
            Runner(),
            self.site_settings,
            self._clock,
            cache_dir(),
            cleaning=self.interrupts.held,
        )

    def _source(self, plan: RunPlan, runner: Runner) -> SdkSource:
        if plan.source_dir is not None and not plan.checkout:
            return DirectorySource(runner)
        if plan.sdk == "sim" and plan.repository is None:
            return BundledSource()
        return git_source(self.site_settings, self.progress.step)

    def all_in_one(self) -> AllInOne:
        """Maker of one-container images, on Docker's engine."""
        return AllInOne(self.images(), Runner(), self.site_settings, cache_dir())

    def _own_image(self, plan: RunPlan) -> OwnImage | None:
        """The one-container image, if this process is in it."""
        document = resources.own_image()
        if document is None or self._client is not None:
            return None
        return OwnImage(load_toolchain(document), builds=plan.checkout, warn=self.progress.warn)

    def _builder(self, plan: RunPlan, user: tuple[int, int]) -> Builder:
        cache = cache_dir()
        env, mounts = self._build_settings(cache, building=plan.checkout)
        return Builder(
            engine=self._engine,
            clock=self._clock,
            cache=sdk_cache(),
            packages=cache / "packages",
            user=f"{user[0]}:{user[1]}",
            env=env,
            mounts=mounts,
            mask=self.site_settings.mask(),
            labels=labels.make(Owner.current(), "build", "builder", plan.output_dir),
            on_step=self.progress.step,
            on_line=self.progress.output,
            check=self.interrupts.check,
            cleaning=self.interrupts.held,
        )

    def _build_settings(
        self, cache: Path, *, building: bool
    ) -> tuple[Mapping[str, str], Sequence[Mount]]:
        """What the site says of builds, as environment and mounts of this engine's builder."""
        settings = self.site_settings
        if self._client is None:
            return local_build_settings(settings, cache / "build-home") if building else ({}, ())
        try:
            cache.mkdir(parents=True, exist_ok=True)
            gitconfig = keep_gitconfig(cache / "site", "gitconfig", settings.builder_gitconfig())
        except OSError as error:
            raise file_error(error) from error
        return settings.builder_env(), settings.builder_mounts(gitconfig=gitconfig)

    def _finish(self, plan: RunPlan) -> Callable[[RunStore], None]:
        def finish(store: RunStore) -> None:
            summary = finish_run(
                store.folder,
                success=store.status.outcome == "passed",
                metadata={
                    "profile": plan.profile,
                    **_origin(plan),
                    "testData": dict(plan.test_data),
                },
                record=lambda stats: store.perf("perf-finish", stats=stats),
            )
            store.write_document(schema.SUMMARY, summary)

        return finish


def _origin(plan: RunPlan) -> dict[str, Any]:
    """What the original's metadata say of a network; nothing of a chain of one's own."""
    if plan.origin is None:
        return {}
    return {"testnetOrigin": plan.origin, "useStateSync": plan.state_sync}
