"""Tables of a single slog: its blocks, its summaries, its vats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from rich.text import Text

from loadgenctl.formatting import (
    MISSING,
    bytes_as_mebibytes,
    clean,
    clock_step,
    count,
    number,
    percent,
    seconds,
)
from loadgenctl.reports.table_model import (
    UNICODE,
    Column,
    Marks,
    Row,
    Table,
    flowing,
    table_lines,
    with_values,
    wrapped,
)
from loadgenctl.slog.block_rows import BOOTSTRAP
from loadgenctl.stats.blocks import FIGURE_METRICS

_SPREAD: Final = ("avg", "p50", "p95", "min", "max")
_TYPES: Final = 12

_STARTUP: Final[Mapping[str, str]] = {
    "bootstrap_s": "bootstrap",
    "bootstrap_block_s": "of these: bootstrap block",
    "core_proposals_s": "bundling of core proposals",
    "core_block_s": "their block",
    "bootstrap_deliveries": "deliveries",
    "bootstrap_computrons": "computrons",
    "replay_s": "replay",
    "replayed_deliveries": "replayed deliveries",
}
"""Field of the startup → what it is, in the order of the fields."""
_QUANTITIES: Final[Mapping[str, str]] = {
    "lag_s": "lag s",
    "block_duration_s": "block time s",
    "chain_block_duration_s": "chain's block time s",
    "idle_time_s": "idle s",
    "cosmos_time_s": "cosmos s",
    "swingset_time_s": "swingset s",
    "processing_time_s": "processing s",
    "deliveries": "deliveries",
    "computrons": "computrons",
    "slog_lines": "slog lines",
    "swingset_percentage": "swingset %",
    "processing_percentage": "processing %",
}
"""Quantity of a summary of blocks → its head, with the unit."""
_COUNTS: Final = frozenset({"deliveries", "computrons", "slog_lines"})
_SHORT: Final[Mapping[str, str]] = {
    "snapshot_compressed_bytes": "snapshot packed MiB",
    "replayed_deliveries": "replayed",
    "clist_entries": "c-list entries",
    "used_beans": "million beans",
}
"""Figure of a summary → its head, where that is not the figure's name."""
_GROUPS: Final[Mapping[str, str]] = {
    "all": "all blocks",
    "last100": "last 100 blocks before the shutdown",
    "live": "live blocks",
    "catch_up": "catch-up blocks",
}


_LIVE: Final[Mapping[object, str]] = {True: "yes", False: "no"}


def _live(row: Row) -> str:
    return "boot" if row.get(BOOTSTRAP) is True else _LIVE.get(row.get("liveMode"), MISSING)


_BLOCK_COLUMNS: Final = (
    Column("block", "blockHeight", str),
    Column("live", "", _live, "words"),
    Column("lag s", "lag", seconds),
    Column("time s", "blockDuration", seconds),
    Column("idle s", "idleTime", seconds),
    Column("cosmos s", "cosmosTime", seconds),
    Column("swingset s", "swingsetTime", seconds),
    Column("%", "swingsetPercentage", partial(percent, digits=2)),
    Column("lines", "slogLines", rank=1),
    Column("deliveries", "deliveries"),
    Column("computrons", "computrons"),
)
_FIGURE_COLUMNS: Final = (
    Column("run s", "runTime", seconds),
    Column("save s", "kernelSaveTime", seconds),
    Column("commit s", "cosmosCommitTime", seconds),
    Column("gc s", "gcTime", seconds),
    Column("heap MiB", "kernelHeap", bytes_as_mebibytes),
    Column("queued", "queuedAtEnd"),
    Column("page-ins", "pageIns"),
    Column("page-in s", "pageInTime", seconds),
)
"""What only newer slogs contain; left out where it is 0 in all blocks."""


def blocks_table(title: str, rows: Sequence[Row]) -> Table:
    """One row per block; times in seconds."""
    return Table(clean(title), (*_BLOCK_COLUMNS, *with_values(_FIGURE_COLUMNS, rows)), rows)


def stats_lines(document: Row, width: int | None, marks: Marks = UNICODE) -> list[Text]:
    """Of one file: size and oddities, startup, a table per group of blocks, event types."""
    size = f"{number(document['bytes'])} bytes, {number(document['lines'])} lines"
    lines = [Text(f"{clean(document['file'])}: {size}", "bold")]
    startup = [
        _startup(name, document["startup"][name])
        for name in _STARTUP
        if name in document["startup"]
    ]
    lines += flowing(startup, width) if startup else []
    odd = ", ".join(
        f"{clean(kind)} {number(times)}" for kind, times in document["anomalies"].items()
    )
    lines += wrapped(f"odd: {odd}", width, "yellow") if odd else []
    for step in document["clock_steps"]:
        lines += wrapped(clock_step(step), width, "yellow")
    made = [_group_table(group, summary) for group, summary in document["blocks"].items()]
    if document["types"]:
        columns = (Column("type", "type", clean, "name"), Column("lines", "lines"))
        counts = list(document["types"].items())[:_TYPES]
        rows = [{"type": name, "lines": lines} for name, lines in counts]
        made.append(Table("Events", columns, rows))
    for table in made:
        lines += [Text(), *table_lines(table, width, marks)]
    return lines


