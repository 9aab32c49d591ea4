"""Replacing a file whole: a reader, or a crash, sees the old content or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from loadgenctl.plainfile import write_plain


def replace_file(target: Path, content: bytes) -> None:
    """Put `content` at `target`, flushed to the disk. Raises `OSError`, leaving what was there."""
    # One name for all tries: what a killed writer leaves, the next one writes over.
    temporary = target.with_name(f".{target.name}.tmp")
    stream = write_plain(temporary)
    try:
        with stream as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
