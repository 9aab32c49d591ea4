"""The processes of a local container: their paths and environment, tree, end and usage."""

from __future__ import annotations

import ctypes
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2


_IN_A_NAME = r"\w.~+@%-"
"""Characters of file names: next to one of these, a target is part of another path."""
MARK = "IO_LOADGENCTL_CONTAINER"
"""The variable that every process of a container inherits; its value is the container's id."""
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_IO_NAMES = ((b"read_bytes", "Read"), (b"write_bytes", "Write"))


def adopt_orphans() -> None:
    """Make descendants whose parent ends children of this process instead of init.

    Raises `OSError`.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have this process killed when its parent ends for any reason. Raises `OSError`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def punch_hole(descriptor: int, start: int, length: int) -> None:
    """Release a part of a file to the file system: it reads as zeros and takes no space.

    Raises `OSError`, with EOPNOTSUPP on file systems without support.
    """
    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
    if call(descriptor, _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE, start, length) != 0:
        raise _error()


def _prctl(option: int, value: int) -> None:
    call = ctypes.CDLL(None, use_errno=True).prctl
    call.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    if call(option, value, 0, 0, 0) != 0:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


class Paths:
    """The mounts of one container."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """`sources`: target → folder or file of this machine."""
        self._sources = sources
        targets = "|".join(re.escape(target) for target in sorted(sources, key=len, reverse=True))
        self._pattern = (
            re.compile(rf"(?<![/{_IN_A_NAME}])(?:{targets})(?![{_IN_A_NAME}])") if sources else None
        )

    def here(self, text: str) -> str:
        """A text in which every path below a target is that of this machine."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._sources[found[0]], text)

    def mounted(self, path: str) -> bool:
        """True for a target and everything below one."""
        return any(PurePosixPath(path).is_relative_to(target) for target in self._sources)


def environment(
    caller: Mapping[str, str],
    given: Mapping[str, str],
    paths: Paths,
    *,
    first: str,
    container: str,
) -> dict[str, str]:
    """The environment of a container's processes: the caller's, overridden by the command's.

    Of the command's PATH, only folders below mounts are kept: the others are those of an image, and
    the caller's PATH replaces them. The folder `first` comes first.
    """
    merged = {**caller, **{name: paths.here(text) for name, text in given.items()}}
    wanted = [folder for folder in given.get("PATH", "").split(":") if paths.mounted(folder)]
    path = [first, *(paths.here(folder) for folder in wanted), caller.get("PATH", "")]
    return {**merged, "PATH": ":".join(folder for folder in path if folder), MARK: container}


class Seen(NamedTuple):
    """A process at one point in time."""

    pid: int
    state: str
    parent: int
    user: int
    """Clock ticks, as the next three fields; its own."""
    system: int
    children_user: int
    """Of its ended and reaped children, and of theirs."""
    children_system: int
    threads: int
    start: int
    """Clock ticks since boot: pid and start identify a process uniquely."""

    @property
    def lives(self) -> bool:
        """False for a zombie."""
        return self.state not in {"Z", "X"}


def read_process(pid: int) -> Seen | None:
    """The process with that pid; None if there is none."""
    try:
        text = _read(f"/proc/{pid}/stat").decode("utf-8", "replace")
        # The name is in brackets and may contain anything.
        fields = text.rpartition(")")[2].split()
        return Seen(
            pid,
            fields[0],
            int(fields[1]),
            *(int(field) for field in (*fields[11:15], fields[17], fields[19])),
        )
    except (OSError, IndexError, ValueError):
        return None


def all_processes() -> dict[int, Seen]:
    """All processes of this pid namespace."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
    return {pid: seen for pid in pids if (seen := read_process(pid)) is not None}


def descendants(root: int, table: Mapping[int, Seen]) -> list[Seen]:
    """The living descendants of a process, parents first; not the process itself."""
    children: dict[int, list[Seen]] = {}
    for seen in table.values():
        children.setdefault(seen.parent, []).append(seen)
    found = list(children.get(root, ()))
    for seen in found:
        found += children.get(seen.pid, ())
    return [seen for seen in found if seen.lives]


def marked(container: str, table: Mapping[int, Seen]) -> list[Seen]:
    """The living processes that inherited the container's mark, as far as they can be read."""
    mark = f"{MARK}={container}".encode()
    return [seen for seen in table.values() if seen.lives and mark in _environment(seen.pid)]


def kill(seen: Seen) -> None:
    """Kill it unless it has ended: a new process with the same pid is left alone."""
    now = read_process(seen.pid)
    if now is None or now.start != seen.start:
        return
    try:
        os.kill(seen.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_all(members: Callable[[], Iterable[Seen]], until: Callable[[], bool]) -> bool:
    """Kill until there are no members (True) or `until()` is true (False).

    A killed process may have just created another, so members are listed again each time.
    """
    while found := list(members()):
        for seen in found:
            kill(seen)
        if until():
            return False
    return True


class RecentProcesses:
    """A recent table of all processes: calls for several containers read /proc once."""

    def __init__(self, max_age: float = 0.25) -> None:
        """`max_age` in seconds."""
        self._max_age = max_age
        self._lock = threading.Lock()
        self._at = -math.inf
        self._table: Mapping[int, Seen] = {}

    def table(self) -> Mapping[int, Seen]:
        """See `all_processes`."""
        with self._lock:
            if time.monotonic() - self._at > self._max_age:
                self._table, self._at = all_processes(), time.monotonic()
            return self._table


def usage(keeper: int, table: Mapping[int, Seen]) -> Mapping[str, object] | None:
    """Resource usage of a container, in the form of Docker's statistics; None if it is gone.

    All processes descend from `keeper`, which reaps orphans: times of ended processes are added to
    their parents, so none is lost or counted twice. The keeper's own times do not count.
    """
    root = table.get(keeper)
    if root is None:
        return None
    members = descendants(keeper, table)
    user = root.children_user + sum(each.user + each.children_user for each in members)
    system = root.children_system + sum(each.system + each.children_system for each in members)
    return {
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": (user + system) * _TICK_NS,
                "usage_in_usermode": user * _TICK_NS,
                "usage_in_kernelmode": system * _TICK_NS,
            }
        },
        "memory_stats": _memory(members),
        "blkio_stats": {"io_service_bytes_recursive": _storage_io([root, *members])},
        "pids_stats": {"current": sum(each.threads for each in members)},
    }


def _memory(members: Iterable[Seen]) -> dict[str, object]:
    """Resident memory; file pages are page cache, counted in every process that maps them."""
    resident = files = 0
    for each in members:
        try:
            fields = _read(f"/proc/{each.pid}/statm").split()
            resident += int(fields[1])
            files += int(fields[2])
        except (OSError, IndexError, ValueError):
            continue
    details = {"inactive_file": files * _PAGE, "cache": files * _PAGE}
    return {"usage": resident * _PAGE, "stats": details}


def _storage_io(processes: Iterable[Seen]) -> list[dict[str, object]]:
    """Bytes that reached storage. As with times, those of ended processes are added to their
    parents.

    Empty if any process cannot be read: a partial sum would look like the total.
    """
    totals = dict.fromkeys((name for _, name in _IO_NAMES), 0)
    for each in processes:
        try:
            lines = _read(f"/proc/{each.pid}/io").split(b"\n")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return []
        values = dict(line.split(b": ") for line in lines if b": " in line)
        for key, name in _IO_NAMES:
            totals[name] += int(values.get(key, 0))
    return [{"op": name, "value": value} for name, value in totals.items()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
