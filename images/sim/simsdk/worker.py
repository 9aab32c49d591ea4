"""The vat worker process: named like the real one, does real work, and keeps memory.

The protocol on stdin and stdout has one line each: the response to `d UNITS BYTES` (deliver) is `ok
TOTAL` (bytes kept so far). The end of stdin ends the worker, so it never outlives the chain.
Imports are few because every vat pays for them.
"""

from __future__ import annotations

import signal
import sys
import zlib

UNIT_BYTES = 16384
COMPUTRONS_PER_UNIT = 100
"""A unit (a checksum over UNIT_BYTES) takes 5 to 10 µs, as 100 computrons do in the real worker."""


def main() -> int:
    """Serve until stdin ends."""
    # Ctrl-C reaches the whole process group; the chain decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _rename("xsnap")
    block = bytes(range(256)) * (UNIT_BYTES // 256)
    heap: list[bytes] = []
    total = 0
    inp, out = sys.stdin.buffer, sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    for line in inp:
        _, units, grow = line.split()
        checksum = 0
        for _ in range(int(units)):
            checksum = zlib.crc32(block, checksum)
        if int(grow):
            # Not zeros: untouched zero pages would cost no memory.
            heap.append(b"\xa5" * int(grow))
            total += int(grow)
        try:
            out.write(b"ok %d\n" % total)
            out.flush()
        except BrokenPipeError:
            return 0
    return 0


def _rename(name: str) -> None:
    # The process's name for `ps` and psutil; only Linux supports it.
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as comm:  # noqa: PTH123 - pathlib costs 10 ms a vat
            comm.write(name)
    except OSError:
        pass
