"""The only place that knows where `images/` and `compose/` are: in a checkout or in an installed
wheel.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from loadgenctl.errors import LoadgenError

_PACKAGE = Path(__file__).resolve().parent


@cache
def root() -> Path:
    """The folder that holds `images/` and `compose/`."""
    for candidate in (_PACKAGE / "_resources", _PACKAGE.parent.parent):
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
