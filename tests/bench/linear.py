"""The part `linear`: a scan's time grows as the slog does, and its memory does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.bench.measure import PYTHON, Spread, in_turns, peak, run, walls
from tests.bench.report import table
from tests.bench.settings import LONG_SLOG, Settings

SIZES: Final = (2000, 800, 200, 50)
"""MB, from the largest: each is what is left of the one before."""
ROUNDS: Final = 3


def measure(settings: Settings) -> list[str]:
    """Return the section's lines."""
    settings.make_long_slog(SIZES[0])
    slog = settings.scratch / LONG_SLOG
    rows: list[list[str]] = []
    for megabytes in SIZES:
        cut_at_line(slog, megabytes * 1_000_000)
        size = slog.stat().st_size / 1e6
        scan = {f"{size:.0f} MB": lambda: run([PYTHON, "-m", "tests.bench.ours", "scan", slog])}
        [taken] = in_turns(scan, ROUNDS).values()
        wall = Spread.of(walls(taken))
        rows.insert(
            0, [f"{size:.0f}", wall.text(), f"{size / wall.median:.0f}", f"{peak(taken):.0f}"]
        )
    slog.unlink()
    return [
        f"loadgenctl's scan, each size {ROUNDS} times.",
        "",
        *table(["slog, MB", "wall, s", "MB/s", "peak memory, MB"], rows),
    ]


def cut_at_line(slog: Path, size: int) -> None:
    """Shorten a file to about `size` bytes, at the next line end; it may be shorter already."""
    with slog.open("r+b") as file:
        file.seek(size)
        file.readline()
        end = file.tell()
    if end < slog.stat().st_size:
        os.truncate(slog, end)
