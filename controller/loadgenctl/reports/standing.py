"""The state of a run, as a picture for a terminal of 80 columns and more, or as plain text.

Reads nothing but the document of `stats.standing`. Every string in it may come from outside and is
shown without escapes and without markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from loadgenctl.reports.lines import GAP, Column, Row, beside, lines_of
from loadgenctl.reports.text import outcome_text, sdk_words
from loadgenctl.reports.words import (
    MISSING,
    clean,
    duration,
    mebibytes,
    number,
    percent,
    seconds,
    stage_of,
)
from loadgenctl.stats.run import CHAIN_ONLY

Standing = Mapping[str, Any]

PLAIN_WIDTH: Final = 80
"""Columns where the output is not a terminal."""
PLAIN_ROWS: Final = 10
"""Blocks, and processes, that are shown there."""
WIDE: Final = 160
"""Columns from which on the blocks are beside the rest."""
_NARROW: Final = 100
"""Columns below which the ages of samples make space for bytes moved."""
_LOG_LINES: Final = 3
_NOTES: Final = 3
_RESOURCES_LEAST: Final = 3
_BESIDE: Final = 76
"""Columns that tasks and resources have beside the blocks."""
_PROCESS_LEAST: Final = 26
"""Columns of the processes without their age, names as short as they get."""
_NAME: Final = 24
"""Columns of a vat's name, if there are so many."""

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
"""The newest event of a stage → what is being done; `perf-stage-ready` depends on the stage."""

_BLOCK_TIMES: Final = (
    "lag_s",
    "block_duration_s",
    "cosmos_time_s",
    "swingset_time_s",
    "idle_time_s",
)
_BLOCK_COUNTS: Final = ("deliveries", "computrons")
_BLOCK_COLUMNS: Final = (
    Column("block", 9),
    Column("lag s", 8, rank=1),
    Column("time s", 8),
    Column("cosmos s", 8, rank=3),
    Column("swingset s", 10),
    Column("idle s", 8, rank=4),
    Column("deliveries", 10, rank=2),
    Column("computrons", 12, rank=1),
)
_TASK_COLUMNS: Final = (
    Column("state", 9, most=9, rank=3),
    Column("ok", 6),
    Column("failed", 6),
    Column("in flight", 9, rank=1),
    Column("missed", 6, rank=2),
    Column("avg s", 7, rank=4),
    Column("p95 s", 7),
    Column("ok/min", 6, rank=1),
)
_MOVED: Final[Mapping[str, tuple[str, str, str]]] = {
    "network": ("net MiB", "network_rx_bytes", "network_tx_bytes"),
    "block": ("disk MiB", "block_read_bytes", "block_write_bytes"),
}
"""What containers move: head of the column, quantity in, quantity out."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows of what there is space for."""

    blocks: int
    resources: int


def picture(standing: Standing, width: int, height: int | None = None) -> list[Text]:
    """The lines of everything but the last one, for `width` columns; the columns fit from 80 on.

    With `height`, lists are as long as so many lines have space for; what is left over is cut.
    """
    head = [*_head(standing), *_notes(standing), Text()]
    wide = width >= WIDE
    blocks_width = width - GAP - _BESIDE if wide else width
    tasks, stage = standing.get("cycles"), _dict(standing, "stage")
    count = len(_dict(tasks, "tasks")) + 1
    rest = None if height is None else height - len(head)
    room = _room(standing, width, rest, count)
    blocks = _blocks(standing.get("blocks"), room.blocks, blocks_width)
    left_width = max(line.cell_len for line in blocks)
    right_width = width - left_width - GAP if wide else width
    cycles = _cycles(tasks, stage, right_width)
    resources = _resources(standing, room.resources, right_width)
    below = [*cycles, Text(), *resources]
    if wide:
        lines = [*head, *beside(blocks, below, left_width)]
    else:
        lines = [*head, *blocks, Text(), *below]
    return lines if height is None else lines[:height]


