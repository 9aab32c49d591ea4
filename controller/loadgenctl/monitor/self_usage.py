"""The cost of measuring in the controller: its own CPU time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil

OwnUsage = Callable[[], Mapping[str, float | int]]


def read_own_usage() -> Mapping[str, float | int]:
    """CPU seconds of this process, all threads, since its start; resident memory in KiB."""
    process = psutil.Process()
    with process.oneshot():
        cpu, memory = process.cpu_times(), process.memory_info()
    return {
        "pid": process.pid,
        "cpu_user_s": cpu.user,
        "cpu_system_s": cpu.system,
        "memory_rss_kib": memory.rss // 1024,
    }
