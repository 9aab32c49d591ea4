"""The state of a run, as a picture for a terminal of 80 columns and more, or as plain text.

Its only input is the document of `stats.live_state`. Every string in it may come from outside and
is shown without escapes and without markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rich.text import Text

from loadgenctl.formatting import (
    MISSING,
    bytes_as_mebibytes,
    clean,
    duration,
    mebibytes,
    number,
    percent,
    seconds,
    stage_of,
)
from loadgenctl.reports.facts import part, parts
from loadgenctl.reports.run_tables import counted
from loadgenctl.reports.table_model import Column, Table, table_lines
from loadgenctl.reports.text import outcome_text, sdk_words
from loadgenctl.stats.summary import CHAIN_ONLY

Standing = Mapping[str, Any]

PLAIN_ROWS: Final = 10
"""Blocks, and processes, that are shown where the output is not a terminal."""
WIDE: Final = 160
"""Columns from which on the blocks are beside the rest."""
_NARROW: Final = 100
"""Columns below which the ages of samples make space for bytes moved."""
GAP: Final = 3
"""Columns between two lists side by side."""
_LOG_LINES: Final = 3
_NOTES: Final = 3
_RESOURCES_LEAST: Final = 3
_BESIDE: Final = 76
"""Columns that tasks and resources have beside the blocks."""
_PROCESS_LEAST: Final = 26
"""Columns of the processes without their age, names as short as they get."""

DOING: Final[Mapping[str, str]] = {
    "perf-stage-start": "starting the chain",
    "perf-run-chain-start": "starting the chain",
    "perf-run-chain-finish": "waiting for the chain's first block",
    "perf-chain-first-init-start": "bootstrapping the chain",
    "perf-chain-first-init-finish": "waiting for the chain's first block",
    "perf-chain-ready": "waiting for the first blocks",
    "perf-stage-first-block": "waiting for a block without deliveries",
    "perf-stage-first-empty-block": "preparing",
    "perf-run-client-start": "starting the client",
    "perf-run-client-finish": "waiting for the client",
    "perf-client-ready": "preparing the load",
    "perf-run-loadgen-start": "preparing the load",
    "perf-run-loadgen-finish": "preparing the load",
    "perf-loadgen-ready": "preparing the load",
    "perf-load-start": "under load",
    "perf-load-finish": "winding down",
    "perf-stage-shutdown": "stopping",
    "perf-loadgen-stopped": "stopping",
    "perf-client-stopped": "stopping",
    "perf-chain-stopped": "stopped the chain",
    "perf-stage-finish": "ended",
}
"""The newest event of a stage → its activity; that of `perf-stage-ready` depends on the stage."""


def _height(value: object) -> str:
    """A block's number, or what a row is that is not a block's."""
    return value if isinstance(value, str) else number(value)


def _name(row: Standing) -> str:
    name, workers = row.get("name"), row.get("workers")
    if name is None and workers is not None:
        return f"{number(workers)} workers"
    return clean(MISSING if name is None else name)


def _moved(received: str, sent: str, row: Standing) -> str:
    """MiB in and out since the run's start, `1.2/30`; a dash where neither is known."""
    values = [row.get(received), row.get(sent)]
    return MISSING if values == [None, None] else "/".join(map(bytes_as_mebibytes, values))


def _label(value: object) -> str:
    return clean(value or MISSING)


_BLOCK_COLUMNS: Final = (
    Column("block", "block_height", _height, width=9),
    Column("lag s", "lag_s", seconds, width=8, rank=1),
    Column("time s", "block_duration_s", seconds, width=8),
    Column("cosmos s", "cosmos_time_s", seconds, width=8, rank=3),
    Column("swingset s", "swingset_time_s", seconds, width=10),
    Column("idle s", "idle_time_s", seconds, width=8, rank=4),
    Column("deliveries", "deliveries", width=10, rank=2),
    Column("computrons", "computrons", width=12, rank=1),
)
_TASK_COLUMNS: Final = (
    Column("state", "state", _label, "name", width=9, least=9, most=9, rank=3),
    Column("ok", "succeeded", width=6),
    Column("failed", "failed", partial(counted, "bold red"), width=6),
    Column("in flight", "active", width=9, rank=1),
    Column("missed", "missed", partial(counted, "yellow"), width=6, rank=2),
    Column("avg s", "duration_avg_s", seconds, width=7, rank=4),
    Column("p95 s", "duration_p95_s", seconds, width=7),
    Column("ok/min", "succeeded_per_minute", percent, width=6, rank=1),
)
_CPU: Final = Column("CPU %", "cpu_percentage", percent, width=6, rank=1)
_AGE: Final = Column("age", "age_s", duration, width=6, rank=2)
_PROCESS_COLUMNS: Final = (
    Column("process", "subject", clean, "name", width=7, most=7),
    Column("name", "", _name, "name", width=4, least=4, most=24),
    _CPU,
    Column("MiB", "memory_rss_kib", mebibytes, width=6),
)
_CONTAINER_COLUMNS: Final = (
    Column("container", "role", clean, "name", width=9, most=9),
    _CPU,
    Column("MiB", "memory_bytes", bytes_as_mebibytes, width=6),
)
_MOVED: Final = tuple(
    Column(head, "", partial(_moved, received, sent), width=9, rank=3)
    for head, received, sent in (
        ("net MiB", "network_rx_bytes", "network_tx_bytes"),
        ("disk MiB", "block_read_bytes", "block_write_bytes"),
    )
)
"""What containers move."""


