"""Summaries of blocks: all, the last 100 before the shutdown, only live ones, only catch-up.

None of them includes a first block that runs the core proposals of the bootstrap.

A summary:

    block_count, start_block_height, end_block_height    whole numbers
    lag_s, block_duration_s, …                           a spread each (stats.numbers), see METRICS
    run_time_s, kernel_heap_bytes, …                     the same, see FIGURE_METRICS

A quantity that no block has is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from loadgenctl.slog.block_rows import BOOTSTRAP, FIGURES, summary_name
from loadgenctl.stats.numbers import finite, spread

Row = Mapping[str, Any]
_R = TypeVar("_R", bound=Row)
Summary = dict[str, Any]

METRICS: Final[Mapping[str, str]] = {
    "lag": "lag_s",
    "blockDuration": "block_duration_s",
    "chainBlockDuration": "chain_block_duration_s",
    "idleTime": "idle_time_s",
    "cosmosTime": "cosmos_time_s",
    "swingsetTime": "swingset_time_s",
    "processingTime": "processing_time_s",
    "deliveries": "deliveries",
    "computrons": "computrons",
    "slogLines": "slog_lines",
    "swingsetPercentage": "swingset_percentage",
    "processingPercentage": "processing_percentage",
}
"""Field of a block row → its name in a summary; the original load generator has these, too."""

FIGURE_METRICS: Final[Mapping[str, str]] = {name: summary_name(name) for name in FIGURES}
"""The same for fields that only newer slogs have (slog.blocks)."""

LAST: Final = 100

_SHARES: Final[Mapping[str, str]] = {
    "swingsetPercentage": "swingsetTime",
    "processingPercentage": "processingTime",
}
"""Percentage of a block's duration → the time that is this share."""
_HALF: Final = 0.005
"""How much a row's percentage can differ from the exact one, as it has 2 decimal digits."""


def block_summary(rows: Iterable[Row]) -> Summary | None:
    """Summarize `rows`; None if there are none."""
    chosen = list(rows)
    if not chosen:
        return None
    heights = [row["blockHeight"] for row in chosen]
    summary: Summary = {
        "block_count": len(chosen),
        "start_block_height": min(heights),
        "end_block_height": max(heights),
    }
    for field, name in (*METRICS.items(), *FIGURE_METRICS.items()):
        if field in _SHARES:
            described = spread((_share(row, field) for row in chosen), digits=2)
        else:
            described = spread(row.get(field) for row in chosen)
        if described is not None:
            summary[name] = described
    return summary


def _share(row: Row, field: str) -> object:
    """A block's percentage before it was rounded, so that a percentile is rounded only once.

    It is computed from the row's times, or the row's own value where these are less precise.
    """
    numbers = [row.get(name) for name in (field, _SHARES[field], "blockDuration")]
    if len(finite(numbers)) < len(numbers):
        return numbers[0]
    given, time, duration = (float(value) for value in numbers if value is not None)
    if duration <= 0:
        return given
    exact = 100.0 * time / duration
    return exact if abs(exact - given) <= _HALF else given


def without_bootstrap(rows: Iterable[_R]) -> list[_R]:
    """The rows without the block of the bootstrap."""
    return [row for row in rows if row.get(BOOTSTRAP) is not True]


def select(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The four groups of blocks by name, in the rows' order, without the bootstrap's block."""
    rows = without_bootstrap(rows)
    return {
        "all": list(rows),
        "last100": [row for row in rows if row.get("beforeShutdown", True)][-LAST:],
        "live": [row for row in rows if row.get("liveMode") is True],
        "catch_up": [row for row in rows if row.get("liveMode") is False],
    }


def block_summaries(rows: Sequence[Row]) -> dict[str, Summary]:
    """The summaries of a stage's blocks by group; a group without blocks is absent."""
    summaries = {name: block_summary(group) for name, group in select(rows).items()}
    return {name: summary for name, summary in summaries.items() if summary is not None}
