"""Tables of a single slog: its blocks, its summaries, its vats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from loadgenctl.reports.words import MISSING, clean, number, percent, seconds

Row = Mapping[str, Any]

_SPREAD: Final = ("avg", "p50", "p95", "min", "max")
_TYPES: Final = 12


def _table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    table = Table(
        title=Text(clean(title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    return table


def blocks_table(title: str, rows: Sequence[Row]) -> Table:
    """One line per block; times in seconds."""
    heads = (
        "block",
        "live",
        "lag",
        "duration",
        "idle",
        "cosmos",
        "swingset",
        "%",
        "lines",
        "deliveries",
        "computrons",
    )
    table = _table(title, heads)
    times = ("lag", "blockDuration", "idleTime", "cosmosTime", "swingsetTime")
    for row in rows:
        live = {True: "yes", False: "no"}.get(row.get("liveMode", None), MISSING)
        table.add_row(
            str(row["blockHeight"]),
            live,
            *(seconds(row.get(name)) for name in times),
            percent(row.get("swingsetPercentage"), 2),
            *(number(row.get(name)) for name in ("slogLines", "deliveries", "computrons")),
        )
    return table


def stats_tables(document: Row) -> list[Table | Text]:
    """Of one file: size and oddities, startup, a summary per group of blocks, event types."""
    size = f"{number(document['bytes'])} bytes, {number(document['lines'])} lines"
    parts: list[Table | Text] = [Text(f"{clean(document['file'])}: {size}", "bold")]
    startup = ", ".join(f"{name} {number(value, 2)}" for name, value in document["startup"].items())
    if startup:
        parts.append(Text(f"  {startup}"))
    odd = ", ".join(f"{clean(kind)} {count}" for kind, count in document["anomalies"].items())
    if odd:
        parts.append(Text(f"  odd: {odd}", "yellow"))
    for group, summary in document["blocks"].items():
        heights = f"{summary['start_block_height']} to {summary['end_block_height']}"
        title = f"Blocks {group}: {summary['block_count']}, {heights}"
        table = _table(title, ("quantity", "count", *_SPREAD))
        for name, spread in summary.items():
            if isinstance(spread, Mapping):
                values = (seconds(spread[field]) for field in _SPREAD)
                table.add_row(name, number(spread["count"]), *values)
        parts.append(table)
    if document["types"]:
        table = _table("Events", ("type", "lines"))
        for name, count in list(document["types"].items())[:_TYPES]:
            table.add_row(clean(name), number(count))
        parts.append(table)
    return parts


_TAIL: Final = (
    ("block", "blockHeight", 9),
    ("lag", "lag", 8),
    ("duration", "blockDuration", 10),
    ("cosmos", "cosmosTime", 8),
    ("swingset", "swingsetTime", 10),
    ("idle", "idleTime", 8),
    ("deliveries", "deliveries", 10),
    ("computrons", "computrons", 12),
)
"""Of a chain that is followed: head, field, width of a plain line's column."""
_TIMES: Final = frozenset({"lag", "duration", "cosmos", "swingset", "idle"})


def tail_table(title: str, rows: Sequence[Row]) -> Table:
    """The blocks as they come, for a terminal of 80 columns; times in seconds."""
    table = _table(title, [head for head, _, _ in _TAIL], left=0)
    table.padding = (0, 1, 0, 0)
    for column, (head, _, _) in zip(table.columns, _TAIL, strict=True):
        # So that it stands still while numbers come and go.
        column.min_width = max(len(head), 7)
    for row in rows:
        shown = [
            seconds(row.get(field)) if head in _TIMES else number(row.get(field))
            for head, field, _ in _TAIL
        ]
        table.add_row(str(row["blockHeight"]), *shown[1:])
    return table


def tail_head() -> str:
    """The head of `tail_line`s, units in the names."""
    return _tail_line([f"{head}_s" if head in _TIMES else head for head, _, _ in _TAIL])


def tail_line(row: Row) -> str:
    """A block as a plain line: seconds with three digits, whole numbers without separators."""
    words = []
    for head, field, _ in _TAIL:
        value = row.get(field)
        if value is None:
            words.append(MISSING)
        else:
            words.append(f"{value:.3f}" if head in _TIMES else str(value))
    return _tail_line(words)


def _tail_line(words: Sequence[str]) -> str:
    return " ".join(f"{word:>{width}}" for word, (_, _, width) in zip(words, _TAIL, strict=True))


def vats_table(title: str, rows: Sequence[Row]) -> Table:
    """One line per vat, as they come."""
    heads = (
        "vat",
        "name",
        "deliveries",
        "failed",
        "computrons",
        "time s",
        "replayed",
        "replay s",
    )
    table = _table(title, heads, left=2)
    for row in rows:
        table.add_row(
            clean(row["vat_id"]),
            clean(row["name"] or MISSING),
            number(row["deliveries"]),
            number(row["failed_deliveries"]),
            number(row["computrons"]),
            seconds(row["delivery_time_s"]),
            number(row["replayed_deliveries"]),
            seconds(row["replay_s"]),
        )
    return table
