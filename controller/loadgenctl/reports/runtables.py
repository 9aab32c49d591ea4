"""The tables of a run's summary: stages, cycles, blocks, vats, resources, growth.

Times within a table have one unit, which its title or the head of the column gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from loadgenctl.reports.offers import LATENCIES, SPREAD, TITLE, offer_cells
from loadgenctl.reports.summary import MEASURING, Summary, memory, part, parts
from loadgenctl.reports.tables import Cell, Column, Table
from loadgenctl.reports.words import (
    MISSING,
    bytes_as_mebibytes,
    clean,
    count,
    mebibytes,
    number,
    percent,
    seconds,
)
from loadgenctl.stats.growth import LEAST
from loadgenctl.stats.run import measured_blocks

_VATS: Final = 6
"""Vats that get a row of their own."""
_BAD: Final = "bold red"

_GROWING: Final[Mapping[str, tuple[str, str, float]]] = {
    "swingset_time_s": ("swingset time", "ms", 1000.0),
    "kernel_memory_kib": ("kernel memory", "MiB", 1 / 1024),
    "kernel_heap_kib": ("kernel heap", "MiB", 1 / 1024),
    "vats_memory_kib": ("memory of all vats", "MiB", 1 / 1024),
    "storage_kib": ("storage", "MiB", 1 / 1024),
}
"""Quantity of a slope → its name, the unit it is shown in, and how many of these it is."""


def tables(summary: Summary) -> list[Table]:
    """The tables that have rows."""
    stages = parts(summary, "stages")
    made = (
        _stage_table(stages),
        _cycle_table(stages, part(summary, "totals")),
        _offer_table(stages),
        _block_table(stages),
        _kernel_table(stages),
        _vat_table(stages),
        _resource_table(parts(summary, "resources")),
        _growth_table(parts(summary, "growth")),
    )
    return [table for table in made if table.rows]


def counted(value: object, style: str) -> Cell:
    """A count that should be 0, in that style if it is not."""
    return Text(number(value), style) if value else number(value)


def _stage_table(stages: Sequence[Summary]) -> Table:
    columns = (
        Column("stage", "whole"),
        Column("kind", "whole"),
        Column("duration"),
        Column("chain ready"),
        Column("empty block"),
        Column("client ready"),
        Column("load ready"),
        Column("load s"),
        Column("chain stop"),
        Column("blocks"),
    )
    rows: list[Sequence[Cell]] = []
    for stage in stages:
        spans = part(stage, "durations")
        rows.append(
            (
                str(stage.get("stage")),
                clean(stage.get("kind")),
                seconds(spans.get("duration_s")),
                seconds(spans.get("chain_ready_s")),
                seconds(spans.get("first_empty_block_s")),
                seconds(spans.get("client_ready_s")),
                seconds(spans.get("loadgen_ready_s")),
                seconds(spans.get("loaded_s")),
                seconds(spans.get("chain_stop_s")),
                number(part(part(stage, "blocks"), "all").get("block_count")),
            )
        )
    return Table("Stages (times in seconds)", columns, rows)


def _cycle_table(stages: Sequence[Summary], totals: Summary) -> Table:
    columns = (
        Column("stage", "whole"),
        Column("task", "name"),
        Column("ok"),
        Column("failed"),
        Column("unfinished"),
        Column("missed"),
        Column("ok %"),
        Column("avg"),
        Column("p50"),
        Column("p95"),
        Column("max", rank=1),
        Column("latency p95"),
    )
    rows: list[Sequence[Cell]] = []
    loaded = [(str(stage.get("stage")), part(stage, "cycles")) for stage in stages]
    loaded = [(index, cycles) for index, cycles in loaded if cycles]
    if len(loaded) > 1:
        loaded.append(("run", part(totals, "cycles")))
    for index, cycles in loaded:
        tasks = {name: row for name, row in cycles.items() if name != "all"}
        for name, row in tasks.items():
            rows.append(_cycle_row(index, name, row))
        if not tasks or (index == "run" and len(tasks) > 1):
            # Counts can be added; an average over different tasks means nothing.
            counts = {
                name: value
                for name, value in part(cycles, "all").items()
                if not isinstance(value, Mapping)
            }
            rows.append(_cycle_row(index, "all", counts))
    return Table("Cycles (seconds, of successful cycles)", columns, rows, keys=2)


def _cycle_row(index: str, task: str, cycle: Summary) -> Sequence[Cell]:
    spread, latency = part(cycle, "duration_s"), part(cycle, "latency_s")
    share = cycle.get("success_percentage")
    return (
        index,
        clean(task),
        number(cycle.get("succeeded")),
        counted(cycle.get("failed"), _BAD),
        counted(cycle.get("unfinished"), "yellow"),
        number(cycle.get("missed")),
        Text(percent(share), _BAD) if share is not None and share < 100 else percent(share),
        *(seconds(spread.get(name)) for name in ("avg", "p50", "p95", "max")),
        seconds(latency.get("p95")),
    )


def _offer_table(stages: Sequence[Summary]) -> Table:
    latencies = (
        Column(f"{words} {name}", joined=name != SPREAD[0])
        for words, _ in LATENCIES
        for name in SPREAD
    )
    columns = (
        Column("stage", "whole"),
        Column("task", "name"),
        Column("offers"),
        *latencies,
        Column("gas avg", rank=1),
    )
    rows = [(stage, clean(task), *cells) for stage, task, cells in offer_cells(stages)]
    title = f"{TITLE} (seconds from sending, of successful cycles)"
    return Table(title, columns, rows, keys=2)


def _block_table(stages: Sequence[Summary]) -> Table:
    columns = (
        Column("stage", "whole"),
        Column("blocks"),
        Column("block time avg"),
        Column("block time p95", joined=True),
        Column("swingset avg"),
        Column("swingset p95", joined=True),
        Column("lag avg"),
        Column("lag p95", joined=True),
        Column("swingset % avg"),
        Column("swingset % p95", joined=True),
        Column("deliveries", joined=True),
        Column("computrons", joined=True),
    )
    rows: list[Sequence[Cell]] = []
    for stage in stages:
        live = measured_blocks(stage)
        if not live:
            continue
        times = [part(live, name) for name in ("block_duration_s", "swingset_time_s", "lag_s")]
        share = part(live, "swingset_percentage")
        rows.append(
            (
                str(stage.get("stage")),
                number(live.get("block_count")),
                *(seconds(spread.get(name)) for spread in times for name in ("avg", "p95")),
                percent(share.get("avg")),
                percent(share.get("p95")),
                count(part(live, "deliveries").get("avg")),
                number(part(live, "computrons").get("avg")),
            )
        )
    return Table(
        "Blocks (under load, else live; times in seconds, counts per block)", columns, rows
    )


_KERNEL: Final = (
    ("heap MiB avg", "kernel_heap_bytes", "avg", bytes_as_mebibytes),
    ("heap MiB max", "kernel_heap_bytes", "max", bytes_as_mebibytes),
    ("gc s avg", "gc_time_s", "avg", seconds),
    ("run s avg", "run_time_s", "avg", seconds),
    ("save s avg", "kernel_save_time_s", "avg", seconds),
    ("commit s avg", "cosmos_commit_time_s", "avg", seconds),
    ("queued max", "queued_at_end", "max", number),
    ("page-ins", "page_ins", "", number),
    ("evicted", "evictions", "", number),
    ("snapshots", "snapshots", "", number),
)
"""Of what only newer slogs tell: head, quantity, part of its spread (empty: the sum), writing."""


def _kernel_table(stages: Sequence[Summary]) -> Table:
    """Memory, commits, page-ins; what no stage has has no column."""
    measured = [(str(stage.get("stage")), measured_blocks(stage)) for stage in stages]
    known = [entry for entry in _KERNEL if any(entry[1] in blocks for _, blocks in measured)]
    columns = [Column("stage", "whole"), *(Column(head) for head, _, _, _ in known)]
    rows: list[Sequence[Cell]] = []
    for stage, blocks in measured:
        cells = [_figure(part(blocks, name), which, how) for _, name, which, how in known]
        if any(cell != MISSING for cell in cells):
            rows.append([stage, *cells])
    return Table("Kernel (blocks as above; sums of page-ins and snapshots)", columns, rows)


def _figure(spread: Summary, which: str, how: Callable[[object], str]) -> str:
    if which:
        return how(spread.get(which))
    average = spread.get("avg")
    return how(None if average is None else round(average * spread["count"]))


def _vat_table(stages: Sequence[Summary]) -> Table:
    """The vats that the kernel spent most time in, over all stages."""
    columns = (
        Column("vat", "whole"),
        Column("name", "name"),
        Column("deliveries"),
        Column("computrons"),
        Column("time s"),
        Column("ms each"),
    )
    rows: list[Sequence[Cell]] = []
    vats: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for row in parts(stage, "vats"):
            vat = vats.setdefault(str(row.get("vat_id")), {"name": None, "count": 0, "work": 0})
            vat["name"] = row.get("name") or vat["name"]
            vat["count"] += row.get("deliveries") or 0
            vat["work"] += row.get("computrons") or 0
            vat["time"] = vat.get("time", 0.0) + (row.get("delivery_time_s") or 0.0)
    busiest = sorted(vats.items(), key=lambda item: item[1]["time"], reverse=True)
    for vat_id, vat in busiest[:_VATS]:
        if not vat["count"]:
            continue
        rows.append(
            (
                clean(vat_id),
                clean(vat["name"] or MISSING),
                number(vat["count"]),
                number(vat["work"]),
                seconds(vat["time"]),
                number(1000.0 * vat["time"] / vat["count"], 2),
            )
        )
    return Table("Busiest vats", columns, rows, keys=2)


def _resource_table(resources: Sequence[Summary]) -> Table:
    columns = (
        Column("what", "name", least=21),
        Column("name", "name"),
        Column("max MiB"),
        Column("avg MiB"),
        Column("CPU %"),
        Column("samples"),
        Column("missing", joined=True),
    )
    rows = [_resource_row(*named) for named in _resources(resources)]
    return Table("Resources", columns, rows, keys=2)


def _resources(resources: Sequence[Summary]) -> Iterator[tuple[Summary, str, str]]:
    """The rows that are shown: each with what it is and a name, which may be empty."""
    processes = [row for row in resources if row.get("kind") == "process"]
    whole = [row for row in processes if row.get("subject") in {"kernel", "vats"}]
    measuring = [row for row in processes if row.get("subject") in MEASURING]
    vats = [row for row in processes if row not in whole and row not in measuring]
    vats.sort(key=lambda row: memory(row)[0] or 0.0, reverse=True)
    for row in resources:
        if row.get("kind") == "container":
            yield row, f"container {clean(row.get('role'))}", ""
    for row in whole:
        yield row, f"chain: {clean(row.get('subject'))}", ""
    for row in vats[:_VATS]:
        name = row.get("name")
        yield row, f"chain: {clean(row.get('subject'))}", clean(MISSING if name is None else name)
    for row in resources:
        if row.get("kind") == "storage" and row.get("subject") == ".":
            yield row, f"{clean(row.get('role'))}: storage", ""
    for row in measuring:
        yield row, f"measuring: {clean(row.get('subject'))}", ""


def _resource_row(row: Summary, what: str, name: str) -> Sequence[Cell]:
    highest, average = memory(row)
    return (
        what,
        name,
        mebibytes(highest),
        mebibytes(average),
        percent(row.get("cpu_percentage")),
        number(row.get("samples")),
        number(row.get("missing")),
    )


def _growth_table(growth: Sequence[Summary]) -> Table:
    """Slopes per 1000 blocks or cycles; only those that are not zero with 95 % confidence."""
    columns = (
        Column("stage", "whole"),
        Column("what", "name", least=14),
        Column("unit", "whole"),
        Column("slope"),
        Column("low", joined=True),
        Column("high", joined=True),
        Column("points", joined=True),
    )
    rows: list[Sequence[Cell]] = []
    for row in growth:
        known = _slopes(row)
        if known is None or known[1] <= 0 <= known[2]:
            continue
        what, unit, factor = _growing(row)
        rows.append(
            (
                _growth_stage(row),
                what,
                f"{unit} per 1000 {clean(row.get('per'))}s".strip(),
                *(seconds(1000 * factor * value) for value in known),
                number(row.get("points")),
            )
        )
    return Table("Growth (Theil-Sen slope, 95 % band from low to high)", columns, rows, keys=3)


def growth_notes(summary: Summary) -> list[str]:
    """Which quantities have no row under Growth, and why."""
    few: dict[str, int] = {}
    flat: dict[str, list[str]] = defaultdict(list)
    for row in parts(summary, "growth"):
        known, what, points = _slopes(row), _growing(row)[0], row.get("points")
        if known is None and isinstance(points, int):
            few[what] = max(points, few.get(what, 0))
        elif known is not None and known[1] <= 0 <= known[2]:
            stage = _growth_stage(row)
            where = stage if stage == "run" else f"stage {stage}"
            flat[what] += [] if where in flat[what] else [where]
    found = (
        (
            f"no growth given, too few points under load ({LEAST} are needed)",
            [f"{what} {number(points)}" for what, points in few.items()],
        ),
        (
            "no growth proven, the 95 % band includes 0",
            [f"{what} ({', '.join(where)})" for what, where in flat.items()],
        ),
    )
    return [f"{why}: {', '.join(told)}" for why, told in found if told]


def _slopes(row: Summary) -> list[float] | None:
    slopes = [row.get(name) for name in ("slope", "low", "high")]
    known = [float(value) for value in slopes if isinstance(value, int | float)]
    return known if len(known) == len(slopes) else None


def _growing(row: Summary) -> tuple[str, str, float]:
    quantity = clean(row.get("quantity"))
    return _GROWING.get(quantity, (quantity, "", 1.0))


def _growth_stage(row: Summary) -> str:
    stage = row.get("stage")
    return "run" if stage is None else clean(stage)
