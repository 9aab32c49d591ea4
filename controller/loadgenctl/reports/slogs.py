"""Tables of a single slog: its blocks, its summaries, its vats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from loadgenctl.reports.tables import UNICODE, Column, Marks, Table, flowing, table_lines, wrapped
from loadgenctl.reports.words import (
    MISSING,
    bytes_as_mebibytes,
    clean,
    clock_step,
    count,
    number,
    percent,
    seconds,
)
from loadgenctl.slog.blocks import BOOTSTRAP
from loadgenctl.stats.blocks import FIGURE_METRICS

Row = Mapping[str, Any]

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


_FIGURES: Final = (
    ("run s", "runTime", seconds),
    ("save s", "kernelSaveTime", seconds),
    ("commit s", "cosmosCommitTime", seconds),
    ("gc s", "gcTime", seconds),
    ("heap MiB", "kernelHeap", bytes_as_mebibytes),
    ("queued", "queuedAtEnd", number),
    ("page-ins", "pageIns", number),
    ("page-in s", "pageInTime", seconds),
)
"""Columns of what only newer slogs tell: head, field, how it is written; none if 0 throughout."""


def blocks_table(title: str, rows: Sequence[Row]) -> Table:
    """One row per block; times in seconds. What no block has has no column."""
    figures = [entry for entry in _FIGURES if any(row.get(entry[1]) for row in rows)]
    columns = (
        Column("block"),
        Column("live", "whole"),
        Column("lag s"),
        Column("time s"),
        Column("idle s"),
        Column("cosmos s"),
        Column("swingset s"),
        Column("%"),
        Column("lines", rank=1),
        Column("deliveries"),
        Column("computrons"),
        *(Column(head) for head, _, _ in figures),
    )
    times = ("lag", "blockDuration", "idleTime", "cosmosTime", "swingsetTime")
    shown = [
        (
            str(row["blockHeight"]),
            "boot" if row.get(BOOTSTRAP) is True else _LIVE.get(row.get("liveMode"), MISSING),
            *(seconds(row.get(name)) for name in times),
            percent(row.get("swingsetPercentage"), 2),
            *(number(row.get(name)) for name in ("slogLines", "deliveries", "computrons")),
            *(shown_as(row.get(field)) for _, field, shown_as in figures),
        )
        for row in rows
    ]
    return Table(clean(title), columns, shown)


_LIVE: Final[Mapping[object, str]] = {True: "yes", False: "no"}


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
        counts = list(document["types"].items())[:_TYPES]
        rows = [(clean(name), number(lines)) for name, lines in counts]
        made.append(Table("Events", (Column("type", "name"), Column("lines")), rows))
    for table in made:
        lines += [Text(), *table_lines(table, width, marks)]
    return lines


def _startup(name: str, value: object) -> str:
    told = f"{seconds(value)} s" if name.endswith("_s") else number(value)
    return f"{_STARTUP[name]} {told}"


def _group_table(group: str, summary: Row) -> Table:
    heights = f"{summary['start_block_height']} to {summary['end_block_height']}"
    title = f"{_GROUPS.get(group, group)}: {number(summary['block_count'])}, heights {heights}"
    columns = (Column("quantity", "whole"), Column("count"), *map(Column, _SPREAD))
    rows = []
    for name, spread in summary.items():
        if not isinstance(spread, Mapping) or (name in _FIGURE_NAMES and not spread["max"]):
            continue
        head, shown = _quantity(name)
        cells = (shown(spread[field]) for field in _SPREAD)
        rows.append((head, number(spread["count"]), *cells))
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


_TAIL: Final[Sequence[tuple[str, str, int]]] = (
    ("block", "blockHeight", 9),
    ("lag", "lag", 8),
    ("duration", "blockDuration", 10),
    ("cosmos", "cosmosTime", 8),
    ("swingset", "swingsetTime", 10),
    ("idle", "idleTime", 8),
    ("deliveries", "deliveries", 10),
    ("computrons", "computrons", 12),
    ("heap", "kernelHeap", 8),
)
"""Of a chain that is followed: head, field, width of a plain line's column."""
_TIMES: Final = frozenset({"lag", "duration", "cosmos", "swingset", "idle"})
_HEAP: Final = "heap"
"""In MiB; only newer slogs tell it."""
_MIB: Final = 1 << 20
_TAIL_HEADS: Final[Mapping[str, str]] = {"duration": "time"}
_TAIL_RANKS: Final[Mapping[str, int]] = {
    "idle": 5,
    "cosmos": 4,
    "heap": 3,
    "deliveries": 2,
    "lag": 1,
}
"""What is left out of a narrow table; the highest goes first."""