@dataclass(frozen=True, slots=True)
class _Space:
    """How many rows there is space for."""

    blocks: int
    resources: int


def picture(standing: Standing, width: int, height: int | None = None) -> list[Text]:
    """All lines but the last one, for `width` columns; the tables fit from 80 columns on.

    With `height`, there are at most so many lines: lists are shortened, and what remains is cut.
    """
    head = [*_head(standing), *_notes(standing), Text()]
    wide = width >= WIDE
    blocks_width = width - GAP - _BESIDE if wide else width
    tasks, stage = standing.get("cycles"), part(standing, "stage")
    count = len(part(tasks, "tasks")) + 1
    rest = None if height is None else height - len(head)
    space = _space(standing, width, rest, count)
    blocks = _blocks(standing.get("blocks"), space.blocks, blocks_width)
    left_width = max(line.cell_len for line in blocks)
    right_width = width - left_width - GAP if wide else width
    cycles = _cycles(tasks, stage, right_width)
    resources = _resources(standing, space.resources, right_width)
    below = [*cycles, Text(), *resources]
    if wide:
        lines = [*head, *beside(blocks, below, left_width)]
    else:
        lines = [*head, *blocks, Text(), *below]
    return lines if height is None else lines[:height]


def foot(standing: Standing, keys: str = "") -> Text:
    """The last line: the time since the last block, and the keys that a person can press."""
    blocks = standing.get("blocks")
    phrases, style = ["no block yet"], "dim"
    if blocks:
        running = part(standing, "run").get("outcome") == "running"
        age = blocks.get("age_s")
        phrases = [_last_block(blocks, running=running)]
        if blocks.get("stage") != part(standing, "stage").get("stage"):
            phrases[0] += f" (stage {clean(blocks.get('stage'))})"
        usual = part(blocks, "average").get("block_duration_s")
        if running and age is not None and age > max(10.0, 5 * (usual or 0.0)):
            style = "bold yellow"
    storage = standing.get("storage")
    if storage:
        kib, age = storage.get("disk_kib"), storage.get("age_s")
        phrases.append(f"storage {mebibytes(kib)} MiB, {duration(age)} old")
    line = _line(" · ".join(phrases), style)
    if keys:
        line.append(f" · {keys}", "dim")
    return line


def _head(standing: Standing) -> list[Text]:
    """The run, its SDK, its state and its current activity."""
    run, stage = part(standing, "run"), part(standing, "stage")
    first = _line(clean(run.get("folder")), "bold")
    first.append(": ", "not bold").append_text(outcome_text(run.get("outcome") or "not begun"))
    if run.get("elapsed_s") is not None:
        first.append(f" {duration(run['elapsed_s'])}", "not bold")
    if (run.get("attempt") or 1) > 1:
        first.append(f", attempt {run['attempt']}", "not bold")
    second = _line(f"SDK {sdk_words(run)}" if run.get("sdk") else "SDK not known yet")
    if run.get("simulated"):
        second.append(", ").append("simulated: not a real chain", "bold yellow")
    lines = [first, second, _line(_doing(run, stage))]
    if run.get("outcome") == "running":
        if run.get("owner_alive") is None:
            unknown = "seems to be a run of another machine; its state is not known on this one"
            lines.append(_line(unknown, "yellow"))
        return lines
    why = ": ".join(clean(run[name], 200) for name in ("role", "reason") if run.get(name))
    if why:
        lines.append(_line(why, "red"))
    lines += [
        _line(f"  | {clean(line)}", "dim") for line in run.get("last_lines", [])[-_LOG_LINES:]
    ]
    if run.get("hint"):
        lines.append(_line(f"hint: {clean(run['hint'])}"))
    return lines


