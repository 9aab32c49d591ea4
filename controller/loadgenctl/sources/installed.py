"""The SDK that is installed on this machine: its programs are on the PATH, its tree is theirs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from loadgenctl.errors import UsageError

PROGRAMS = ("ag-chain-cosmos", "agd", "agoric", "ag-solo")
"""By which the Agoric SDK is known, the surest first."""
TOP = "packages/cosmic-swingset/package.json"
"""A file at the top of the SDK's tree."""
_ABSOLUTE = re.compile(r"""(?<![\w.~-])/[^\s"'`$;:]+""")
_WRAPPER_SIZE = 16 * 1024


def installed_tree(path: str | None = None) -> Path:
    """The tree that the installed programs belong to; `path` as PATH, which it is if not given.

    Raises `UsageError` when none of them is there, or when they belong to no tree.
    """
    found = [Path(where) for name in PROGRAMS if (where := shutil.which(name, path=path))]
    if not found:
        raise UsageError(
            f"no SDK is installed: none of {', '.join(PROGRAMS)} is on the PATH",
            hint="name a built checkout by --src, or run in containers: --engine docker",
        )
    for program in found:
        for place in _places(program):
            for folder in place.parents:
                if (folder / TOP).is_file():
                    return folder
    raise UsageError(
        f"{found[0]} belongs to no checkout of the SDK",
        hint="name the built checkout by --src",
    )


def _places(program: Path) -> Iterator[Path]:
    """Where a program really is, and what it names if it only calls another one."""
    real = program.resolve()
    yield real
    with real.open("rb") as stream:
        head = stream.read(_WRAPPER_SIZE)
    if head.startswith(b"#!"):
        body = head.decode("utf-8", "replace").partition("\n")[2]
        for named in _ABSOLUTE.findall(body):
            yield Path(named).resolve()