def tail_lines(title: str, rows: Sequence[Row], width: int, marks: Marks = UNICODE) -> list[Text]:
    """The blocks as they come, for a terminal of that width: title, heads, a rule, a line each.

    Where there is no space, the figures that matter least are left out; so is the heap where no
    block has it.
    """
    heap = any("kernelHeap" in row for row in rows)
    told = [entry for entry in _TAIL if heap or entry[0] != _HEAP]
    shown = [[_tail_cell(head, row.get(field)) for head, field, _ in told] for row in rows]
    # At least so wide, so that columns do not move while numbers come and go.
    columns = [
        Column(
            f"{_TAIL_HEADS.get(head, head)}{_tail_unit(head, ' ')}",
            rank=_TAIL_RANKS.get(head, 0),
            width=7,
        )
        for head, _, _ in told
    ]
    for row, cells in zip(rows, shown, strict=True):
        cells[0] = str(row["blockHeight"])
    return table_lines(Table(clean(title), columns, list(shown), split=True), width, marks)


def tail_head() -> str:
    """The head of `tail_line`s, units in the names."""
    return _tail_line([f"{head}{_tail_unit(head, '_').lower()}" for head, _, _ in _TAIL])


def _tail_unit(head: str, joint: str) -> str:
    return f"{joint}s" if head in _TIMES else f"{joint}MiB" if head == _HEAP else ""


def _tail_cell(head: str, value: object) -> str:
    if head == _HEAP:
        return bytes_as_mebibytes(value)
    return seconds(value) if head in _TIMES else number(value)


def tail_line(row: Row) -> str:
    """A block as a plain line: seconds with three digits, MiB with one, whole numbers without
    separators.
    """
    words = []
    for head, field, _ in _TAIL:
        value = row.get(field)
        if value is None:
            words.append(MISSING)
        elif head == _HEAP:
            words.append(f"{value / _MIB:.1f}")
        else:
            words.append(f"{value:.3f}" if head in _TIMES else str(value))
    return _tail_line(words)


def _tail_line(words: Sequence[str]) -> str:
    return " ".join(f"{word:>{width}}" for word, (_, _, width) in zip(words, _TAIL, strict=True))


_PAGING: Final = (
    ("page-ins", "page_ins", number),
    ("evicted", "evictions", number),
    ("snapshots", "snapshots", number),
    ("snapshot MiB", "snapshot_bytes", bytes_as_mebibytes),
)
"""Columns of the vats' heap: head, field, how it is written."""


def vats_table(title: str, rows: Sequence[Row]) -> Table:
    """One row per vat, as they come. Where nothing of a kind happened, there is no column of it."""
    paging = [entry for entry in _PAGING if any(row.get(entry[1]) for row in rows)]
    columns = (
        Column("vat", "whole"),
        Column("name", "name"),
        Column("deliveries"),
        Column("failed"),
        Column("computrons"),
        Column("time s"),
        Column("replayed"),
        Column("replay s", joined=True),
        *(Column(head) for head, _, _ in paging),
    )
    shown = [
        (
            clean(row["vat_id"]),
            clean(row["name"] or MISSING),
            number(row["deliveries"]),
            number(row["failed_deliveries"]),
            number(row["computrons"]),
            seconds(row["delivery_time_s"]),
            number(row["replayed_deliveries"]),
            seconds(row["replay_s"]),
            *(shown_as(row[field]) for _, field, shown_as in paging),
        )
        for row in rows
    ]
    return Table(clean(title), columns, shown, keys=2)
