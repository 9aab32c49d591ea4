"""Makes a long slog of a short one: `python tests/lengthen_slog.py IN OUT MEGABYTES`.

The slog is repeated; in every repetition after the first the times are shifted, blocks and cranks
renumbered, and the startup (everything before the first begin-block) left out, so that the whole
looks like one long stage. IN may be plain, .gz or .zst; OUT is plain.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from loadgenctl.slog.files import SlogReader

BLOCK_TIME = 5.0
"""Seconds between the last event of one repetition and the first of the next."""

_FIRST = re.compile(rb'\{"time":([\d.]+)')
_LAST = re.compile(rb',"time":([\d.]+),"monotime":[\d.eE+-]+(?:,"seconds":[\d.eE+-]+)?\}\n')
_HEIGHT = re.compile(rb'"blockHeight":(\d+)')
_BLOCK_TIME = re.compile(rb'"blockTime":(\d+)')
_CRANK = re.compile(rb'"crankNum":(\d+)')


def lines_of(path: Path) -> list[bytes]:
    """The whole lines of a slog, with their newlines."""
    with SlogReader(path) as reader:
        content = b"".join(reader.chunks(1 << 20))
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def time_of(line: bytes) -> re.Match[bytes] | None:
    """Where a line's time is: first, or, with newer SDKs, among the last fields."""
    return _FIRST.match(line) or _LAST.search(line, max(0, len(line) - 128))


def shifted(lines: list[bytes], seconds: float, blocks: int, cranks: int) -> Iterator[bytes]:
    """The same lines later, with higher blocks and cranks."""

    def add(pattern: re.Pattern[bytes], line: bytes, number: int) -> bytes:
        def later(found: re.Match[bytes]) -> bytes:
            grown = b"%d" % (int(found[1]) + number)
            return found[0].replace(found[1], grown)

        return pattern.sub(later, line, count=1)

    for line in lines:
        time = time_of(line)
        if time is None:
            yield line
            continue
        head, rest = line[: time.start(1)], line[time.end(1) :]
        moved = b"%s%.7f%s" % (head, float(time[1]) + seconds, rest)
        if b'"type":"cosmic-swingset-' in line[:100]:
            moved = add(_BLOCK_TIME, add(_HEIGHT, moved, blocks), round(seconds))
        yield add(_CRANK, moved, cranks) if cranks else moved


def numbers(pattern: re.Pattern[bytes], lines: list[bytes]) -> list[int]:
    """All numbers that a pattern finds in the lines' heads."""
    found = (pattern.search(line, 0, 400) for line in lines)
    return [int(match[1]) for match in found if match is not None]


def lengthen(source: Path, target: Path, size: int) -> None:
    """Write at least `size` bytes of the slog `source` to `target`."""
    lines = lines_of(source)
    begin = b'"type":"cosmic-swingset-begin-block"'
    first = next((index for index, line in enumerate(lines) if begin in line[:100]), None)
    if first is None:
        sys.exit(f"{source} is no slog with a block in it")
    body = lines[first:]
    times = [float(match[1]) for line in body if (match := time_of(line))]
    heights, cranks = numbers(_HEIGHT, body), numbers(_CRANK, body)
    period = times[-1] - times[0] + BLOCK_TIME
    with target.open("wb") as out:
        out.writelines(lines)
        turn = 0
        while out.tell() < size:
            turn += 1
            out.writelines(
                shifted(
                    body,
                    turn * period,
                    turn * (max(heights) - min(heights) + 1),
                    turn * (max(cranks) - min(cranks) + 1) if cranks else 0,
                )
            )


if __name__ == "__main__":
    lengthen(Path(sys.argv[1]), Path(sys.argv[2]), int(float(sys.argv[3]) * 1e6))
