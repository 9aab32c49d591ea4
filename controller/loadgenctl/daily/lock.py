"""One instance per folder: a lock whose file names its owner."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.errors import UsageError
from loadgenctl.file_errors import file_error
from loadgenctl.owner import Owner
from loadgenctl.records.encode import row_bytes
from loadgenctl.records.json_documents import read_as
from loadgenctl.records.shape import is_time
from loadgenctl.sources.locks import exclusive

LOCK: Final = "loadgenctl.lock"


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The process that took the lock."""

    command: str
    since: float
    """Seconds since the epoch."""
    owner: Owner


@contextmanager
def sole_instance(
    folder: Path, command: str, clock: Clock, say: Callable[[str], None]
) -> Iterator[int]:
    """Be the only instance in `folder`; yields the lock's descriptor.

    Every run inherits the descriptor, so a run in progress holds the lock even if its service was
    killed: then this waits for the run's end. Raises `UsageError` if another instance is alive.
    """
    path = folder / LOCK
    try:
        path.touch()
    except OSError as error:
        raise file_error(error) from error

    def check() -> None:
        holder = read_owner(path)
        if holder is None or holder.owner.alive() is not False:
            raise _in_use(folder, holder)

    def wait() -> None:
        check()
        say("a run of a killed service is still in progress; waiting for its end")

    with exclusive(path, clock, on_wait=wait, check=check) as descriptor:
        # Written in place: a new file of that name would be another lock.
        path.write_bytes(row_bytes(asdict(LockOwner(command, clock.wall(), Owner.current()))))
        yield descriptor


def read_owner(path: Path) -> LockOwner | None:
    """The process that took the lock last; None if unknown."""
    try:
        holder = read_as(LockOwner, path)
    except (OSError, ValueError):
        return None
    return holder if holder is not None and is_time(holder.since) else None


def _in_use(folder: Path, holder: LockOwner | None) -> UsageError:
    hint = "only one can work in a folder: stop that one, or start this one in another folder"
    if holder is None:
        return UsageError(f"{folder} is in use by another loadgenctl", hint=hint)
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
    where = "" if holder.owner.alive() else " of another host or container"
    return UsageError(
        f"{folder} is in use by loadgenctl {holder.command}: process {holder.owner.pid}{where},"
        f" since {since}",
        hint=hint,
    )
