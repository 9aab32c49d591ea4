"""Who owns a container, network or volume, as labels on it; and the sweep of what dead runs left.

An owner is a process: its pid alone would be reused after a while, so its start time goes with it,
and both mean something only on the host (and in the pid namespace) where the process lives.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadgenctl.engines.base import Engine, Leftover
from loadgenctl.errors import EngineError

NAMESPACE = "io.loadgenctl"
RUN = f"{NAMESPACE}.run"
ROLE = f"{NAMESPACE}.role"
OWNER_PID = f"{NAMESPACE}.owner.pid"
OWNER_START = f"{NAMESPACE}.owner.start"
HOST = f"{NAMESPACE}.host"

_SWEEP_ORDER = {"container": 0, "network": 1, "volume": 2}

StartOf = Callable[[int], str | None]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that owns things on an engine."""

    pid: int
    start: str
    """When the process started, as `process_start` writes it."""
    host: str
    """See `host_id`."""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(pid=pid, start=process_start(pid) or "", host=host_id())


def process_start(pid: int) -> str | None:
    """When the process started: opaque, equal only for the same process; None if there is none."""
    try:
        # Field 22, in clock ticks since the boot: setting the clock does not move it. The command
        # name before it may contain spaces and brackets, so the count starts at the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except FileNotFoundError:
        return _portable_process_start(pid)
    except (OSError, IndexError):
        return None
    # A zombie is a process only in name: nobody has asked for its exit code yet.
    return None if fields[0] in {"Z", "X"} else f"{boot[:8]}-{fields[19]}"


def _portable_process_start(pid: int) -> str | None:
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def host_id() -> str:
    """This host and pid namespace, as a short hash that says nothing about either."""
    parts = [platform.node()]
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            parts.append(path.read_text("ascii").strip())
            break
        except (OSError, UnicodeDecodeError):
            continue
    try:
        # Two containers of one image share a machine id, but not their pids.
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def make(owner: Owner, run: str, role: str) -> dict[str, str]:
    """The labels of something that `owner` makes for a run."""
    return {
        RUN: run,
        ROLE: role,
        OWNER_PID: str(owner.pid),
        OWNER_START: owner.start,
        HOST: owner.host,
    }


def owned_by_dead_process(
    labels: Mapping[str, str], *, host: str | None = None, start_of: StartOf = process_start
) -> bool:
    """True if the labels name an owner on this host that no longer lives.

    Without an owner (a cache that outlives runs), or with one on another host, the answer is False:
    nobody here can know.
    """
    pid, start = labels.get(OWNER_PID, ""), labels.get(OWNER_START, "")
    if labels.get(HOST) != (host or host_id()) or not pid.isdecimal() or not start:
        return False
    return start_of(int(pid)) != start


def owned_by(labels: Mapping[str, str], owner: Owner) -> bool:
    """True if exactly this process owns it."""
    return (
        labels.get(HOST) == owner.host
        and labels.get(OWNER_PID) == str(owner.pid)
        and labels.get(OWNER_START) == owner.start
    )


def sweep(
    engine: Engine, *, host: str | None = None, start_of: StartOf = process_start
) -> list[Leftover]:
    """Remove what dead owners on this host left on the engine, and say what that was.

    Containers go first: networks and volumes cannot go while one uses them. An item that cannot be
    removed does not keep the others; the first such error is raised at the end.
    """
    removed: list[Leftover] = []
    failures: list[EngineError] = []
    items = engine.leftovers()
    for item in sorted(items, key=lambda item: _SWEEP_ORDER.get(item.kind, len(_SWEEP_ORDER))):
        if not owned_by_dead_process(item.labels, host=host, start_of=start_of):
            continue
        try:
            engine.remove_leftover(item)
        except EngineError as error:
            failures.append(error)
        else:
            removed.append(item)
    if failures:
        raise failures[0]
    return removed
