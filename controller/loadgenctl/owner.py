"""The owner of a resource: a process, named so that it cannot be confused with another one.

Containers have their owner in labels, a results folder has it in status.json. Pids are reused, so
the process's start belongs to the name; and both have a meaning only on the host, and in the pid
namespace, of the process.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

StartOf = Callable[[int], str | None]
"""Pid → `process_start`; tests pass their own process table."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that owns a resource."""

    pid: int
    start: str
    """When the process started, as `process_start` writes it; empty if unknown."""
    host: str
    """See `host_id`."""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(pid=pid, start=process_start(pid) or "", host=host_id())

    def alive(self, *, host: str | None = None, start_of: StartOf | None = None) -> bool | None:
        """True if this process still runs; None if it cannot be determined from this host.

        That is the case for a process of another host, and for one whose start is unknown. `host`
        is the current host, `start_of` its process table; the real ones unless given.
        """
        if not self.start or self.host != (host or host_id()):
            return None
        return (start_of or process_start)(self.pid) == self.start


def process_start(pid: int) -> str | None:
    """When the process started: opaque, equal only for the same process; None if there is none."""
    try:
        # Field 22, in clock ticks since the boot: setting the clock does not change it. The command
        # name before it may contain spaces and brackets, so the count starts at the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        state, ticks = fields[0], fields[19]
    except (OSError, IndexError):
        return None
    # A zombie has ended: only its exit code has not been collected yet.
    return None if state in {"Z", "X"} else f"{boot[:8]}-{ticks}"


def host_id() -> str:
    """This host and pid namespace, as a short hash that reveals neither."""
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
