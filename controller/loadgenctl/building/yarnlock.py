"""yarn.lock of yarn 1 and later: the required ranges and their versions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_VERSION = re.compile(r'  version:? "?([^"\s]+)"?')
_NEED = re.compile(r'    "?([^"\s:]+)"?:? "?([^"]+?)"?')


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One package at one version."""

    name: str
    ranges: tuple[str, ...]
    """As the lockfile writes them: `^1.0.0` with yarn 1, `npm:^1.0.0` later."""
    version: str
    needs: dict[str, str] = field(default_factory=dict)
    """Package that it depends on → range."""


@dataclass(frozen=True, slots=True)
class YarnLock:
    """A lockfile, read."""

    entries: tuple[LockEntry, ...]
    classic: bool
    """True for yarn 1."""

    def named(self, name: str) -> tuple[LockEntry, ...]:
        """The entries of a package."""
        return tuple(entry for entry in self.entries if entry.name == name)

    def asked_directly(self, name: str) -> bool:
        """True if a workspace depends on a package; yarn 1's lockfile does not show it."""
        return any(
            name in entry.needs and entry.ranges[0].startswith("workspace:")
            for entry in self.entries
        )


def parse_lock(text: str) -> YarnLock:
    """Read a lockfile. Other lines than those of entries are ignored."""
    return YarnLock(tuple(_entries(text)), classic="__metadata:" not in text)


def _entries(text: str) -> Iterator[LockEntry]:
    keys: list[str] = []
    version, section = "", ""
    needs: dict[str, str] = {}
    for line in [*text.splitlines(), "end:"]:
        if line and line[0] not in " #" and line.endswith(":"):
            if keys and version:
                pairs = [_split(key) for key in keys]
                yield LockEntry(pairs[0][0], tuple(range_ for _, range_ in pairs), version, needs)
            keys, version, needs = line[:-1].replace('"', "").split(", "), "", {}
        elif found := _VERSION.fullmatch(line):
            version = found[1]
        elif line.startswith("  ") and line[2:3] != " ":
            section = line.strip()
        elif section in {"dependencies:", "optionalDependencies:"}:
            need = _NEED.fullmatch(line)
            if need:
                needs[need[1]] = need[2]


def _split(key: str) -> tuple[str, str]:
    """`@scope/name@range` → name and range."""
    name, _, range_ = key[1:].partition("@")
    return key[0] + name, range_