def foot(standing: Standing, keys: str = "") -> Text:
    """The last line: how long ago the last block was, and what a person can press."""
    blocks = standing.get("blocks")
    parts, style = ["no block yet"], "dim"
    if blocks:
        running = _dict(standing, "run").get("outcome") == "running"
        age = blocks.get("age_s")
        parts = [_last_block(blocks, running=running)]
        if blocks.get("stage") != _dict(standing, "stage").get("stage"):
            parts[0] += f" (stage {clean(blocks.get('stage'))})"
        usual = _dict(blocks, "average").get("block_duration_s")
        if running and age is not None and age > max(10.0, 5 * (usual or 0.0)):
            style = "bold yellow"
    storage = standing.get("storage")
    if storage:
        kib, age = storage.get("disk_kib"), storage.get("age_s")
        parts.append(f"storage {mebibytes(kib)} MiB, {duration(age)} old")
    line = _line(" · ".join(parts), style)
    if keys:
        line.append(f" · {keys}", "dim")
    return line


def _head(standing: Standing) -> list[Text]:
    """What runs, on what, its state and what it does."""
    run, stage = _dict(standing, "run"), _dict(standing, "stage")
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
            unknown = (
                "seems to be a run of another machine: whether it still runs is not known here"
            )
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
    age, last = blocks.get("age_s"), _list(blocks, "last")
    if age is not None:
        return f"last block {duration(age)} {'ago' if running else 'before the end'}"
    return (
        f"last block {number(last[-1].get('block_height')) if last else MISSING}, its end unknown"
    )


def _notes(standing: Standing) -> list[Text]:
    """Why values are missing, and what could not be read."""
    words = [
        f"{clean(what)}: {clean(row['reason'])}"
        for row in (*_list(standing, "processes"), *_list(standing, "containers"))
        if (what := row.get("role") or row.get("subject"))
        and row.get("reason")
        and (what == "kernel" or "role" in row)
    ]
    words += [
        f"{clean(name)}: {count} {'fields' if str(name).endswith('.json') else 'lines'} unreadable"
        for name, count in _dict(standing, "damage").items()
    ]
    return [_line(text, "yellow") for text in words[:_NOTES]]


