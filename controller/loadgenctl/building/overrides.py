"""What a site builds differently from the SDK, because its registries lack a version.

`[site.npm]` and `[site.go]` of loadgenctl.toml; `building.tailoring` applies them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct, field

from loadgenctl.validation import Refused

_PACKAGE: Final = r"(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-zA-Z0-9~_][a-zA-Z0-9._~-]*"
_SELECTOR: Final = re.compile(rf"(?P<name>{_PACKAGE})(?:@(?P<asked>[^\s@/][^\n]*))?")
_VERSION: Final = re.compile(r"(?:npm:)?(?:[~^])?\d+\.\d+\.\d+[0-9A-Za-z.+-]*")
_MODULE: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._~-]*(?:/[A-Za-z0-9._~-]+)*@v\d+[0-9A-Za-z.+-]*"
)
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")


class Selector(NamedTuple):
    """An npm package: all of it, or what requires one range or resolves to one version."""

    name: str
    asked: str | None = None
    """A range as package.json files write it, or a version as the lockfile has it; None: all."""

    def __str__(self) -> str:
        """As it is written in the settings."""
        return self.name if self.asked is None else f"{self.name}@{self.asked}"


class NpmOverrides(Struct, frozen=True, forbid_unknown_fields=True):
    """`[site.npm]`, as it is written."""

    resolutions: dict[str, str] = field(default_factory=dict)
    """Package → the version to take."""
    drop: tuple[str, ...] = ()
    """Dependencies to take out of the SDK's package.json files."""

    def resolved(self) -> dict[Selector, str]:
        """Package → the version to take. Raises `Refused`."""
        found = {}
        for key, version in self.resolutions.items():
            path = f"site.npm.resolutions.{key}"
            if not _VERSION.fullmatch(version):
                raise Refused(
                    f"{path} must be a version, not {version!r}",
                    hint='write e.g. "@endo/pass-style@1.8.1" = "1.8.2"',
                )
            found[_selector(path, key)] = version.removeprefix("npm:")
        return found

    def dropped(self) -> tuple[Selector, ...]:
        """The dependencies to take out, each once, sorted. Raises `Refused`."""
        return tuple(sorted({_selector("site.npm.drop", text) for text in self.drop}, key=str))


class GoOverrides(Struct, frozen=True, forbid_unknown_fields=True):
    """`[site.go]`."""

    replace: dict[str, str] = field(default_factory=dict)
    """`module@version` → another one, or an absolute folder with the module's source."""
    build: dict[str, Path] = field(default_factory=dict)
    """Beginning of a commit id → folder with the chain's Go part, built."""


class Overrides(Struct, frozen=True):
    """All overrides; empty without settings."""

    npm: NpmOverrides = NpmOverrides()
    go: GoOverrides = GoOverrides()


def check_overrides(overrides: Overrides) -> None:
    """Raise `Refused` for settings that mean nothing."""
    resolved = overrides.npm.resolved()
    for chosen in overrides.npm.dropped():
        if chosen in resolved:
            raise Refused(f"site.npm.drop names {chosen}, which also has a resolution")
    for module, target in overrides.go.replace.items():
        _check_replacement(f"site.go.replace.{module}", module, target)
    for commit, folder in overrides.go.build.items():
        path = f"site.go.build.{commit}"
        if not _COMMIT.fullmatch(commit):
            raise Refused(
                f"{path} must name a commit: 7 to 40 digits of its id",
                hint="`loadgenctl sdk list` shows the commits of revisions",
            )
        if not folder.is_dir():
            raise Refused(f"{path} is not a folder: {folder}")


def existing(text: str, folder: Path) -> Path:
    """An existing path, made absolute. Raises `Refused`, with a message that follows the key."""
    try:
        path = (folder / Path(text).expanduser()).resolve()
        there = path.exists()
    except (RuntimeError, OSError) as error:
        raise Refused(f"is not a usable path: {text[:60]!r}") from error
    if not there:
        hint = None if text.startswith("/") else f"relative paths count from {folder}"
        raise Refused(f"names a path that does not exist: {path}", hint=hint)
    return path


def _selector(path: str, text: str) -> Selector:
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise Refused(
            f"{path}: {text!r} is not an npm package",
            hint="write NAME or NAME@VERSION, e.g. @endo/pass-style@1.8.1",
        )
    asked = found["asked"]
    return Selector(found["name"], asked and asked.removeprefix("npm:"))


def _check_replacement(path: str, module: str, target: str) -> None:
    if not _MODULE.fullmatch(module):
        raise Refused(
            f"{path} is not a Go module with its version",
            hint='write e.g. "github.com/acme/fork@v1.2.3" = "github.com/acme/other@v1.2.4"',
        )
    if _MODULE.fullmatch(target):
        return
    if not target.startswith("/"):
        raise Refused(f"{path} must be module@version or an absolute path, not {target!r}")
    try:
        folder = existing(target, Path("/"))
    except Refused as error:
        raise Refused(f"{path} {error.message}") from error
    if not (folder / "go.mod").is_file():
        raise Refused(f"{path}: {target} is not a Go module: it has no go.mod")
