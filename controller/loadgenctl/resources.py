"""The only place that knows where `images/`, `compose/` and the lock are: in a checkout or in an
installed wheel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from loadgenctl.errors import LoadgenError

_PACKAGE = Path(__file__).resolve().parent
RESOURCES = "_resources"
"""Folder below the package in which a wheel has them."""
OWN_IMAGE = "image.json"
"""Among the resources, in the one-container image alone."""


@cache
def root() -> Path:
    """The folder that holds `images/` and `compose/`."""
    for candidate in (_PACKAGE / RESOURCES, _PACKAGE.parent.parent):
        if (candidate / "images" / "sdk").is_dir():
            return candidate
    raise LoadgenError(
        "loadgenctl's own resources (images/, compose/) are missing from this installation",
        hint="reinstall the package, or run from a complete checkout",
    )


def images(*parts: str) -> Path:
    """A path below `images/`."""
    return root().joinpath("images", *parts)


def compose(*parts: str) -> Path:
    """A path below `compose/`."""
    return root().joinpath("compose", *parts)


def lock() -> Path:
    """The locked dependencies that the program needs, with their hashes."""
    return root() / "requirements" / "run.txt"


def package() -> dict[str, Path]:
    """Name below the package → file: the program with its resources, as a wheel would hold it."""
    found = {
        path.relative_to(_PACKAGE).as_posix(): path
        for path in _files(_PACKAGE)
        if path.relative_to(_PACKAGE).parts[0] != RESOURCES
    }
    for part in ("images", "compose"):
        for path in _files(root() / part):
            found[f"{RESOURCES}/{path.relative_to(root()).as_posix()}"] = path
    return found | {f"{RESOURCES}/requirements/run.txt": lock()}


def own_image() -> Path | None:
    """What says in which image this program is installed; None outside the one-container image."""
    path = root() / OWN_IMAGE
    return path if path.is_file() else None


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
