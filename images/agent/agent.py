#!/usr/bin/env python3
"""Samples the chain's processes and storage from inside its container. Needs Python 3.9 and psutil.

    python3 agent.py --out FILE --light SECONDS --full SECONDS --storage DIR [--once]

Appends one JSON object per line to FILE, each in one write, and prints nothing:

    start   first line: the agent's own pid and versions
    full    kernel process, every vat worker, storage per file
    light   kernel process and the vats' totals: CPU and resident memory only
    end     last line: why the agent ended

It ends when the root process (`--root-pid`, the container's init) has ended, and on SIGTERM. A
token written to FILE.request requests an immediate full sample, whose `request` is that token.
Sizes are in KiB, times in seconds; what could not be read is null, with the reason in `errors`.
Every sample has the agent's own usage.

psutil lists processes and reads what it supports; the rest (peak memory, page tables, guest time …)
is in /proc/PID/stat and /proc/PID/status, which are parsed here, once per process and sample.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from typing import Any, Iterable

from agent_procfs import PAGE_KIB, Stat, read
from agent_storage import storage_usage

PSUTIL_ERROR = None
try:
    import psutil
    from agent_processes import Processes
except ImportError as missing:
    PSUTIL_ERROR = str(missing)

POLL_EVERY = 0.25
"""Polling interval for requests, in seconds."""

ROOT_EVERY = 2.0
"""Interval, in seconds, at which the root process is checked."""


class Output:
    """The file of samples. If the disk is full, a line is lost and counted, and the agent
    continues.
    """

    def __init__(self, path: str) -> None:
        """Open `path` for appending."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        self._lost = 0

    def claim(self) -> bool:
        """Lock the file for this agent; False if another agent has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def write(self, row: dict[str, Any]) -> None:
        """Append one line, completely or not at all."""
        if self._lost:
            row["lost_lines"] = self._lost
        line = json.dumps(row, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        try:
            size = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, line) != len(line):
                os.ftruncate(self._descriptor, size)
                self._lost += 1
        except OSError:
            self._lost += 1


class Agent:
    """Takes samples and writes them."""

    def __init__(self, out: Output, storage: str | None, processes: Processes) -> None:
        """`storage` is the folder to measure; None leaves storage out."""
        self._out = out
        self._storage = storage
        self._processes = processes

    def light(self) -> None:
        """Kernel and totals of the vats."""
        began = time.monotonic()
        stats = self._processes.refresh(thorough=False)
        row = _row("light")
        kernel = self._processes.kernel
        if kernel is None:
            row["errors"]["kernel"] = "no chain process found"
        row["kernel"] = None if kernel is None else self._processes.light(kernel, stats[kernel])
        self._finish(row, stats, began)

    def full(self, request: str | None = None) -> None:
        """Kernel, every vat and storage."""
        began = time.monotonic()
        stats = self._processes.refresh(thorough=True)
        row = _row("full")
        if request is not None:
            row["request"] = request
        refused: dict[str, list[str]] = {}
        kernel = self._processes.kernel
        if kernel is None:
            row["errors"]["kernel"] = "no chain process found"
            row["kernel"] = None
        else:
            row["kernel"] = self._processes.full(kernel, stats[kernel], refused)
        row["vats"] = [
            {"vat": vat, "name": name, **self._processes.full(pid, stats[pid], refused)}
            for pid, vat, name in self._processes.vats(stats)
        ]
        row["errors"].update(reasons(refused))
        if self._storage is not None:
            _add_storage(row, self._storage)
        self._finish(row, stats, began)

    def _finish(self, row: dict[str, Any], stats: dict[int, Stat], began: float) -> None:
        row["totals"] = self._processes.totals(stats)
        row["agent"] = {
            "cpu_s": round(time.process_time(), 4),
            "memory_rss_kib": own_rss_kib(),
            "took_s": round(time.monotonic() - began, 5),
        }
        self._out.write(row)

    def run(self, light: float, full: float, requests: Requests) -> str:
        """Sample until the root process ends or a signal arrives; return the reason. Intervals of
        0: never.
        """
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        start = time.monotonic()
        light_due = start + light if light > 0 else None
        full_due = start if full > 0 else None
        root_due = start
        while True:
            now = time.monotonic()
            if now >= root_due:
                if not self._processes.root_lives():
                    return "the watched process ended"
                root_due = now + ROOT_EVERY
            word = requests.next()
            if word is not None or (full_due is not None and now >= full_due):
                self.full(word)
                if word is None:
                    full_due = following(full_due, full, now)
                light_due = following(light_due, light, now)
            elif light_due is not None and now >= light_due:
                self.light()
                light_due = following(light_due, light, now)
            waits = [POLL_EVERY, *(due - time.monotonic() for due in (light_due, full_due) if due)]
            caught = signal.sigtimedwait(signals, max(0.0, min(waits)))
            if caught is not None:
                return signal.Signals(caught.si_signo).name


class Requests:
    """Requests for an immediate full sample: tokens in a file."""

    def __init__(self, path: str) -> None:
        """The present content of the file was a request to another agent."""
        self._path = path
        self._served = self._read()

    def next(self) -> str | None:
        """The token of a new request; None if there is none."""
        word = self._read()
        if word is None or word == self._served:
            return None
        self._served = word
        return word

    def _read(self) -> str | None:
        try:
            # Usually there is no such file, and checking is cheaper than a failed open.
            if not os.access(self._path, os.R_OK):
                return None
            return read(self._path).decode("utf-8", "replace").strip() or None
        except OSError:
            return None


def following(due: float | None, interval: float, now: float) -> float | None:
    """The next time in the schedule of `due`; missed times are skipped."""
    if due is None or due > now:
        return due
    return due + interval * (1 + (now - due) // interval)


def reasons(refused: dict[str, list[str]]) -> dict[str, str]:
    """One line per kind of refusal, with the number of processes."""
    return {
        kind: f"{', '.join(sorted(set(whys)))} ({len(whys)} processes)"
        for kind, whys in refused.items()
    }


def own_rss_kib() -> int | None:
    """The agent's own resident memory."""
    try:
        return int(read("/proc/self/statm").split()[1]) * PAGE_KIB
    except (OSError, ValueError, IndexError):
        return None


