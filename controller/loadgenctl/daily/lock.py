"""One instance per folder: a lock that says who holds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.errors import UsageError
from loadgenctl.filetrouble import file_error
from loadgenctl.owner import Owner
from loadgenctl.records.documents import read_as
from loadgenctl.records.encode import row_bytes
from loadgenctl.records.shape import is_time
from loadgenctl.sources.locks import exclusive

LOCK: Final = "loadgenctl.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took the lock."""

    command: str
    since: float
    """Seconds since the epoch."""
    owner: Owner


@contextmanager
def sole_instance(
    folder: Path, command: str, clock: Clock, say: Callable[[str], None]
) -> Iterator[int]:
    """Be the only one at work in `folder`; yields the lock's descriptor.

    Every run is given the descriptor, so the lock is held as long as one goes on, even if the
    service was killed: then its end is waited for. Raises `UsageError` while another lives.
    """
    path = folder / LOCK
    try:
        path.touch()
    except OSError as error:
        raise file_error(error) from error

    def check() -> None:
        holder = read_holder(path)
        if holder is None or holder.owner.alive() is not False:
            raise _in_use(folder, holder)

    def wait() -> None:
        check()
        say("a run of a killed service is still in progress; waiting for its end")

    with exclusive(path, clock, on_wait=wait, check=check) as descriptor:
        # In place: another file of that name would be another lock.
        path.write_bytes(row_bytes(asdict(Holder(command, clock.wall(), Owner.current()))))
        yield descriptor


def read_holder(path: Path) -> Holder | None:
    """Who took the lock last; None if nobody can tell."""
    try:
        holder = read_as(Holder, path)
    except (OSError, ValueError):
        return None
    return holder if holder is not None and is_time(holder.since) else None


def _in_use(folder: Path, holder: Holder | None) -> UsageError:
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
