"""What a person reads of a slog that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loadgenctl.errors import UsageError
from loadgenctl.formatting import clean
from loadgenctl.slog.files import STANDARD_INPUT, NotSlogError

_SHOWN: Final = 60
"""Characters shown of a file that is no slog."""


def shown(path: Path) -> str:
    """A slog's name in messages."""
    return "standard input" if str(path) in STANDARD_INPUT else str(path)


def unreadable(path: Path, error: OSError) -> UsageError:
    """The error for a file that cannot be opened or read."""
    return UsageError(
        f"{shown(path)} cannot be read: {error.strerror or error}",
        hint="name a slog, or - to read standard input",
    )


def not_slog(path: Path, error: NotSlogError) -> UsageError:
    """The error for a file that is something else."""
    return UsageError(f"{shown(path)} {error.message}")


def nothing_found(path: Path, scanned: int, beginning: bytes, damage: str | None) -> UsageError:
    """The error for a file without an event of a slog, of which so many bytes could be read."""
    name = shown(path)
    if damage is not None and not scanned:
        return UsageError(f"{name} is damaged, nothing of it can be read: {damage}")
    if not scanned:
        return UsageError(f"{name} is empty")
    line = clean(beginning.split(b"\n")[0].decode("utf-8", "replace"), _SHOWN)
    return UsageError(
        f"{name} is no slog: no event is in its {scanned} bytes"
        + (f", which begin with {line!r}" if line else ""),
        hint="a slog is JSON, an event in a line, each with a time and a type",
    )
