"""A block's row of `blocks.jsonl`, computed as by the original load generator, and its figures.

Names, units and rounding are the original's (docs/slog.md): times of day are epoch seconds as
written, durations are seconds rounded to 6 digits, percentages to 2, half up. Figures are values
that the original does not have: SDKs have written their events and fields since summer 2022. For an
older SDK they are absent, not 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from loadgenctl.records import columns
from loadgenctl.slog.model import BlockRecord, Moment, seconds_between

FIGURES: Final[Mapping[str, str]] = {
    column.name: column.unit for column in columns.FIGURE if column.kind != "truth"
}
"""Name in a block's row → unit (`s`, `bytes`, …), in the order in which they are written."""

_PAGED: Final = ("pageIns", "evictions", "replayedDeliveries", "pageInTime", "cleanupWork")
_SAVED: Final = ("snapshots", "snapshotBytes", "snapshotCompressedBytes", "snapshotTime")


BOOTSTRAP: Final = "bootstrap"
"""In a block's row: true for the first block if it runs the core proposals of the bootstrap."""
Row = dict[str, Any]
"""One row of blocks.jsonl; unknown quantities are absent."""
BLOCK_FIELDS: Final = columns.names(columns.BLOCK, columns.FIGURE)[1:]
"""All fields but the stage, in the order in which they are written."""
_SECONDS: Final = 1_000_000.0
_REMEMBERED: Final = 4096
_TICK: Final = 1e-9


def summary_name(figure: str) -> str:
    """A figure's name in summaries, with its unit: `runTime` → `run_time_s`."""
    name = "".join(f"_{char.lower()}" if char.isupper() else char for char in figure)
    unit = {"s": "_s", "bytes": "_bytes"}.get(FIGURES[figure], "")
    return name.removesuffix(unit) + unit


def complete(figures: dict[str, float]) -> None:
    """Add zeros for what did not happen in a block with runs."""
    if "runTime" not in figures:
        return
    for name in _PAGED:
        figures.setdefault(name, 0)
    if "snapshots" not in figures:
        figures.update(dict.fromkeys(_SAVED, 0))


def round_half_up(value: float) -> float:
    """Round to an integer as JavaScript's Math.round does: halves towards +infinity."""
    below = math.floor(value)
    return float(below + 1 if value - below >= 0.5 else below)


def round_seconds(value: float) -> float:
    """Seconds with 6 decimal digits."""
    return round_half_up(value * _SECONDS) / _SECONDS


def percentage(share: float) -> float:
    """A share (1 = all) as a percentage with 2 decimal digits."""
    return round_half_up(share * 10_000.0) / 100.0


def tidy(value: float) -> float | int:
    """A number without a fraction as an integer, as JavaScript writes it."""
    return int(value) if float(value).is_integer() else value


class BlockRows:
    """Makes the rows of one stage; remembers the previous blocks, to which durations refer."""

    def __init__(self, stage: int | None = None) -> None:
        """`stage` goes first into every row unless None."""
        self._stage = stage
        self._ends: dict[int, tuple[float, Moment | None]] = {}

    def row(
        self,
        block: BlockRecord,
        *,
        chain_ready_at: float | None = None,
        shutdown_at: float | None = None,
    ) -> Row:
        """Return the block's row.

        `chain_ready_at` and `shutdown_at` are epoch seconds, None if that has not happened yet.
        A block is live if its end-block began once the chain was ready, and before the shutdown if
        it began before that; so a block's row does not depend on when it is computed.
        """
        previous = self._ends.get(block.block_height - 1)
        self._remember(block)
        row: Row = {} if self._stage is None else {"stage": self._stage}
        row["blockHeight"] = block.block_height
        row["blockTime"] = tidy(block.block_time)
        if block.end_start_at is not None:
            started = block.end_start_at
            row["liveMode"] = chain_ready_at is not None and started >= chain_ready_at
            row["beforeShutdown"] = shutdown_at is None or started < shutdown_at
        row["beginAt"] = block.begin_at
        _put(row, "endStartAt", block.end_start_at)
        _put(row, "endFinishAt", block.end_finish_at)
        _put(row, "slogLines", block.slog_lines)
        row["deliveries"] = block.deliveries
        _put(row, "firstCrankNum", block.first_crank_num)
        _put(row, "lastCrankNum", block.last_crank_num)
        row["computrons"] = block.computrons
        _put_durations(row, block, previous)
        if block.bootstrap:
            row[BOOTSTRAP] = True
        for name, unit in FIGURES.items():
            value = block.figures.get(name)
            if value is not None:
                row[name] = tidy(round_seconds(value) if unit == "s" else value)
        return row

    def _remember(self, block: BlockRecord) -> None:
        self._ends[block.block_height] = (block.block_time, block.end_finish)
        if len(self._ends) > _REMEMBERED:
            del self._ends[next(iter(self._ends))]


def _put(row: Row, name: str, value: float | None) -> None:
    if value is not None:
        row[name] = value


def _put_seconds(row: Row, name: str, value: float | None) -> None:
    if value is not None:
        row[name] = tidy(round_seconds(value))


def _put_durations(
    row: Row, block: BlockRecord, previous: tuple[float, Moment | None] | None
) -> None:
    previous_time, previous_end = (None, None) if previous is None else previous
    begin, end_start, end_finish = block.begin, block.end_start, block.end_finish
    duration = seconds_between(previous_end, end_finish)
    swingset = seconds_between(end_start, end_finish)
    processing = seconds_between(begin, end_finish)
    # The block's time may be of another machine: only `time` can be compared with it.
    _put_seconds(row, "lag", block.begin_at - block.block_time)
    _put_seconds(row, "blockDuration", duration)
    if previous_time is not None:
        row["chainBlockDuration"] = tidy(block.block_time - previous_time)
    _put_seconds(row, "idleTime", seconds_between(previous_end, begin))
    _put_seconds(row, "cosmosTime", seconds_between(begin, end_start))
    _put_seconds(row, "swingsetTime", swingset)
    _put_seconds(row, "processingTime", processing)
    if duration is not None:
        # The clock may not have advanced between two blocks: the share is then 0. It ticks in
        # microseconds; far smaller differences also count as none.
        moved = abs(duration) >= _TICK
        for name, part in (("swingsetPercentage", swingset), ("processingPercentage", processing)):
            if part is not None:
                row[name] = tidy(percentage(part / duration)) if moved else 0
