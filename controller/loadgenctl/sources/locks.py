"""File locks between processes: held by an open file, they end with their process anyhow."""

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
    """Hold the lock file `path` alone; yields its descriptor, which keeps the lock wherever it is
    inherited.

    `on_wait` is called once when somebody else holds it; `check` at every look, and may raise to
    give up. The lock file stays: removing it would let two holders in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        # Polled, not blocking: a person's Ctrl-C may only set a flag that `check` looks at.
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
    """Hold the lock file alone if nobody else has it; yields whether that worked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        yield _try(file.fileno(), fcntl.LOCK_EX, path)


@contextmanager
def shared(path: Path) -> Iterator[bool]:
    """Hold the lock file together with others; yields False when somebody holds it alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_plain(path, append=True) as file:
        yield _try(file.fileno(), fcntl.LOCK_SH, path)


def _try(descriptor: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # The call knows only a descriptor: a file system without locks must be named.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return True