def _room(standing: Standing, width: int, height: int | None, cycle_lines: int) -> Room:
    """Share the lines that are left between blocks and resources."""
    wanted = max(len(_list(standing, "processes")), len(_list(standing, "containers")), 1)
    if height is None:
        return Room(PLAIN_ROWS, min(wanted, PLAIN_ROWS))
    # A line of heads above each, and the blocks' averages.
    if width >= WIDE:
        return Room(max(1, height - 2), max(_RESOURCES_LEAST, height - cycle_lines - 2))
    left = height - 2 - 1 - cycle_lines - 1 - 1
    blocks = max(1, len(_list(_dict(standing, "blocks"), "last")))
    resources = min(wanted, max(_RESOURCES_LEAST, (left + 1) // 2, left - blocks))
    return Room(max(1, left - resources), resources)


def _blocks(blocks: Standing | None, count: int, width: int) -> list[Text]:
    if not blocks:
        return [_line("no block yet", "dim")]
    rows = _list(blocks, "last")
    cells: list[Row] = [
        (number(row.get("block_height")), *_block_cells(row)) for row in rows[-count:]
    ]
    average = _block_cells(_dict(blocks, "average"))
    cells.append(tuple(Text(cell, "dim") for cell in (f"avg {len(rows)}", *average)))
    return lines_of(_BLOCK_COLUMNS, cells, width)


def _block_cells(row: Standing) -> list[str]:
    times = [seconds(row.get(name)) for name in _BLOCK_TIMES]
    return times + [number(row.get(name)) for name in _BLOCK_COUNTS]


def _cycles(cycles: Standing | None, stage: Standing, width: int) -> list[Text]:
    if not cycles:
        alone = stage.get("kind") == CHAIN_ONLY
        return [_line("no load in this stage" if alone else "no load yet", "dim")]
    told = cycles.get("stage")
    first = Column("task" if told == stage.get("stage") else f"stage {clean(told)}", 12, most=12)
    return lines_of(
        (first, *_TASK_COLUMNS),
        [_task_cells(name, task) for name, task in _dict(cycles, "tasks").items()],
        width,
    )


def _task_cells(name: str, task: Standing) -> Row:
    failed, missed = task.get("failed"), task.get("missed")
    return (
        clean(name),
        clean(task.get("state") or MISSING),
        number(task.get("succeeded")),
        Text(number(failed), "bold red" if failed else ""),
        number(task.get("active")),
        Text(number(missed), "yellow" if missed else ""),
        seconds(task.get("duration_avg_s")),
        seconds(task.get("duration_p95_s")),
        number(task.get("succeeded_per_minute"), 1),
    )


def _resources(standing: Standing, count: int, width: int) -> list[Text]:
    """Processes, and beside them containers."""
    processes, containers = _list(standing, "processes"), _list(standing, "containers")
    if not processes and not containers:
        return [_line("no sample yet", "dim")]
    moved = [name for name in _MOVED if any(_moved(row, name) for row in containers)]
    ages = width >= _NARROW or not moved
    right = _containers(containers[:count], moved, width - GAP - _PROCESS_LEAST, ages=ages)
    room = width - GAP - max(line.cell_len for line in right)
    left = _processes(processes[:count], room, ages=ages)
    return beside(left, right, max(line.cell_len for line in left))


def _processes(rows: Sequence[Standing], width: int, *, ages: bool) -> list[Text]:
    """Names have what the numbers leave of `width`."""
    numbers = [Column("CPU %", 6, rank=1), Column("MiB", 6)] + [Column("age", 6, rank=2)] * ages
    name_width = width - 7 - sum(column.width for column in numbers) - len(numbers) - 1
    columns = (
        Column("process", 7, most=7),
        Column("name", 4, most=max(4, min(_NAME, name_width))),
        *numbers,
    )
    return lines_of(columns, [_process_cells(row)[: len(columns)] for row in rows], width)


def _process_cells(row: Standing) -> Row:
    name, workers = row.get("name"), row.get("workers")
    if name is None and workers is not None:
        name = f"{number(workers)} workers"
    return (
        clean(row.get("subject")),
        clean(MISSING if name is None else name),
        percent(row.get("cpu_percentage")),
        mebibytes(row.get("memory_rss_kib")),
        duration(row.get("age_s")),
    )


def _containers(
    rows: Sequence[Standing], moved: Sequence[str], width: int, *, ages: bool
) -> list[Text]:
    columns = [Column("container", 9, most=9), Column("CPU %", 6, rank=1), Column("MiB", 6)]
    columns += [Column(_MOVED[name][0], 9, rank=3) for name in moved]
    columns += [Column("age", 6, rank=2)] * ages
    cells: list[Row] = []
    for row in rows:
        memory = row.get("memory_bytes")
        cells.append(
            (
                clean(row.get("role")),
                percent(row.get("cpu_percentage")),
                mebibytes(None if memory is None else memory / 1024),
                *(_moved(row, name) or MISSING for name in moved),
                *([duration(row.get("age_s"))] * ages),
            )
        )
    return lines_of(columns, cells, width)


def _moved(row: Standing, what: str) -> str:
    """MiB in and out since the run's start, `1.2/30`; empty where neither is known."""
    values = [row.get(name) for name in _MOVED[what][1:]]
    if values == [None, None]:
        return ""
    return "/".join(mebibytes(None if value is None else value / 1024) for value in values)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _dict(source: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    value = None if source is None else source.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(source: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    value = source.get(name)
    return value if isinstance(value, list) else []
