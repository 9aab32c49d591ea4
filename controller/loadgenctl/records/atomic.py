"""Replaces a file as a whole: readers, and a crash, see the old content or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from loadgenctl.plainfile import NotPlainError, write_plain


def replace_file(target: Path, content: bytes) -> None:
    """Put `content` at `target`, flushed to the disk. Raises `OSError`, leaving what was there."""
    # One name for all writers: the next one overwrites what a killed one left.
    temporary = target.with_name(f".{target.name}.tmp")
    stream = write_plain(temporary)
    try:
        with stream as file:
            file.write(content)
            file.flush()
            # By the descriptor: in a folder of roles the name may lead elsewhere by now.
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), target.lstat().st_mode & 0o777)
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, IsADirectoryError):
            raise NotPlainError(target, "a folder") from error
        raise


def _sync_folder(folder: Path) -> None:
    """Flush the folder itself: without that, a power cut can lose the new name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot flush folders; nothing that was there before is lost.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
