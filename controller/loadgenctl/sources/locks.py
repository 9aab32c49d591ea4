"""File locks between processes; an open file holds the lock, so it ends with the process."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.plainfile import write_plain

_POLL_SECONDS = 0.25


@contextmanager
def exclusive(
    path: Path,
    clock: Clock,
    *,
    on_wait: Callable[[], None] | None = None,
    check: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold the lock file `path` exclusively; yields its descriptor, whose heirs keep the lock.

    `on_wait` is called once if another process holds it; `check` at every poll, and may raise to
    stop waiting. The lock file is kept: with a new file, two processes could hold the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        # Polled, not blocking: a Ctrl-C may only set a flag that `check` reads.
        if not _try(file.fileno(), fcntl.LOCK_EX, path):
            if on_wait is not None:
                on_wait()
            while not _try(file.fileno(), fcntl.LOCK_EX, path):
                if check is not None:
                    check()
                clock.sleep(_POLL_SECONDS)
        yield file.fileno()


@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Hold the lock file exclusively if it is free; yields whether it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        yield _try(file.fileno(), fcntl.LOCK_EX, path)


@contextmanager
def shared(path: Path) -> Iterator[bool]:
    """Share the lock file with others; yields False if a process holds it exclusively."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        yield _try(file.fileno(), fcntl.LOCK_SH, path)


def _try(descriptor: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Name the file: the error of a file system without locks has only a descriptor.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return True
