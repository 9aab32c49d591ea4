"""Opening files in folders that others write to, too: plain files only, never through a link.

Roles write to a run's shared and state folders, and a results folder may come from anywhere. A link
there would have this process read or write a file of the machine, a pipe would hold it for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotPlainError(OSError):
    """Something else is where a file should be: a link, a pipe, a folder."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` it is, for a person."""
        super().__init__(errno.EINVAL, f"it is {what}, not a plain file", str(path))


def open_plain(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Open for reading. Raises `NotPlainError`, `OSError`; never waits for a pipe's other end."""
    descriptor = _open(path, os.O_RDONLY)
    return os.fdopen(descriptor, "rb", buffering)


def write_plain(path: Path, *, append: bool = False) -> BinaryIO:
    """Make the file, or open it to be written anew (or on). Raises `NotPlainError`, `OSError`."""
    # Cut only when it is known to be a plain file.
    descriptor = _open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0))
    if not append:
        os.ftruncate(descriptor, 0)
    return os.fdopen(descriptor, "ab" if append else "wb")


def require_inside(path: Path, folder: Path) -> None:
    """Raise `NotPlainError` if a link stands between `folder` and `path`, which lies below it."""
    if path.resolve() != folder.resolve() / path.relative_to(folder):
        raise NotPlainError(path, "reached through a symbolic link")


def _open(path: Path, flags: int) -> int:
    try:
        # Without O_NONBLOCK a pipe would be waited for; plain files do not heed it.
        descriptor = os.open(
            path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o644
        )
    except OSError as error:
        if path.is_symlink():
            raise NotPlainError(path, "a symbolic link") from error
        if error.errno in {errno.ENXIO, errno.EISDIR}:
            raise NotPlainError(path, kind_of(path)) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotPlainError(path, kind_of(path))
    return descriptor


def kind_of(path: Path) -> str:
    """What is there in place of a plain file, for a person."""
    if path.is_symlink():
        return "a symbolic link"
    if path.is_dir():
        return "a folder"
    return "a pipe" if path.is_fifo() else "a socket or device"
