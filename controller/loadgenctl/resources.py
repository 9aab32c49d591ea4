"""Where the program's own files are (in a checkout, or in an installed wheel), and its cache."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from loadgenctl.errors import LoadgenError, UsageError

CACHE_VARIABLE = "LOADGENCTL_CACHE"
_PACKAGE = Path(__file__).resolve().parent
RESOURCES = "_resources"
"""Folder below the package with the resources of a wheel."""
OWN_IMAGE = "image.json"
"""A resource of the one-container image only."""


@cache
def root() -> Path:
    """The folder with `images/` and `compose/`."""
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
    """The program's locked dependencies, with their hashes."""
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
    """The file that names the image of this program; None outside the one-container image."""
    path = root() / OWN_IMAGE
    return path if path.is_file() else None


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def cache_dir(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of clones, built SDKs and package caches, which is kept between runs: absolute.

    `LOADGENCTL_CACHE`, else `loadgenctl` in the user's caches.

    `environment` is by default that of this process. Raises `UsageError` without a home folder.
    """
    given = os.environ if environment is None else environment
    named = given.get(CACHE_VARIABLE)
    if named:
        try:
            return Path(named).expanduser().resolve()
        except RuntimeError as error:
            raise UsageError(
                f"{CACHE_VARIABLE}: no such user in {named}", hint="give an absolute path"
            ) from error
    base = Path(given.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is invalid and is ignored.
    return (base if base.is_absolute() else _home(given) / ".cache") / "loadgenctl"


def _home(environment: Mapping[str, str]) -> Path:
    named = Path(environment.get("HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise UsageError(
            "HOME is not set, and this user has no home folder",
            hint=f"name a folder for the cache with {CACHE_VARIABLE}",
        ) from error
