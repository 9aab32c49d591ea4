"""The composition root: the only module that chooses clocks, engines and folders."""

from __future__ import annotations

import hashlib
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
from loadgenctl.building.builder import Builder
from loadgenctl.building.site import SiteSettings
from loadgenctl.cli.console import ConsoleProgress
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Engine
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.engines.docker_connection import connect as connect_docker
from loadgenctl.engines.local import LocalEngine
from loadgenctl.engines.local_registry import Registry
from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.file_errors import file_error
from loadgenctl.images import ImageStore
from loadgenctl.images.all_in_one import AllInOne
from loadgenctl.images.installed_toolchain import OwnImage, load_toolchain
from loadgenctl.model import Mount, RunPlan
from loadgenctl.networks.fetch import HttpFetch
from loadgenctl.networks.origin import OriginReader
from loadgenctl.owner import Owner
from loadgenctl.process import INTERPRETER, Runner, own_environment
from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.store import RunStore
from loadgenctl.resources import cache_dir
from loadgenctl.run import run_folders
from loadgenctl.run.context import Services
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.leftovers import SweepResult, sweep
from loadgenctl.run.progress import Progress
from loadgenctl.sdks import agoric, sim
from loadgenctl.sdks.base import BUILD_HOME, SdkFactory
from loadgenctl.sources.base import SdkSource
from loadgenctl.sources.bundled import BundledSource
from loadgenctl.sources.directory import DirectorySource
from loadgenctl.sources.git import GitSource
from loadgenctl.sources.sdk_cache import SdkCache
from loadgenctl.stats.original_perf_finish import finish_run

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
    """The engine that runs roles as processes of this machine, as the caller."""
    # Keepers, and roles that are Python programs of ours, inherit this environment.
    caller = own_environment(os.environ)
    if site.ENABLE_USER_SITE:
        # Packages installed for the user are in the user's home, and roles have another home.
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
    """For long work: connect to the engine, show progress on standard error, handle signals.

    Raises `EngineUnavailable`.
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
    """The images on the Docker engine. Raises `EngineUnavailable`."""
    with Wiring(SiteSettings(), Progress(), Interrupts()) as wiring:
        yield wiring.images()


def engine_ready() -> None:
    """Raise `EngineUnavailable` unless the Docker engine answers."""
    with connect(DOCKER) as engine:
        engine.info()


def sweep_engine() -> SweepResult:
    """Remove what dead runs left on the Docker engine. Raises `EngineUnavailable`."""
    with connect(DOCKER) as engine:
        return sweep(engine)


def git_source(site: SiteSettings, say: Callable[[str], None]) -> GitSource:
    """Revisions of git repositories, mirrored in the cache."""
    return GitSource(Runner(), cache_dir(), site.rewrite_git, SystemClock(), say)


def sdk_cache() -> SdkCache:
    """The built SDKs."""
    return SdkCache(cache_dir() / "sdk")


@dataclass
class Wiring:
    """What a run needs, for the duration of one command."""

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
        """Disconnect from the engine."""
        self._engine.close()

    def services(self, plan: RunPlan) -> Services:
        """The services that execute the plan."""
        runner = Runner()
        local = self._client is None
        user = run_folders.caller() if local else run_folders.role_user()
        own, factory = self._own_image(plan), FACTORIES[plan.sdk]
        make_image = None if own is None else own.ensure
        return Services(
            engine=self._engine,
            clock=self._clock,
            source=self._source(plan, runner),
            factory=factory if own is None else own.serving(factory),
            make_image=make_image if local else self.images().ensure,
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
        """Our images on the engine, which must be Docker's."""
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
        """The builder of one-container images, on the Docker engine."""
        return AllInOne(self.images(), Runner(), self.site_settings, cache_dir())

    def _own_image(self, plan: RunPlan) -> OwnImage | None:
        """The one-container image, if this process runs in it."""
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
            labels=ownership_labels.make(Owner.current(), "build", "builder", plan.output_dir),
            on_step=self.progress.step,
            on_line=self.progress.output,
            check=self.interrupts.check,
            cleaning=self.interrupts.held,
        )

    def _build_settings(
        self, cache: Path, *, building: bool
    ) -> tuple[Mapping[str, str], Sequence[Mount]]:
        """The site's settings for builds: environment and mounts of this engine's builder."""
        settings = self.site_settings
        if self._client is None:
            return local_build_settings(settings, cache / "build-home") if building else ({}, ())
        try:
            cache.mkdir(parents=True, exist_ok=True)
            gitconfig = keep_gitconfig(cache / "site", "gitconfig", settings.builder_gitconfig())
        except OSError as error:
            raise file_error(error) from error
        return settings.builder_env(), settings.builder_mounts(gitconfig=gitconfig)

    def _finish(self, plan: RunPlan) -> Callable[[RunStore], dict[str, Any]]:
        def finish(store: RunStore) -> dict[str, Any]:
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
            return summary

        return finish


def _origin(plan: RunPlan) -> dict[str, Any]:
    """The original load generator's metadata of a network; empty for a local chain."""
    if plan.origin is None:
        return {}
    return {"testnetOrigin": plan.origin, "useStateSync": plan.state_sync}


def keep_gitconfig(parent: Path, name: str, content: str) -> Path:
    """Write the git settings to a file of that name, in a folder of its own for this content.

    So commands with other settings can use the cache during a build. Raises `OSError`.
    """
    file = parent / hashlib.sha256(content.encode()).hexdigest()[:16] / name
    # The file may hold credentials but must be readable for the builder's user, so that access is
    # restricted by the folder.
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if not file.exists() or file.read_text(encoding="utf-8") != content:
        replace_file(file, content.encode())
        file.chmod(0o644)
    return file


def local_build_settings(
    site: SiteSettings, homes: Path
) -> tuple[Mapping[str, str], tuple[Mount, ...]]:
    """Environment and mounts of a build without containers.

    The build's home is a folder in `homes` with the site's git settings: the oldest git that builds
    an SDK reads them from there only. Raises `UsageError` for a mount whose target does not exist.
    """
    for mount in site.extra_mounts:
        _require_same(mount)
    try:
        home = keep_gitconfig(homes, ".gitconfig", site.host_gitconfig()).parent
    except OSError as error:
        raise file_error(error) from error
    env = site.builder_env(str(site.ca_bundle))
    return env, (Mount(str(home), BUILD_HOME),)


def _require_same(mount: Mount) -> None:
    """Refuse a mount that would need a container: other files refer to its target by path."""
    target = Path(mount.target)
    if not (target.exists() and target.samefile(mount.source)):
        raise UsageError(
            f"site.builder.mounts: {mount.source} is not at {mount.target}, and without containers"
            " nothing can be mounted",
            hint=f"put it there (docker run -v {mount.source}:{mount.target}, or a link), then name"
            " it as source, too",
        )
