"""What a site builds otherwise than the SDK says, because its registries lack a version.

From `[site.npm]` and `[site.go]` of loadgenctl.toml. Pure; `loadgenctl.tailoring` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.sitetable import Table

_PACKAGE = r"(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-zA-Z0-9~_][a-zA-Z0-9._~-]*"
_SELECTOR = re.compile(rf"(?P<name>{_PACKAGE})(?:@(?P<asked>[^\s@/][^\n]*))?")
_VERSION = re.compile(r"(?:npm:)?(?:[~^])?\d+\.\d+\.\d+[0-9A-Za-z.+-]*")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*(?:/[A-Za-z0-9._~-]+)*@v\d+[0-9A-Za-z.+-]*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class Selector:
    """An npm package, all of it or what asks for one range or gets one version."""

    name: str
    asked: str | None = None
    """A range as package.json files write it, or a version as the lockfile has it; None: all."""

    def __str__(self) -> str:
        """As it is written in the settings."""
        return self.name if self.asked is None else f"{self.name}@{self.asked}"


@dataclass(frozen=True, slots=True)
class NpmOverrides:
    """`[site.npm]`."""

    resolutions: Mapping[Selector, str] = field(default_factory=dict)
    """Package → the version to take."""
    drop: tuple[Selector, ...] = ()
    """Dependencies to take out of the SDK's package.json files."""


@dataclass(frozen=True, slots=True)
class GoOverrides:
    """`[site.go]`."""

    replace: Mapping[str, str | Path] = field(default_factory=dict)
    """`module@version` → another one, or an absolute folder with the module's source."""
    build: Mapping[str, Path] = field(default_factory=dict)
    """Beginning of a commit id → folder with the chain's Go part, built."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """All of them; empty without settings."""

    npm: NpmOverrides = field(default_factory=NpmOverrides)
    go: GoOverrides = field(default_factory=GoOverrides)


def parse_npm(table: Table) -> NpmOverrides:
    """The overrides of `[site.npm]`. Raises `UsageError`."""
    table.only("resolutions", "drop")
    resolutions = table.table("resolutions")
    found = {}
    for key in resolutions.values:
        version = resolutions.required_text(key)
        if not _VERSION.fullmatch(version):
            raise UsageError(
                f"{resolutions.path(key)} must be a version, not {version!r}",
                hint='write e.g. "@endo/pass-style@1.8.1" = "1.8.2"',
            )
        found[_selector(resolutions.path(key), key)] = version.removeprefix("npm:")
    drop = tuple(_selector(table.path("drop"), text) for text in table.texts("drop"))
    for chosen in drop:
        if chosen in found:
            raise UsageError(f"{table.path('drop')} names {chosen}, which has a resolution, too")
    return NpmOverrides(found, tuple(sorted(set(drop), key=str)))


def _selector(where: str, text: str) -> Selector:
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{where}: {text!r} is not an npm package",
            hint="write NAME or NAME@VERSION, e.g. @endo/pass-style@1.8.1",
        )
    asked = found["asked"]
    return Selector(found["name"], asked and asked.removeprefix("npm:"))


def parse_go(table: Table) -> GoOverrides:
    """The overrides of `[site.go]`. Raises `UsageError`."""
    table.only("replace", "build")
    replace = table.table("replace")
    found: dict[str, str | Path] = {}
    for module in replace.values:
        if not _MODULE.fullmatch(module):
            raise UsageError(
                f"{replace.path(module)} is not a Go module with its version",
                hint='write e.g. "github.com/acme/fork@v1.2.3" = "github.com/acme/other@v1.2.4"',
            )
        found[module] = _replacement(replace, module)
    build = table.table("build")
    for commit in build.values:
        if not _COMMIT.fullmatch(commit):
            raise UsageError(
                f"{build.path(commit)} must name a commit: 7 to 40 digits of its id",
                hint="`loadgenctl sdk list` shows the commits of revisions",
            )
    return GoOverrides(found, {key: build.directory(key) for key in build.values})


def _replacement(table: Table, module: str) -> str | Path:
    text = table.required_text(module)
    if _MODULE.fullmatch(text):
        return text
    if not text.startswith("/"):
        raise UsageError(
            f"{table.path(module)} must be module@version or an absolute path, not {text!r}"
        )
    folder = table.directory(module)
    if not (folder / "go.mod").is_file():
        raise UsageError(f"{table.path(module)}: {folder} is no Go module: it has no go.mod")
    return folder
