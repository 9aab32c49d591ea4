"""Parses what /proc and a command line contain about a process. Stateless."""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple, Sequence

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024

KERNEL_NAMES = ("chain-entrypoint", "ag-chain-cosmos", "agd", "sim-chain")
"""Names of a chain node's program, among the first words of its command line, without extension."""

WRAPPERS = ("sh", "bash", "dash", "docker-init", "tini", "init")
"""Programs that start a node and have the node's name in their own command line."""

VAT_WORD = re.compile(r"^(v\d+):(.*)$", re.DOTALL)

# Name in /proc/PID/status → our name. All are in KiB.
STATUS_MEMORY = {
    b"VmRSS": "memory_rss_kib",
    b"VmSize": "memory_vms_kib",
    b"VmHWM": "memory_peak_rss_kib",
    b"VmPeak": "memory_peak_vms_kib",
    b"RssAnon": "memory_anon_kib",
    b"RssFile": "memory_file_kib",
    b"RssShmem": "memory_shmem_kib",
    b"VmData": "memory_data_kib",
    b"VmStk": "memory_stack_kib",
    b"VmExe": "memory_code_kib",
    b"VmLib": "memory_libraries_kib",
    b"VmPTE": "memory_page_tables_kib",
    b"VmSwap": "memory_swap_kib",
    b"VmLck": "memory_locked_kib",
    b"VmPin": "memory_pinned_kib",
}

# Name → number of the field in /proc/PID/stat as proc(5) counts them, all in clock ticks.
STAT_TIMES = {
    "cpu_user_s": 14,
    "cpu_system_s": 15,
    "cpu_children_user_s": 16,
    "cpu_children_system_s": 17,
    "io_wait_s": 42,
    "cpu_guest_s": 43,
    "cpu_children_guest_s": 44,
}


class Stat(NamedTuple):
    """The content of /proc/PID/stat."""

    state: str
    parent: int
    threads: int
    start_ticks: int
    rss_kib: int
    times: dict[str, float | None]

    @property
    def dead(self) -> bool:
        """True for a zombie, whose memory is released and whose numbers are meaningless."""
        return self.state in "ZXx"


def parse_stat(content: bytes) -> Stat:
    """Parse /proc/PID/stat; `ValueError` for other content. Fields that an old kernel lacks are
    None.
    """
    # The name is in parentheses and may contain anything, including parentheses and spaces.
    head, found, tail = content.rpartition(b")")
    fields = tail.split()
    if not found or b"(" not in head or len(fields) < 22:
        raise ValueError("not a /proc/PID/stat")
    times = {
        name: int(fields[number - 3]) / TICKS if len(fields) > number - 3 else None
        for name, number in STAT_TIMES.items()
    }
    return Stat(
        state=fields[0].decode("ascii", "replace"),
        parent=int(fields[1]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        rss_kib=int(fields[21]) * PAGE_KIB,
        times=times,
    )


def parse_status(content: bytes) -> dict[str, int | None]:
    """The memory lines of /proc/PID/status by our names, KiB; None for a line that is missing."""
    found: dict[str, int | None] = dict.fromkeys(STATUS_MEMORY.values())
    for line in content.split(b"\n"):
        key, _, rest = line.partition(b":")
        name = STATUS_MEMORY.get(key)
        if name is not None:
            digits = rest.split()
            if digits and digits[0].isdigit():
                found[name] = int(digits[0])
    return found


def parse_vat(argv: Sequence[str]) -> tuple[str, str | None] | None:
    """Vat id and name from a worker's command line; None if it is not a vat worker.

    SwingSet starts `xsnap vN:NAME …`, and writes `undefined` for a vat without a name.
    """
    if not any(base_name(word).startswith("xs") for word in argv[:3]):
        return None
    for word in argv[1:]:
        match = VAT_WORD.match(word)
        if match:
            name = match.group(2)
            return match.group(1), None if name in ("", "undefined") else name
    return None


def is_kernel(argv: Sequence[str], pattern: str | None = None) -> bool:
    """True if a command line is a chain node's; `pattern` replaces the built-in names."""
    if pattern is not None:
        return re.search(pattern, " ".join(argv)) is not None
    if not argv or base_name(argv[0]) in WRAPPERS:
        return False
    words = (base_name(word).split(".")[0] for word in argv[:5] if word[:1] != "-")
    return any(word.replace("_", "-") in KERNEL_NAMES for word in words)


def base_name(word: str) -> str:
    """What follows the last slash."""
    return word.rpartition("/")[2]


def read(path: str) -> bytes:
    """A small file of /proc in one read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)


def read_stat(pid: int) -> Stat | None:
    """A living process's stat; None if it has ended or cannot be read."""
    try:
        found = parse_stat(read(f"/proc/{pid}/stat"))
    except (OSError, ValueError):
        return None
    return None if found.dead else found


def age(stat: Stat) -> float:
    """Seconds since the process was started, on the clock of its start time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start_ticks / TICKS
