"""`loadgenctl image`: the images that loadgenctl made on the engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.making import make_ready
from loadgenctl.cli.output import print_json
from loadgenctl.cli.tables import age, print_table, size
from loadgenctl.cli.wiring import image_store
from loadgenctl.errors import UsageError
from loadgenctl.images import ImageInfo


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
        sys.stdout.write("no image of loadgenctl is on the engine\n")


def build_image(given: Inputs, *, as_json: bool, quiet: bool) -> None:
    """Make the image of an SDK revision or find it made. Raises `BuildError`."""
    image = make_ready(given, with_sdk=False, quiet=quiet).image
    if as_json:
        print_json({"tag": image.tag, "id": image.id})
    else:
        sys.stdout.write(f"{image.tag}\n")


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
