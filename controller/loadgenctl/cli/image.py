"""`loadgenctl image`: the images that loadgenctl made on the engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.making import Work, making
from loadgenctl.cli.output import print_json, print_table
from loadgenctl.cli.wiring import image_store
from loadgenctl.errors import UsageError
from loadgenctl.formatting import age, size
from loadgenctl.images import ImageInfo, ImageRef
from loadgenctl.images.store import parse_name
from loadgenctl.plan.settings import DEFAULT
from loadgenctl.run.making import BuildLog, resolve, sweep
from loadgenctl.sdks import agoric
from loadgenctl.sdks.base import SdkFamily


class Images(Protocol):
    """The images on an engine; see `ImageStore`."""

    def list(self) -> list[ImageInfo]:
        """All of ours."""
        ...

    def remove(self, tag: str) -> bool:
        """Remove one; False if it is not there. Raises `UsageError`."""
        ...


def list_images(*, as_json: bool) -> None:
    """All images of ours."""
    with image_store() as store:
        show_images(store, now=time.time(), as_json=as_json)


def show_images(images: Images, *, now: float, as_json: bool) -> None:
    """All images of ours, by tag; `now` in epoch seconds."""
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Which image of an SDK is to be made."""

    all_in_one: bool = False
    """Not the SDK's own, but that with loadgenctl in it."""
    era: str | None = None
    """In place of a revision, whose era it would be."""
    name: str | None = None
    """What it is called beside its tag."""


def build_image(given: Inputs, asked: Asked, *, as_json: bool, quiet: bool) -> None:
    """Make the image of an SDK revision or find it made. Raises `BuildError`, `UsageError`."""
    if asked.name is not None:
        parse_name(asked.name)
    era = None if asked.era is None else _of_era(given, asked.era)
    with making(given, quiet=quiet) as work:
        sweep(work.services)
        family = era or resolve(work.plan, work.services).family
        image = _make(family, work, all_in_one=asked.all_in_one)
        if asked.name is not None:
            work.wiring.images().name(image, asked.name)
    if as_json:
        print_json({"tag": image.tag, "id": image.id, "name": asked.name})
    else:
        sys.stdout.write(f"{asked.name or image.tag}\n")


def _of_era(given: Inputs, era: str) -> SdkFamily:
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
    progress, recipe = work.services.progress, family.image()
    line = BuildLog(work.log, progress).line
    for note in family.notes:
        progress.warn(note)
    progress.step(f"image {recipe.name} (Debian {recipe.suite})")
    if not all_in_one:
        return work.wiring.images().ensure(recipe, line)
    return work.wiring.all_in_one().ensure(family.name, family.era, recipe, line)


def remove_images(tags: Sequence[str]) -> None:
    """Remove images of ours."""
    with image_store() as store:
        remove_each(store, tags)


def remove_each(images: Images, tags: Sequence[str]) -> None:
    """Remove images; one that cannot go does not keep the others, `UsageError` is raised after."""
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
