"""Why a step of a build failed, and what to do about it.

The versions that a registry does not serve are found in what package managers print.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from loadgenctl.engines.base import RoleState
from loadgenctl.errors import BuildError, VersionsMissing
from loadgenctl.roles.role import signal_of

_SPACE_SIGNS = ("No space left on device", "ENOSPC", "Disk quota exceeded")
_MOST_BYTES = 8 << 20
"""Of a step's output only its end is searched: errors are there."""
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_ABSENT = r"(?:403|404|410|451)\b"
"""Answers of registries about a version that they lack, or do not serve."""
_NAME = r"(?:@[^\s@/\"'`]+/)?[^\s@/\"'`:]+"

_NPM = (
    # yarn 1
    re.compile(rf'Couldn\'t find any versions for "(?P<name>{_NAME})" that matches "(?P<v>[^"]+)"'),
    re.compile(rf'Couldn\'t find package "(?P<name>{_NAME})(?:@(?P<v>[^"]+))?"'),
    # Later yarns. The code YN0035 alone also means a registry that is out of order.
    re.compile(rf"YN0082: │ (?P<name>{_NAME})@(?:npm:)?(?P<v>[^:\s]+): No candidates found"),
    re.compile(rf"YN0035: │ (?P<name>{_NAME})@(?:npm:)?(?P<v>[^:\s]+): Package not found"),
    # npm
    re.compile(rf"No matching version found for (?P<name>{_NAME})@(?P<v>\S+?)\.?$", re.MULTILINE),
    re.compile(rf"404 +(?:The requested resource )?'(?P<name>{_NAME})@(?P<v>[^']+)'"),
)
_TARBALLS = (
    re.compile(rf'(?P<url>https?://\S+\.tgz): Request failed \\?"{_ABSENT}'),
    re.compile(
        rf"Response Code: {_ABSENT}[^\n]*\n(?:[^\n]*\n)??.*Request URL: (?P<url>https?://\S+\.tgz)"
    ),
)
_PYPI = re.compile(r"No matching distribution found for (?P<name>[A-Za-z0-9._-]+)(?:==(?P<v>\S+))?")
_MODULE = r"(?P<name>[^\s@:()]+\.[^\s@:()]+)@(?P<v>v[^\s:()]+)"
_GO = re.compile(
    rf"(?<![^\s(]){_MODULE}(?: \(replaced by (?P<name2>[^\s@()]+)@(?P<v2>[^\s()]+)\))?: "
    rf"(?:reading https?://\S+: {_ABSENT}"
    r"|reading \S+ at revision \S+: git |invalid version: (?:unknown revision|git )"
    r"|(?:checksum|verifying)[^\n]*\bmismatch)"
)


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A version that is not available."""

    ecosystem: Literal["npm", "go", "pypi"]
    name: str
    version: str | None
    """As requested: a version, or with npm a range; None for any version."""

    @property
    def words(self) -> str:
        """`npm ms 2.1.3`."""
        return " ".join(part for part in (self.ecosystem, self.name, self.version) if part)

    @property
    def key(self) -> str:
        """The key of its override."""
        return self.name if self.version is None else f"{self.name}@{self.version}"


def missing_versions(output: str) -> tuple[Missing, ...]:
    """All versions that an output reports as not available, sorted, each once."""
    text = _STYLES.sub("", output)
    return tuple(
        sorted(
            {*_of_npm(text), *_of_pypi(text), *_of_go(text)},
            key=lambda one: (one.ecosystem, one.key),
        )
    )


def _of_npm(text: str) -> Iterator[Missing]:
    for pattern in _NPM:
        for found in pattern.finditer(text):
            yield Missing("npm", found["name"], found["v"])
    for pattern in _TARBALLS:
        for found in pattern.finditer(text):
            tarball = _tarball(found["url"])
            if tarball is not None:
                yield tarball


def _tarball(url: str) -> Missing | None:
    """The package of `https://registry/@scope/name/-/name-1.2.3.tgz`."""
    before, found, file = unquote(urlsplit(url).path).rpartition("/-/")
    folders = before.strip("/").split("/")
    base = folders[-1]
    if not found or not file.startswith(f"{base}-"):
        return None
    scoped = len(folders) > 1 and folders[-2].startswith("@")
    name = "/".join(folders[-2:]) if scoped else base
    return Missing("npm", name, file.removeprefix(f"{base}-").removesuffix(".tgz"))


def _of_pypi(text: str) -> Iterator[Missing]:
    for found in _PYPI.finditer(text):
        yield Missing("pypi", found["name"], found["v"])


def _of_go(text: str) -> Iterator[Missing]:
    for found in _GO.finditer(text):
        # Of a replaced module the replacement is fetched.
        yield Missing("go", found["name2"] or found["name"], found["v2"] or found["v"])


def settings_for(missing: Sequence[Missing]) -> str:
    """The overrides that a site can set, as TOML with placeholders; none for PyPI."""
    npm = [one for one in missing if one.ecosystem == "npm"]
    go = [one for one in missing if one.ecosystem == "go"]
    lines: list[str] = []
    if npm:
        names = ", ".join(dict.fromkeys(json.dumps(one.name) for one in npm))
        lines += ["[site.npm.resolutions]", *_entries(npm, "ANOTHER VERSION")]
        lines += ["# or, if the SDK runs without them:", "# [site.npm]", f"# drop = [{names}]"]
    if go:
        lines += ["[site.go.replace]", *_entries(go, "MODULE@VERSION or /FOLDER")]
        lines += ["# or, for a Go part that was built elsewhere:", "# [site.go.build]"]
        lines += ['# "COMMIT" = "/FOLDER/golang/cosmos/build"']
    return "\n".join(lines)


def _entries(missing: Iterable[Missing], value: str) -> list[str]:
    return [f'{json.dumps(one.key)} = "{value}"' for one in missing]


def written(log: Path, begun: int) -> str:
    """A step's part of the log, which begins at byte `begun`."""
    with log.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(begun, end - _MOST_BYTES))
        return file.read().decode("utf-8", "replace")


def failure(
    label: str, state: RoleState, tail: Sequence[str], output: str, log: Path
) -> BuildError:
    """The error for a step that did not end with exit code 0. `tail`: its last lines."""
    text, killed_by = "\n".join(tail), signal_of(state)
    missing = missing_versions(output) if killed_by is None else ()
    if missing:
        return versions_missing(label, missing, log)
    if any(sign in text for sign in _SPACE_SIGNS):
        hint = "the disk is full: free some space (see `loadgenctl sdk list`) and try again"
    elif state.oom_killed:
        hint = "it was killed for lack of memory: build on a machine with more memory"
    elif killed_by is not None:
        hint = f"if the engine was restarted, try again; the output so far is in {log}"
    else:
        hint = f"these are its last lines; the complete output is in {log}"
    if killed_by is not None:
        how = f"was killed by {killed_by}"
    else:
        how = "vanished" if state.exit_code is None else f"failed with exit code {state.exit_code}"
    return BuildError(f"the build step {label!r} {how}", hint=hint, detail=text)


def versions_missing(label: str, missing: Sequence[Missing], log: Path) -> VersionsMissing:
    """The error for versions that a step's output names; there is at least one."""
    first, *others = missing
    more = f" and {len(others)} more" if others else ""
    return VersionsMissing(
        f"the build step {label!r} failed: the registries here do not serve {first.words}{more}",
        hint="settings like these in the options file replace them (docs/site-settings.md); the"
        f" complete output is in {log}",
        detail=settings_for(missing),
    )
