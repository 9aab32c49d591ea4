"""Paths inside a container → paths of this machine; a process's environment. Pure.

Local processes have no mounts. Where a role's arguments, variables and working folder name a
mount's target, as a whole path or as the beginning of one, the mount's source is put there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from loadgenctl.engines.local_processes import MARK

_IN_A_NAME = r"\w.~+@%-"
"""What stands in names of files: beside one of these, a target is part of another path."""


class Paths:
    """The mounts of one container."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """`sources`: target → folder or file of this machine."""
        self._sources = sources
        targets = "|".join(re.escape(target) for target in sorted(sources, key=len, reverse=True))
        self._pattern = (
            re.compile(rf"(?<![/{_IN_A_NAME}])(?:{targets})(?![{_IN_A_NAME}])") if sources else None
        )

    def here(self, text: str) -> str:
        """A text with every path below a target as it is on this machine."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._sources[found[0]], text)

    def mounted(self, path: str) -> bool:
        """True for a target, and for what is below one."""
        return any(PurePosixPath(path).is_relative_to(target) for target in self._sources)


def environment(
    caller: Mapping[str, str],
    given: Mapping[str, str],
    paths: Paths,
    *,
    first: str,
    container: str,
) -> dict[str, str]:
    """The whole environment of a container's processes: the caller's, the command's over it.

    Of the command's PATH only what is below mounts is kept: its other folders are those of an
    image. They make way for the caller's. The folder `first` goes before all.
    """
    merged = {**caller, **{name: paths.here(text) for name, text in given.items()}}
    wanted = [folder for folder in given.get("PATH", "").split(":") if paths.mounted(folder)]
    path = [first, *(paths.here(folder) for folder in wanted), caller.get("PATH", "")]
    return {**merged, "PATH": ":".join(folder for folder in path if folder), MARK: container}
