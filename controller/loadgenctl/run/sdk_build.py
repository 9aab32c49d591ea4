"""Make what a run needs before anything runs: the revision, its image, and the SDK built in it.

The same path for a run and for the commands that only build.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.building.builder import SdkBuild
from loadgenctl.building.tailoring import noted, tailor
from loadgenctl.errors import UsageError
from loadgenctl.images import ImageRef
from loadgenctl.model import RunPlan
from loadgenctl.run import leftovers
from loadgenctl.run.context import ResolvedSdk, Services
from loadgenctl.run.progress import Progress
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sdks.eras import note_era
from loadgenctl.sources.base import SourceRequest

NO_IMAGE = ImageRef("", "none", built=False)
"""In place of an image if roles are programs of this machine."""


def resolve(plan: RunPlan, services: Services) -> ResolvedSdk:
    """Find the plan's revision. Raises `RevisionNotFound`, `UsageError`."""
    services.progress.step("resolving the revision")
    resolved = services.source.resolve(
        SourceRequest(
            plan.sdk,
            plan.revision,
            plan.repository,
            None if plan.checkout else plan.source_dir,
        )
    )
    tree = services.source.tree(resolved)
    family = services.factory(resolved, tree)
    tailored = tailor(family.build(), services.overrides, resolved.commit, tree.read)
    as_it_is = plan.source_dir is not None and not plan.checkout
    deviations = noted(tree.read) if as_it_is else tailored.deviations
    return ResolvedSdk(resolved, family, tailored.recipe, deviations)


def sweep(services: Services) -> None:
    """Remove what dead runs left on the engine, and mark their results. Raises `EngineError`."""
    result = leftovers.sweep(services.engine)
    for name in result.removed:
        services.progress.note(f"removed {name}, left behind by a dead run")
    for line in result.marked:
        services.progress.note(line)
    result.check()


def make_image(sdk: ResolvedSdk, services: Services, log: Path) -> ImageRef:
    """The revision's image, made or reused; the build's output is also appended to `log`.

    `NO_IMAGE` if none is needed. Raises `BuildError`.
    """
    progress, recipe = services.progress, sdk.family.image()
    for note in sdk.family.notes:
        progress.warn(note)
    for deviation in sdk.deviations:
        progress.note(f"the SDK's build is changed by the site: {deviation}")
    if services.make_image is None:
        return NO_IMAGE
    progress.step(f"image {recipe.name} (Debian {recipe.suite})")
    return services.make_image(recipe, BuildLog(log, progress).line)


def make_sdk(
    plan: RunPlan, sdk: ResolvedSdk, image: ImageRef, services: Services, log: Path
) -> Path:
    """The folder with the SDK built at this revision, from the cache if it is there.

    The user's own folder (`--src`) is used as it is, and filled if it is empty. Raises
    `BuildError`, and `UsageError` if the SDK in the user's own folder is not built.
    """
    recipe, folder = sdk.recipe, plan.source_dir
    if folder is not None and not plan.checkout:
        _check_built(folder, recipe)
        services.progress.note(f"using {folder} as it is")
        return folder
    what = SdkBuild(services.source, sdk.resolved, recipe, image.id)
    if folder is not None:
        resolved = sdk.resolved
        services.progress.note(f"checking out and building {resolved.short} in {folder}")
        built = services.builder.fill(what, folder, log)
        if resolved.commit is not None:
            note_era(built, resolved.commit, sdk.family.era)
        return built
    return services.builder.build(what, log)


def _check_built(folder: Path, recipe: BuildRecipe) -> None:
    missing = [name for name in recipe.makes if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"the SDK in {folder} is not built: {', '.join(missing)} missing",
            hint=f"to build it there: loadgenctl sdk build --src {shlex.quote(str(folder))}",
        )


@dataclass(frozen=True, slots=True)
class BuiltSdk:
    """An SDK that is ready to be run."""

    sdk: ResolvedSdk
    image: ImageRef
    source_dir: Path
    """The built tree."""


def make(plan: RunPlan, services: Services, log: Path) -> BuiltSdk:
    """Make everything that a run of the plan needs, and run nothing.

    An SDK in the user's own folder (`--src`) is built there. Raises `UsageError`, `BuildError`.
    """
    sweep(services)
    sdk = resolve(plan, services)
    image = make_image(sdk, services, log)
    if plan.source_dir is None or plan.checkout:
        return BuiltSdk(sdk, image, make_sdk(plan, sdk, image, services, log))
    built = services.builder.build_in_place(plan.source_dir, sdk.recipe, image.id, log)
    return BuiltSdk(sdk, image, built)


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