def _doing(run: Standing, stage: Standing) -> str:
    index, count, mark = stage.get("stage"), stage.get("stage_count"), stage.get("mark")
    if index is None:
        stages = f", {count} stages" if count else ""
        words = run.get("step") or ("all done" if run.get("outcome") else "nothing recorded yet")
        return f"{clean(words)}{stages}"
    words = DOING.get(str(mark)) or clean(run.get("step") or MISSING)
    if mark == "perf-stage-ready":
        words = "chain only" if stage.get("kind") == CHAIN_ONLY else "under load"
    name = stage_of(clean(index), count)
    line = name if words == f"stage {index}" else f"{name}: {words}"
    if run.get("outcome") not in {None, "running"}:
        line = f"ended in {line}"
    elapsed, planned = stage.get("elapsed_s"), stage.get("planned_s")
    if elapsed is None:
        return line
    line += f", {duration(elapsed)}"
    loaded, load_planned = stage.get("load_elapsed_s"), stage.get("load_planned_s")
    if load_planned is not None and loaded is not None:
        return (
            f"{line}; under load {duration(min(loaded, load_planned))} of {duration(load_planned)}"
        )
    if planned is None or planned == 0:
        return line
    return f"{line} of {duration(planned)}" if planned > 0 else f"{line}, until interrupted"


def _last_block(blocks: Standing, *, running: bool) -> str:
    age, last = blocks.get("age_s"), parts(blocks, "last")
    if age is not None:
        return f"last block {duration(age)} {'ago' if running else 'before the end'}"
    return (
        f"last block {number(last[-1].get('block_height')) if last else MISSING}, its end unknown"
    )


def _notes(standing: Standing) -> list[Text]:
    """Why values are missing, and which records could not be read."""
    words = [
        f"{clean(what)}: {clean(row['reason'])}"
        for row in (*parts(standing, "processes"), *parts(standing, "containers"))
        if (what := row.get("role") or row.get("subject"))
        and row.get("reason")
        and (what == "kernel" or "role" in row)
    ]
    words += [
        f"{clean(name)}: {count} {'fields' if str(name).endswith('.json') else 'lines'} unreadable"
        for name, count in part(standing, "damage").items()
    ]
    return [_line(text, "yellow") for text in words[:_NOTES]]


def _space(standing: Standing, width: int, height: int | None, cycle_lines: int) -> _Space:
    """Divide the lines that are left between blocks and resources."""
    wanted = max(len(parts(standing, "processes")), len(parts(standing, "containers")), 1)
    if height is None:
        return _Space(PLAIN_ROWS, min(wanted, PLAIN_ROWS))
    # A line of heads above each, and the blocks' averages.
    if width >= WIDE:
        return _Space(max(1, height - 2), max(_RESOURCES_LEAST, height - cycle_lines - 2))
    left = height - 2 - 1 - cycle_lines - 1 - 1
    blocks = max(1, len(parts(part(standing, "blocks"), "last")))
    resources = min(wanted, max(_RESOURCES_LEAST, (left + 1) // 2, left - blocks))
    return _Space(max(1, left - resources), resources)


def _blocks(blocks: Standing | None, count: int, width: int) -> list[Text]:
    if not blocks:
        return [_line("no block yet", "dim")]
    rows = parts(blocks, "last")
    average = {**part(blocks, "average"), "block_height": f"avg {len(rows)}"}
    shown = [*rows[-count:], average]
    return table_lines(Table("", _BLOCK_COLUMNS, shown, form="dense", last="dim"), width)


def _cycles(cycles: Standing | None, stage: Standing, width: int) -> list[Text]:
    if not cycles:
        alone = stage.get("kind") == CHAIN_ONLY
        return [_line("no load in this stage" if alone else "no load yet", "dim")]
    shown = cycles.get("stage")
    head = "task" if shown == stage.get("stage") else f"stage {clean(shown)}"
    columns = (Column(head, "task", clean, "name", width=12, most=12), *_TASK_COLUMNS)
    rows = [{**task, "task": name} for name, task in part(cycles, "tasks").items()]
    return table_lines(Table("", columns, rows, form="dense"), width)


def _resources(standing: Standing, count: int, width: int) -> list[Text]:
    """Processes, and beside them containers."""
    processes, containers = parts(standing, "processes"), parts(standing, "containers")
    if not processes and not containers:
        return [_line("no sample yet", "dim")]
    moved = [column for column in _MOVED if any(column.cell(row) != MISSING for row in containers)]
    ages = [_AGE] if width >= _NARROW or not moved else []
    columns = [*_CONTAINER_COLUMNS, *moved, *ages]
    table = Table("", columns, containers[:count], form="dense")
    right = table_lines(table, width - GAP - _PROCESS_LEAST)
    space = width - GAP - max(line.cell_len for line in right)
    table = Table("", [*_PROCESS_COLUMNS, *ages], processes[:count], form="dense")
    left = table_lines(table, space)
    return beside(left, right, max(line.cell_len for line in left))


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two lists of lines side by side, the right one behind `width` columns and a gap."""
    lines = []
    for place in range(max(len(left), len(right))):
        line = left[place].copy() if place < len(left) else Text()
        if place < len(right):
            line.truncate(width, overflow="ellipsis", pad=True)
            line.append(" " * GAP).append_text(right[place])
        lines.append(line)
    return lines


def page(lines: Sequence[Text], width: int) -> Text:
    """The lines as one text that needs no wrapping."""
    for line in lines:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
