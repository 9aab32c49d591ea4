"""What has to be there before anything runs: the revision, its image, and the SDK built in it.

The same path for a run and for the commands that only build.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loadgenctl.building.builder import SdkBuild
from loadgenctl.building.overrides import Overrides
from loadgenctl.building.tailoring import noted, tailor
from loadgenctl.engines.base import Engine
from loadgenctl.errors import UsageError
from loadgenctl.model import ResolvedRevision, RunPlan
from loadgenctl.run import leftovers
from loadgenctl.run.progress import Progress
from loadgenctl.sdks.base import BuildRecipe, ImageRecipe, SdkFactory, SdkFamily
from loadgenctl.sdks.eras import note_era
from loadgenctl.sources.base import SdkSource, SourceRequest


class ImageRef(Protocol):
    """A made image."""

    @property
    def tag(self) -> str:
        """Its name."""
        ...

    @property
    def id(self) -> str:
        """Its content's id."""
        ...


class ImageMaker(Protocol):
    """Makes images or finds them made."""

    def ensure(self, recipe: ImageRecipe, on_line: Callable[[str], None]) -> ImageRef:
        """The image of a recipe. Raises `BuildError`."""
        ...


@dataclass(frozen=True, slots=True)
class NoImage:
    """Stands for an image where roles are programs of this machine; see `ImageRef`."""

    tag: str = ""
    id: str = "none"


NO_IMAGE = NoImage()


class SdkBuilder(Protocol):
    """Builds an SDK or finds it built."""

    def build(self, what: SdkBuild, log: Path) -> Path:
        """The folder for /src. Raises `BuildError`."""
        ...

    def build_in_place(self, folder: Path, recipe: BuildRecipe, image: str, log: Path) -> Path:
        """Build in a person's own folder, which is returned. Raises `BuildError`."""
        ...

    def fill(self, what: SdkBuild, folder: Path, log: Path) -> Path:
        """Check out and build in an empty folder, which is returned. Raises `BuildError`."""
        ...

    def in_use(self, tree: Path) -> AbstractContextManager[None]:
        """While it is held, nobody removes a built tree."""
        ...


@dataclass(frozen=True, slots=True)
class Makers:
    """What images and SDKs are made with; by the composition root, faked by tests."""

    engine: Engine
    source: SdkSource
    factory: SdkFactory
    images: ImageMaker | None
    """None where there is no image: roles are programs of this machine."""
    builder: SdkBuilder
    progress: Progress
    overrides: Overrides = field(default_factory=Overrides, kw_only=True)
    """What the site builds otherwise than the SDK says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A revision pinned down, and what its SDK is."""

    resolved: ResolvedRevision
    family: SdkFamily
    recipe: BuildRecipe
    """Of the build, as this site does it."""
    deviations: tuple[str, ...] = ()
    """What the site's overrides change in what is run; see `Tailored`."""


def resolve(plan: RunPlan, makers: Makers) -> Wanted:
    """The revision that the plan asks for. Raises `RevisionNotFound`, `UsageError`."""
    makers.progress.step("resolving the revision")
    resolved = makers.source.resolve(
        SourceRequest(
            plan.sdk,
            plan.revision,
            plan.repository,
            None if plan.checkout else plan.source_dir,
        )
    )
    tree = makers.source.tree(resolved)
    family = makers.factory(resolved, tree)
    tailored = tailor(family.build(), makers.overrides, resolved.commit, tree.read)
    as_it_is = plan.source_dir is not None and not plan.checkout
    deviations = noted(tree.read) if as_it_is else tailored.deviations
    return Wanted(resolved, family, tailored.recipe, deviations)


def sweep(makers: Makers) -> None:
    """Remove what dead runs left on the engine, and mark their results. Raises `EngineError`."""
    swept = leftovers.sweep(makers.engine)
    for name in swept.removed:
        makers.progress.note(f"removed {name}, left by a run that is gone")
    for line in swept.told:
        makers.progress.note(line)
    swept.check()


def make_image(wanted: Wanted, makers: Makers, log: Path) -> ImageRef:
    """The revision's image, made or reused; what its making says goes to `log`, too.

    `NO_IMAGE` where none is needed. Raises `BuildError`.
    """
    progress, recipe = makers.progress, wanted.family.image()
    for note in wanted.family.notes:
        progress.warn(note)
    for deviation in wanted.deviations:
        progress.note(f"the SDK's build is changed by the site: {deviation}")
    if makers.images is None:
        return NO_IMAGE
    progress.step(f"image {recipe.name} (Debian {recipe.suite})")
    return makers.images.ensure(recipe, BuildLog(log, progress).line)


def make_sdk(plan: RunPlan, wanted: Wanted, image: ImageRef, makers: Makers, log: Path) -> Path:
    """The folder with the SDK built at this revision, from the cache if it is there.

    A person's own folder is used as it is, and filled when it is empty. Raises `BuildError`, and
    `UsageError` for a folder of a person's own that is not built.
    """
    recipe, folder = wanted.recipe, plan.source_dir
    if folder is not None and not plan.checkout:
        _check_built(folder, recipe)
        makers.progress.note(f"using {folder} as it is")
        return folder
    what, resolved = SdkBuild(makers.source, wanted.resolved, recipe, image.id), wanted.resolved
    if folder is not None:
        makers.progress.note(f"checking out and building {resolved.short} in {folder}")
        built = makers.builder.fill(what, folder, log)
        if resolved.commit is not None:
            note_era(built, resolved.commit, wanted.family.era)
        return built
    return makers.builder.build(what, log)


def _check_built(folder: Path, recipe: BuildRecipe) -> None:
    missing = [name for name in recipe.makes if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"the SDK in {folder} is not built: {', '.join(missing)} missing",
            hint=f"to build it there: loadgenctl sdk build --src {shlex.quote(str(folder))}",
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What a run of the plan would find ready."""

    wanted: Wanted
    image: ImageRef
    source_dir: Path
    """The built tree."""


def make(plan: RunPlan, makers: Makers, log: Path) -> Made:
    """Make everything that a run of the plan needs, and run nothing.

    An SDK in a person's own folder (`--src`) is built where it is. Raises `UsageError`,
    `BuildError`.
    """
    sweep(makers)
    wanted = resolve(plan, makers)
    image = make_image(wanted, makers, log)
    if plan.source_dir is None or plan.checkout:
        return Made(wanted, image, make_sdk(plan, wanted, image, makers, log))
    built = makers.builder.build_in_place(plan.source_dir, wanted.recipe, image.id, log)
    return Made(wanted, image, built)


class BuildLog:
    """Writes build output to a file and shows it as progress."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """The file is made with the first line."""
        self._path = path
        self._progress = progress

    def line(self, text: str) -> None:
        """One line of output."""
        with self._path.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(text + "\n")
        self._progress.output(text)
