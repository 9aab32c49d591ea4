"""Replacing a folder's computed files after the run: only when it has ended, and each as a whole.

Raw records (run.json, status.json, perf, events, samples, slogs, logs) are never written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loadgenctl.errors import OutputFolderError
from loadgenctl.plainfile import open_plain
from loadgenctl.records import schema
from loadgenctl.records.files import replace_file
from loadgenctl.records.raw import PRUNED
from loadgenctl.records.reader import RunFolder

COMPUTED: Final = (schema.BLOCKS, schema.CYCLES, schema.SUMMARY)
"""The files that can be made anew from the others, in the order in which they are replaced."""


def require_ended(folder: RunFolder, *, force: bool = False) -> None:
    """Raise `OutputFolderError` if the folder's run is still going on.

    Where nobody here can know (a run of another host), it is taken at its word unless `force`.
    """
    status = folder.status
    if status is None or status.as_found().finished:
        return
    seen_alive = status.owner is not None and status.owner.alive() is True
    if force and not seen_alive:
        return
    if seen_alive:
        raise OutputFolderError(
            f"{folder.path} is being written by a run that is still running",
            hint="wait for its end; `loadgenctl stats` reads it at any time",
        )
    raise OutputFolderError(
        f"{folder.path} is recorded as running, and it is not a run of this machine",
        hint="if you know that it has ended, add --force",
    )


def require_raw(folder: RunFolder) -> None:
    """Raise `OutputFolderError` if raw data was removed: what is computed now would tell less."""
    if (folder.path / PRUNED).exists():
        raise OutputFolderError(
            f"the raw data of {folder.path} was removed to make room ({PRUNED} says what)",
            hint=f"its {schema.SUMMARY} is what was computed of it; it stays as it is",
        )


def replace_computed(folder: Path, name: str, content: bytes) -> bool:
    """Put `content` at one of the computed files; False if that is what it holds already.

    A reader, or a crash, sees the old file or the new one. Raises `OutputFolderError`.
    """
    if name not in COMPUTED:
        raise ValueError(name)
    target = folder / name
    try:
        if _holds(target, content):
            return False
        replace_file(target, content)
    except OSError as error:
        raise OutputFolderError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="check the folder's owner, its permissions and the room on its disk",
        ) from error
    return True


def _holds(target: Path, content: bytes) -> bool:
    try:
        with open_plain(target) as stream:
            return stream.read(len(content) + 1) == content
    except FileNotFoundError:
        return False