def _row(kind: str) -> dict[str, Any]:
    return {"time": round(time.time(), 6), "kind": kind, "errors": {}}


def _add_storage(row: dict[str, Any], folder: str) -> None:
    row["storage"] = row["storage_total_kib"] = None
    try:
        files, total, wrong = storage_usage(folder)
    except OSError as error:
        row["errors"]["storage"] = f"{folder}: {error.strerror}"
        return
    row["storage"] = files
    row["storage_total_kib"] = total
    if wrong:
        row["errors"]["storage"] = "; ".join(wrong[:5])


def arguments(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="sample a chain node from inside its container")
    parser.add_argument("--out", required=True, metavar="FILE", help="JSON lines are appended here")
    parser.add_argument("--light", type=float, default=5.0, metavar="SECONDS", help="0: none")
    parser.add_argument("--full", type=float, default=60.0, metavar="SECONDS", help="0: none")
    parser.add_argument("--storage", metavar="DIR", help="folder whose files are measured")
    parser.add_argument("--root-pid", type=int, default=1, metavar="PID", help="root process")
    parser.add_argument("--kernel", metavar="REGEX", help="pattern of the node's command line")
    parser.add_argument("--once", action="store_true", help="one full sample, then end")
    return parser.parse_args(None if argv is None else list(argv))


def main(argv: Iterable[str] | None = None) -> int:
    """Run the agent; return 0, 1 if psutil is missing, or 2 if another agent is running."""
    options = arguments(argv)
    out = Output(options.out)
    if not options.once and not out.claim():
        return 2
    first = _row("start")
    first["pid"] = os.getpid()
    first["python"] = sys.version.split()[0]
    first["psutil"] = None if PSUTIL_ERROR else psutil.__version__
    if PSUTIL_ERROR:
        first["errors"]["psutil"] = PSUTIL_ERROR
    requests = Requests(options.out + ".request")
    out.write(first)
    if PSUTIL_ERROR:
        return 1
    agent = Agent(out, options.storage, Processes(options.root_pid, options.kernel))
    if options.once:
        agent.full()
        return 0
    # The chain has priority over the agent.
    with contextlib.suppress(OSError):
        os.nice(5)
    out.write({**_row("end"), "reason": agent.run(options.light, options.full, requests)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
