"""The toolchain that loadgenctl itself is installed beside, in the one-container image.

No image is built there: SDKs are built with this toolchain, or the revision is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.images.image_store import ImageRef
from loadgenctl.model import ResolvedRevision
from loadgenctl.records.json_documents import read_as
from loadgenctl.sdks.base import ImageRecipe, SdkFactory, SdkFamily, SourceTree

_SHOWN = {"suite": "Debian", "node": "Node", "go_package": "Go package", "yarn": "yarn"}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """An SDK's image as in image.json: its names, and the values of its recipe."""

    sdk: str
    era: str
    tag: str
    id: str
    suite: str
    values: dict[str, Any]

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def serves(self, recipe: ImageRecipe) -> bool:
        """True if the recipe's image would have the same content."""
        return self.suite == recipe.suite and self.values == plain(recipe)


def plain(recipe: ImageRecipe) -> dict[str, Any]:
    """A recipe's values after a round trip through JSON."""
    values: dict[str, Any] = json.loads(json.dumps(dict(recipe.values)))
    return values


def load_toolchain(path: Path) -> Toolchain:
    """Read image.json. Raises `LoadgenError` if it is damaged."""
    hint = "build the one-container image again"
    try:
        toolchain = read_as(Toolchain, path)
    except (OSError, ValueError) as error:
        raise LoadgenError(f"{path} cannot be read: {error}", hint=hint) from error
    if toolchain is None:
        raise LoadgenError(f"there is no {path}", hint=hint)
    return toolchain


@dataclass(frozen=True, slots=True)
class OwnImage:
    """The image around this process, in place of those of an `ImageStore`."""

    toolchain: Toolchain
    builds: bool
    """True if an SDK is to be built with it, not only run."""
    warn: Callable[[str], None]

    def ensure(self, _recipe: ImageRecipe, on_line: Callable[[str], None]) -> ImageRef:
        """The image; `serving` has checked that it matches."""
        on_line(f"the image {self.toolchain.tag}, which loadgenctl is installed in")
        return ImageRef(self.toolchain.tag, self.toolchain.id, built=False)

    def serving(self, factory: SdkFactory) -> SdkFactory:
        """A factory of the SDKs that this image supports: `UsageError` for what cannot be built
        here.

        An SDK that is already built elsewhere is run, with a warning.
        """

        def make(revision: ResolvedRevision, tree: SourceTree) -> SdkFamily:
            family = factory(revision, tree)
            if not self.toolchain.serves(family.image()):
                self._unserved(family)
            return family

        return make

    def _unserved(self, family: SdkFamily) -> None:
        own = self.toolchain
        what = f"this image has the toolchain of {own.era}, but the SDK needs that of {family.era}"
        if self.builds:
            raise UsageError(
                f"{what}: {_difference(own, family.image())}",
                hint="make an image for the revision:"
                " loadgenctl image build --all-in-one --revision REV -t NAME",
            )
        self.warn(f"{what}: its programs may not start here")


def _difference(own: Toolchain, recipe: ImageRecipe) -> str:
    """The differences of two toolchains, for messages."""
    there, wanted = {"suite": own.suite, **own.values}, {"suite": recipe.suite, **plain(recipe)}
    different = [
        f"{word} {there[key]} in place of {wanted[key]}"
        for key, word in _SHOWN.items()
        if key in there and key in wanted and there[key] != wanted[key]
    ]
    return ", ".join(different) or "another kind of image"
