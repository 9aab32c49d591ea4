"""`loadgenctl image`: the images that loadgenctl builds on the engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from loadgenctl.cli.parameters import PASS_ON, BuildCommand, Config, Json, QuickGroup, Quiet
from loadgenctl.cli.sdk import Work, making
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import UsageError

if TYPE_CHECKING:
    from typing import Protocol

    from loadgenctl.cli.merged_options import Inputs
    from loadgenctl.images import ImageInfo, ImageRef
    from loadgenctl.sdks.base import SdkFamily

    class Images(Protocol):
        """The images on an engine; see `ImageStore`."""

        def list(self) -> list[ImageInfo]:
            """All of ours."""
            ...

        def remove(self, tag: str) -> bool:
            """Remove one; False if it is not there. Raises `UsageError`."""
            ...


image_app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    help="List, build and remove the images that loadgenctl makes.",
)


@image_app.command("list")
def list_command(json_output: Json = False) -> None:
    """List the images: tag, size, age."""
    from loadgenctl.cli.wiring import image_store

    with image_store() as store:
        show_images(store, now=time.time(), as_json=json_output)


@image_app.command("build", cls=BuildCommand, context_settings=PASS_ON)
def build_command(
    ctx: typer.Context,
    all_in_one: Annotated[
        bool,
        typer.Option(
            "--all-in-one",
            help="Build one image that contains loadgenctl, too. `docker run` then builds and"
            " measures a revision.",
        ),
    ] = False,
    era: Annotated[
        str | None,
        typer.Option(
            "--era", metavar="NAME", help="Era to build (see docs/eras.md), instead of a revision."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--tag", "-t", metavar="NAME[:TAG]", help="Additional tag for the image."),
    ] = None,
    json_output: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Build the image that an SDK revision is built and run in, unless it exists.

    With --all-in-one, chain, client and load generator run as processes in one container. It needs
    no engine inside and serves every revision of the same era.

    Exit codes: 0 built, or found built; 2 bad usage; 3 build failed; 130 interrupted.
    """
    from loadgenctl.cli.merged_options import read_for_build

    keep_going()
    given = read_for_build(ctx.args, config)
    image = build_image(given, all_in_one=all_in_one, era=era, name=name, quiet=quiet)
    if json_output:
        from loadgenctl.cli.print_data import print_json

        print_json({"tag": image.tag, "id": image.id, "name": name})
    else:
        sys.stdout.write(f"{name or image.tag}\n")


@image_app.command("remove")
def remove_command(
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="Tags shown by `image list`.")],
) -> None:
    """Remove images. Images in use by a container are kept."""
    from loadgenctl.cli.wiring import image_store

    keep_going()
    with image_store() as store:
        remove_each(store, tags)


def show_images(images: Images, *, now: float, as_json: bool) -> None:
    """Print all images of ours, by tag; `now` in epoch seconds."""
    from loadgenctl.cli.print_data import print_json, print_table
    from loadgenctl.formatting import age, size

    found = images.list()
    if as_json:
        rows = [
            {
                "tag": info.tag,
                "id": info.id,
                "size_bytes": info.size_bytes,
                "created_at": info.created,
            }
            for info in found
        ]
        print_json(rows)
    elif found:
        table = [(info.tag, size(info.size_bytes), age(now - info.created)) for info in found]
        print_table(("tag", "size", "age"), table, right="size")
    else:
        sys.stdout.write("no loadgenctl images found\n")


def build_image(
    given: Inputs, *, all_in_one: bool, era: str | None, name: str | None, quiet: bool
) -> ImageRef:
    """Build the image of an SDK revision, or find it built. Raises `BuildError`, `UsageError`.

    `all_in_one`: the image that contains loadgenctl, too. `era` replaces the revision. `name` is an
    additional tag.
    """
    from loadgenctl.images.image_store import parse_name
    from loadgenctl.run.sdk_build import resolve, sweep

    if name is not None:
        parse_name(name)
    family = None if era is None else _of_era(given, era)
    with making(given, quiet=quiet) as work:
        sweep(work.services)
        family = family or resolve(work.plan, work.services).family
        image = _make(family, work, all_in_one=all_in_one)
        if name is not None:
            work.wiring.images().name(image, name)
    return image


def _of_era(given: Inputs, era: str) -> SdkFamily:
    from loadgenctl.plan.settings import DEFAULT
    from loadgenctl.sdks import agoric

    settings = given.settings
    if settings.get("sdk") != "agoric":
        raise UsageError("--era is for the Agoric SDK", hint="leave it out with --sdk sim")
    for path in (("revision",), ("src",)):
        if settings.origins.get(path, DEFAULT) != DEFAULT:
            raise UsageError(
                f"{settings.origins[path]} and --era exclude each other",
                hint="a revision has its era; give one of them",
            )
    return agoric.of_era(era)


def _make(family: SdkFamily, work: Work, *, all_in_one: bool) -> ImageRef:
    from loadgenctl.run.sdk_build import BuildLog

    progress, recipe = work.services.progress, family.image()
    line = BuildLog(work.log, progress).line
    for note in family.notes:
        progress.warn(note)
    progress.step(f"image {recipe.name} (Debian {recipe.suite})")
    if not all_in_one:
        return work.wiring.images().ensure(recipe, line)
    return work.wiring.all_in_one().ensure(family.name, family.era, recipe, line)


def remove_each(images: Images, tags: Sequence[str]) -> None:
    """Remove images. Raises `UsageError` when the others are removed, if one could not be."""
    refused: list[UsageError] = []
    for tag in tags:
        try:
            there = images.remove(tag)
        except UsageError as error:
            refused.append(error)
            continue
        if there:
            sys.stdout.write(f"removed {tag}\n")
        else:
            hint = "`loadgenctl image list` shows what is there"
            refused.append(UsageError(f"no image {tag} on the engine", hint=hint))
    if refused:
        raise UsageError("; ".join(error.message for error in refused), hint=refused[0].hint)