def _startup(name: str, value: object) -> str:
    shown = f"{seconds(value)} s" if name.endswith("_s") else number(value)
    return f"{_STARTUP[name]} {shown}"


def _group_table(group: str, summary: Row) -> Table:
    heights = f"{summary['start_block_height']} to {summary['end_block_height']}"
    title = f"{_GROUPS.get(group, group)}: {number(summary['block_count'])}, heights {heights}"
    columns = [Column("quantity", "quantity", str, "words"), Column("count", "count")]
    # Every row has a unit of its own, so the values are written before.
    columns += [Column(name, name, str) for name in _SPREAD]
    rows = []
    for name, spread in summary.items():
        if not isinstance(spread, Mapping) or (name in _FIGURE_NAMES and not spread["max"]):
            continue
        head, shown = _quantity(name)
        values = {field: shown(spread[field]) for field in _SPREAD}
        rows.append({"quantity": head, "count": spread["count"], **values})
    return Table(title[:1].upper() + title[1:], columns, rows)


_FIGURE_NAMES: Final = frozenset(FIGURE_METRICS.values())
"""A figure that is 0 in all blocks of a group has no row."""


def _millions(value: object) -> str:
    return seconds(value / 1e6 if isinstance(value, int | float) else None)


def _quantity(name: str) -> tuple[str, Callable[[object], str]]:
    """The head of a quantity's row, and how its values are written."""
    if name not in _FIGURE_NAMES:
        return _QUANTITIES.get(name, clean(name)), count if name in _COUNTS else seconds
    words = _SHORT.get(name)
    if name == "used_beans":
        return _SHORT[name], _millions
    if name.endswith("_bytes"):
        return (
            words or f"{name.removesuffix('_bytes').replace('_', ' ')} MiB",
            bytes_as_mebibytes,
        )
    if name.endswith("_s"):
        return words or f"{name.removesuffix('_s').replace('_', ' ')} s", seconds
    return words or name.replace("_", " "), count


_TAIL: Final = (
    Column("block", "blockHeight", str, width=7),
    Column("lag s", "lag", seconds, width=7, rank=1),
    Column("time s", "blockDuration", seconds, width=7),
    Column("cosmos s", "cosmosTime", seconds, width=7, rank=4),
    Column("swingset s", "swingsetTime", seconds, width=7),
    Column("idle s", "idleTime", seconds, width=7, rank=5),
    Column("deliveries", "deliveries", width=7, rank=2),
    Column("computrons", "computrons", width=7),
    Column("heap MiB", "kernelHeap", bytes_as_mebibytes, width=7, rank=3),
)
"""Of a chain that is followed. The widths keep columns in place while numbers change; the heap is
only in newer slogs.
"""
_PLAIN_HEADS: Final = (
    *("block", "lag_s", "duration_s", "cosmos_s", "swingset_s"),
    *("idle_s", "deliveries", "computrons", "heap_mib"),
)
"""The same columns in plain lines."""
_PLAIN_WIDTHS: Final = (9, 8, 10, 8, 10, 8, 10, 12, 8)


def tail_lines(title: str, rows: Sequence[Row], width: int, marks: Marks = UNICODE) -> list[Text]:
    """The newest blocks, for a terminal of that width: title, heads, a rule, a line each.

    Where there is no space, the figures that matter least are left out; so is the heap where no
    block has it.
    """
    heap = any("kernelHeap" in row for row in rows)
    return table_lines(Table(clean(title), _TAIL if heap else _TAIL[:-1], rows), width, marks)


def tail_head() -> str:
    """The head of `tail_line`s, units in the names."""
    return _tail_line(_PLAIN_HEADS)


def tail_line(row: Row) -> str:
    """A block as a plain line: seconds with three digits, MiB with one, whole numbers without
    separators.
    """
    return _tail_line([_plain(column, column.value(row)) for column in _TAIL])


def _plain(column: Column, value: Any) -> str:
    if value is None:
        return MISSING
    if column.show is bytes_as_mebibytes:
        return f"{value / (1 << 20):.1f}"
    return f"{value:.3f}" if column.show is seconds else str(value)


def _tail_line(words: Sequence[str]) -> str:
    return " ".join(f"{word:>{width}}" for word, width in zip(words, _PLAIN_WIDTHS, strict=True))


_VAT_COLUMNS: Final = (
    Column("vat", "vat_id", clean, "name"),
    Column("name", "name", lambda name: clean(name or MISSING), "name"),
    Column("deliveries", "deliveries"),
    Column("failed", "failed_deliveries"),
    Column("computrons", "computrons"),
    Column("time s", "delivery_time_s", seconds),
    Column("replayed", "replayed_deliveries"),
    Column("replay s", "replay_s", seconds, joined=True),
)
_PAGING_COLUMNS: Final = (
    Column("page-ins", "page_ins"),
    Column("evicted", "evictions"),
    Column("snapshots", "snapshots"),
    Column("snapshot MiB", "snapshot_bytes", bytes_as_mebibytes),
)
"""What happened to the vats' heaps; left out where it is 0 for all vats."""


def vats_table(title: str, rows: Sequence[Row]) -> Table:
    """One row per vat, in the order of `rows`."""
    columns = (*_VAT_COLUMNS, *with_values(_PAGING_COLUMNS, rows))
    return Table(clean(title), columns, rows, keys=2)
