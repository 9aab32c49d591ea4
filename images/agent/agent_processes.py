"""The chain's processes, cached between samples so that little is read twice."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import psutil
from agent_procfs import (
    STATUS_MEMORY,
    Stat,
    age,
    is_kernel,
    parse_status,
    parse_vat,
    read,
    read_stat,
)


class Known(NamedTuple):
    """A known process. Pids are reused; pid and start identify a process."""

    start_ticks: int
    argv: tuple[str, ...]
    vat: tuple[str, str | None] | None
    handle: Any


def subtree(parents: dict[int, int], root: int) -> list[int]:
    """The processes below `root`, including itself, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        if pid != root:
            children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def choose_kernel(
    processes: dict[int, Known], parents: dict[int, int], pattern: str | None = None
) -> int | None:
    """The chain node's pid: of the processes with a node's command line, the working one.

    A launcher may also have the name, and a child between fork and exec looks like its parent. So:
    the one with most vat workers as children, then the innermost that is not such a twin; if none
    has the name, the parent of most vat workers.
    """
    workers: dict[int, int] = {}
    for pid, known in processes.items():
        if known.vat:
            workers[parents[pid]] = workers.get(parents[pid], 0) + 1
    named = {
        pid for pid, known in processes.items() if not known.vat and is_kernel(known.argv, pattern)
    }
    twins = {
        pid
        for pid in named
        if parents[pid] in named and processes[pid].argv == processes[parents[pid]].argv
    }
    named -= twins
    if named:
        outer = {parents[pid] for pid in named}
        return max(named, key=lambda pid: (workers.get(pid, 0), pid not in outer, -pid))
    if workers:
        return max(workers, key=lambda pid: (workers[pid], -pid))
    return None


class Processes:
    """Kernel and vat workers below one root process."""

    def __init__(self, root: int, pattern: str | None = None) -> None:
        """`root` is the pid of the root process; for `pattern` see `is_kernel`."""
        self.kernel: int | None = None
        self._root = root
        self._pattern = pattern
        first = read_stat(root)
        self._root_start = first.start_ticks if first else None
        self._known: dict[int, Known] = {}
        self._outside: set[int] = set()
        self._retired = {"cpu_user_s": 0.0, "cpu_system_s": 0.0}
        self._last: dict[tuple[int, int], dict[str, float]] = {}

    def root_lives(self) -> bool:
        """False once the root process has ended."""
        now = read_stat(self._root)
        return now is not None and now.start_ticks == self._root_start

    def refresh(self, *, thorough: bool) -> dict[int, Stat]:
        """Update the known processes; return the stats of at least kernel and vats.

        A quick refresh reads kernel, vats and new processes. A thorough one also reads the command
        lines of all non-workers again: between fork and exec, a process looks like its parent.
        """
        if not thorough and self.kernel is not None:
            before = self._known.get(self.kernel)
            stats = self._read_known()
            if before is not None and _same(before, stats.get(self.kernel)):
                return stats
        return self._read_all()

    def _read_known(self) -> dict[int, Stat]:
        stats: dict[int, Stat] = {}
        for pid in psutil.pids():
            known = self._known.get(pid)
            if known is None:
                if pid in self._outside:
                    continue
            elif not known.vat and pid != self.kernel:
                continue
            now = read_stat(pid)
            if now is None:
                continue
            stats[pid] = now
            if known is not None and _same(known, now):
                continue
            if now.parent in self._known:
                self._learn(pid, now)
            else:
                self._outside.add(pid)
        return stats

    def _read_all(self) -> dict[int, Stat]:
        found = ((pid, read_stat(pid)) for pid in psutil.pids())
        stats = {pid: now for pid, now in found if now is not None}
        parents = {pid: now.parent for pid, now in stats.items()}
        below = [pid for pid in subtree(parents, self._root) if pid in stats]
        self._outside = stats.keys() - below
        self._known = {
            pid: self._known[pid]
            for pid in below
            if pid in self._known and _same(self._known[pid], stats[pid])
        }
        for pid in below:
            known = self._known.get(pid)
            if known is None or not known.vat:
                self._learn(pid, stats[pid])
        self.kernel = choose_kernel(self._known, parents, self._pattern)
        if self.kernel not in self._known:
            self.kernel = None
        return stats

    def _learn(self, pid: int, now: Stat) -> None:
        known = self._known.get(pid)
        try:
            same = known is not None and _same(known, now)
            handle = known.handle if same and known is not None else psutil.Process(pid)
            argv = tuple(handle.cmdline())
        except (psutil.Error, OSError):
            self._known.pop(pid, None)
            return
        self._known[pid] = Known(now.start_ticks, argv, parse_vat(argv), handle)

    def vats(self, stats: dict[int, Stat]) -> list[tuple[int, str, str | None]]:
        """The living vat workers in order of their vat numbers: pid, vat id, name."""
        found = [
            (pid, *known.vat)
            for pid, known in self._known.items()
            if known.vat and _same(known, stats.get(pid))
        ]
        return sorted(found, key=lambda item: int(item[1][1:]))

    def totals(self, stats: dict[int, Stat]) -> dict[str, Any]:
        """Totals of all vats, including the CPU of ended workers as last seen."""
        now: dict[tuple[int, int], dict[str, float]] = {}
        memory = 0
        for pid, _, _ in self.vats(stats):
            found = stats[pid]
            memory += found.rss_kib
            now[pid, found.start_ticks] = {name: found.times[name] or 0 for name in self._retired}
        for key, last in self._last.items():
            if key not in now:
                for name, seconds in last.items():
                    self._retired[name] += seconds
        self._last = now
        values: dict[str, Any] = {"workers": len(now), "memory_rss_kib": memory}
        for name, seconds in self._retired.items():
            values[name] = round(seconds + sum(each[name] for each in now.values()), 2)
        return values

    def light(self, pid: int, now: Stat) -> dict[str, Any]:
        """The values of a process from its stat file alone."""
        seconds = age(now)
        return {
            "pid": pid,
            "age_s": round(seconds, 3),
            "created_at": round(time.time() - seconds, 2),
            "threads": now.threads,
            "memory_rss_kib": now.rss_kib,
            **now.times,
        }

    def full(self, pid: int, now: Stat, refused: dict[str, list[str]]) -> dict[str, Any]:
        """All values of a process; refused ones are null, with the reason added to `refused` by
        kind.
        """
        values = self.light(pid, now)
        values.update(dict.fromkeys(STATUS_MEMORY.values()))
        values.update(fds=None, io_read_bytes=None, io_write_bytes=None)
        try:
            values.update(parse_status(read(f"/proc/{pid}/status")))
        except OSError as error:
            refused.setdefault("memory", []).append(error.strerror or str(error))
        handle = self._known[pid].handle
        with handle.oneshot():
            try:
                values["fds"] = handle.num_fds()
            except (psutil.Error, OSError) as error:
                refused.setdefault("fds", []).append(type(error).__name__)
            try:
                counters = handle.io_counters()
                values["io_read_bytes"] = counters.read_bytes
                values["io_write_bytes"] = counters.write_bytes
            except (psutil.Error, OSError, RuntimeError, AttributeError) as error:
                refused.setdefault("io", []).append(type(error).__name__)
        return values


def _same(known: Known, now: Stat | None) -> bool:
    return now is not None and now.start_ticks == known.start_ticks
