"""The SDK that is installed on this machine, found by its programs on the PATH."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from loadgenctl.errors import UsageError

PROGRAMS = ("ag-chain-cosmos", "agd", "agoric", "ag-solo")
"""Programs of the Agoric SDK, the most specific first."""
TOP = "packages/cosmic-swingset/package.json"
"""A file at the top of the SDK's tree."""
_ABSOLUTE = re.compile(r"""(?<![\w.~-])/[^\s"'`$;:]+""")
_WRAPPER_SIZE = 16 * 1024


def installed_tree(path: str | None = None) -> Path:
    """The tree of the installed programs; `path` is by default PATH.

    Raises `UsageError` if no program is found, or if it belongs to no tree.
    """
    found = [Path(where) for name in PROGRAMS if (where := shutil.which(name, path=path))]
    if not found:
        raise UsageError(
            f"no SDK is installed: none of {', '.join(PROGRAMS)} is on the PATH",
            hint="name a built checkout with --src, or run in containers: --engine docker",
        )
    for program in found:
        for place in _places(program):
            for folder in place.parents:
                if (folder / TOP).is_file():
                    return folder
    raise UsageError(
        f"{found[0]} does not belong to a checkout of the SDK",
        hint="name the built checkout with --src",
    )


def _places(program: Path) -> Iterator[Path]:
    """The real path of a program, and the paths that it names if it is a wrapper."""
    real = program.resolve()
    yield real
    with real.open("rb") as stream:
        head = stream.read(_WRAPPER_SIZE)
    if head.startswith(b"#!"):
        body = head.decode("utf-8", "replace").partition("\n")[2]
        for named in _ABSOLUTE.findall(body):
            yield Path(named).resolve()
