"""Replaces a folder's computed files: only after the run has ended, and each as a whole.

Raw records (run.json, status.json, perf, events, samples, slogs, logs) are never written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loadgenctl.errors import OutputFolderError
from loadgenctl.plainfile import open_plain
from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.raw_parts import PRUNED
from loadgenctl.records.reader import RunFolder

COMPUTED: Final = (schema.BLOCKS, schema.CYCLES, schema.SUMMARY)
"""The files that can be computed again, in the order in which they are replaced."""


def require_ended(folder: RunFolder, *, force: bool = False) -> None:
    """Raise `OutputFolderError` if the folder's run is still running.

    A run of another host, which cannot be checked here, counts as running if it says so, unless
    `force`.
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
    """Raise `OutputFolderError` if raw data was removed: a new summary would have less in it."""
    if (folder.path / PRUNED).exists():
        raise OutputFolderError(
            f"the raw data of {folder.path} was removed to free space ({PRUNED} says what)",
            hint=f"its {schema.SUMMARY} was computed before that, and is kept",
        )


def replace_computed(folder: Path, name: str, content: bytes) -> bool:
    """Replace one of the computed files; False if it has this content already.

    Readers, and a crash, see the old file or the new one. Raises `OutputFolderError`.
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
            hint="check the folder's owner, its permissions and the free space of its disk",
        ) from error
    return True


def _holds(target: Path, content: bytes) -> bool:
    try:
        with open_plain(target) as stream:
            return stream.read(len(content) + 1) == content
    except FileNotFoundError:
        return False
