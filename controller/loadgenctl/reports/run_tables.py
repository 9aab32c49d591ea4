"""The tables of a run's summary: stages, cycles, blocks, vats, resources, growth.

Times within a table have one unit, which its title or the head of the column gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from rich.text import Text

from loadgenctl.formatting import (
    MISSING,
    bytes_as_mebibytes,
    clean,
    count,
    mebibytes,
    number,
    percent,
    seconds,
)
from loadgenctl.reports.facts import Summary, part, parts
from loadgenctl.reports.table_model import EXTRA, Cell, Column, Table
from loadgenctl.stats.growth import LEAST
from loadgenctl.stats.summary import CHAIN_ONLY, measured_blocks

_VATS: Final = 6
"""Vats that have a row."""
_MEASURING: Final = frozenset({"agent", "controller"})
"""Processes that run because of the measurement."""
_BAD: Final = "bold red"


def tables(summary: Summary) -> list[Table]:
    """The tables that have rows or notes."""
    stages = parts(summary, "stages")
    made = (
        Table("Stages (times in seconds)", _STAGE_COLUMNS, stages),
        _cycle_table(stages, part(summary, "totals")),
        _offer_table(stages),
        _block_table(stages),
        _kernel_table(stages),
        _vat_table(stages),
        _resource_table(parts(summary, "resources")),
        _growth_table(parts(summary, "growth")),
    )
    return [table for table in made if table.rows or table.notes]


def counted(style: str, value: object) -> Cell:
    """A count that should be 0, in that style if it is not."""
    return Text(number(value), style) if value else number(value)


def _share(value: object) -> Cell:
    """A percentage that should be 100."""
    short = isinstance(value, int | float) and value < 100
    return Text(percent(value), _BAD) if short else percent(value)


def _stage(value: object) -> str:
    return str(value) if isinstance(value, int) else "run"


def _kind(value: object) -> str:
    return str(value) if value in {"load", CHAIN_ONLY} else MISSING


_STAGE: Final = Column("stage", "stage", _stage, "words")
_TASK: Final = Column("task", "task", clean, "name")
_STAGE_COLUMNS: Final = (
    _STAGE,
    Column("kind", "kind", _kind, "words"),
    Column("duration", "durations.duration_s", seconds),
    Column("chain ready", "durations.chain_ready_s", seconds),
    Column("empty block", "durations.first_empty_block_s", seconds),
    Column("client ready", "durations.client_ready_s", seconds),
    Column("load ready", "durations.loadgen_ready_s", seconds),
    Column("stage ready", "durations.stage_ready_s", seconds, rank=EXTRA),
    Column("load s", "durations.loaded_s", seconds),
    Column("chain stop", "durations.chain_stop_s", seconds),
    Column("blocks", "blocks.all.block_count"),
)


def _cycle_table(stages: Sequence[Summary], totals: Summary) -> Table:
    columns = (
        _STAGE,
        _TASK,
        Column("ok", "succeeded"),
        Column("failed", "failed", partial(counted, _BAD)),
        Column("unfinished", "unfinished", partial(counted, "yellow")),
        Column("missed", "missed"),
        Column("ok %", "success_percentage", _share),
        Column("avg", "duration_s.avg", seconds),
        Column("p50", "duration_s.p50", seconds),
        Column("p95", "duration_s.p95", seconds),
        Column("max", "duration_s.max", seconds, rank=1),
        Column("latency p95", "latency_s.p95", seconds),
    )
    rows: list[Summary] = []
    loaded = [(stage.get("stage"), part(stage, "cycles")) for stage in stages]
    loaded = [(index, cycles) for index, cycles in loaded if cycles]
    if len(loaded) > 1:
        loaded.append((None, part(totals, "cycles")))
    for index, cycles in loaded:
        tasks = {name: row for name, row in cycles.items() if name != "all"}
        rows += [{**row, "stage": index, "task": name} for name, row in tasks.items()]
        if not tasks or (index is None and len(tasks) > 1):
            # Counts can be added; an average over different tasks means nothing.
            counts = {
                name: value
                for name, value in part(cycles, "all").items()
                if not isinstance(value, Mapping)
            }
            rows.append({**counts, "stage": index, "task": "all"})
    return Table("Cycles (seconds, of successful cycles)", columns, rows, keys=2)


def _offer_table(stages: Sequence[Summary]) -> Table:
    latencies = (
        Column(f"{words} {name}", f"{key}.{name}", seconds, joined=name != "p50")
        for words, key in (("in a block", "inclusion_s"), ("settled", "settlement_s"))
        for name in ("p50", "p95", "max")
    )
    columns = (
        _STAGE,
        _TASK,
        Column("offers", "count"),
        *latencies,
        Column("gas avg", "gas.avg", rank=1),
    )
    rows = [
        {**offers, "stage": stage.get("stage"), "task": task}
        for stage in stages
        for task, cycles in part(stage, "cycles").items()
        if task != "all" and (offers := part(cycles, "offers"))
    ]
    title = "Offers by smart wallets (seconds from sending, of successful cycles)"
    return Table(title, columns, rows, keys=2)


def _measured(stages: Sequence[Summary]) -> list[Summary]:
    """Per stage that has them, the blocks that its numbers are of."""
    return [
        {**blocks, "stage": stage.get("stage")}
        for stage in stages
        if (blocks := measured_blocks(stage))
    ]


def _block_table(stages: Sequence[Summary]) -> Table:
    columns = (
        _STAGE,
        Column("blocks", "block_count"),
        Column("block time avg", "block_duration_s.avg", seconds),
        Column("block time p95", "block_duration_s.p95", seconds, joined=True),
        Column("swingset avg", "swingset_time_s.avg", seconds),
        Column("swingset p95", "swingset_time_s.p95", seconds, joined=True),
        Column("lag avg", "lag_s.avg", seconds),
        Column("lag p95", "lag_s.p95", seconds, joined=True),
        Column("swingset % avg", "swingset_percentage.avg", percent),
        Column("swingset % p95", "swingset_percentage.p95", percent, joined=True),
        Column("deliveries", "deliveries.avg", count, joined=True),
        Column("computrons", "computrons.avg", joined=True),
    )
    title = "Blocks (under load, else live; times in seconds, counts per block)"
    return Table(title, columns, _measured(stages))


def _total(spread: Summary | None) -> str:
    average = None if spread is None else spread.get("avg")
    return number(None if spread is None or average is None else round(average * spread["count"]))


_KERNEL: Final = (
    Column("heap MiB avg", "kernel_heap_bytes.avg", bytes_as_mebibytes),
    Column("heap MiB max", "kernel_heap_bytes.max", bytes_as_mebibytes),
    Column("gc s avg", "gc_time_s.avg", seconds),
    Column("run s avg", "run_time_s.avg", seconds),
    Column("save s avg", "kernel_save_time_s.avg", seconds),
    Column("commit s avg", "cosmos_commit_time_s.avg", seconds),
    Column("queued max", "queued_at_end.max"),
    Column("page-ins", "page_ins", _total),
    Column("evicted", "evictions", _total),
    Column("snapshots", "snapshots", _total),
)
"""What only slogs of newer SDKs contain."""


def _kernel_table(stages: Sequence[Summary]) -> Table:
    """Memory, commits, page-ins; what no stage has has no column."""
    rows = [
        row for row in _measured(stages) if any(column.cell(row) != MISSING for column in _KERNEL)
    ]
    known = [column for column in _KERNEL if any(column.value(row) is not None for row in rows)]
    title = "Kernel (blocks as above; sums of page-ins and snapshots)"
    return Table(title, [_STAGE, *known], rows)


def _vat_table(stages: Sequence[Summary]) -> Table:
    """The vats that the kernel spent most time in, over all stages."""
    columns = (
        Column("vat", "vat_id", clean, "name"),
        Column("name", "name", lambda name: clean(name or MISSING), "name"),
        Column("deliveries", "deliveries"),
        Column("computrons", "computrons"),
        Column("time s", "time_s", seconds),
        Column("ms each", "each_ms", partial(number, digits=2)),
    )
    vats: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for row in parts(stage, "vats"):
            new = {"name": None, "deliveries": 0, "computrons": 0, "time_s": 0.0}
            vat = vats.setdefault(str(row.get("vat_id")), new)
            vat["name"] = row.get("name") or vat["name"]
            vat["deliveries"] += row.get("deliveries") or 0
            vat["computrons"] += row.get("computrons") or 0
            vat["time_s"] += row.get("delivery_time_s") or 0.0
    busiest = sorted(vats.items(), key=lambda item: item[1]["time_s"], reverse=True)
    rows = [
        {**vat, "vat_id": vat_id, "each_ms": 1000.0 * vat["time_s"] / vat["deliveries"]}
        for vat_id, vat in busiest[:_VATS]
        if vat["deliveries"]
    ]
    return Table("Busiest vats", columns, rows, keys=2)


def _resource_table(resources: Sequence[Summary]) -> Table:
    columns = (
        Column("what", "what", clean, "name", least=21),
        Column("name", "name", clean, "name"),
        Column("max MiB", "max_kib", mebibytes),
        Column("avg MiB", "avg_kib", mebibytes),
        Column("CPU %", "cpu_percentage", percent),
        Column("samples", "samples"),
        Column("missing", "missing", joined=True),
    )
    rows = [
        {**row, "what": what, "name": name, **_memory(row)}
        for row, what, name in _resources(resources)
    ]
    return Table("Resources", columns, rows, keys=2)


def _resources(resources: Sequence[Summary]) -> Iterator[tuple[Summary, str, object]]:
    """The rows that are shown, each with what it is and a name, which may be empty."""
    processes = [row for row in resources if row.get("kind") == "process"]
    groups = [row for row in processes if row.get("subject") in {"kernel", "vats"}]
    measuring = [row for row in processes if row.get("subject") in _MEASURING]
    vats = [row for row in processes if row not in groups and row not in measuring]
    vats.sort(key=lambda row: _memory(row)["max_kib"] or 0.0, reverse=True)
    for row in resources:
        if row.get("kind") == "container":
            yield row, f"container {row.get('role')}", ""
    for row in groups:
        yield row, f"chain: {row.get('subject')}", ""
    for row in vats[:_VATS]:
        name = row.get("name")
        yield row, f"chain: {row.get('subject')}", MISSING if name is None else name
    for row in resources:
        if row.get("kind") == "storage" and row.get("subject") == ".":
            yield row, f"{row.get('role')}: storage", ""
    for row in measuring:
        yield row, f"measuring: {row.get('subject')}", ""


def _memory(row: Summary) -> dict[str, float | None]:
    """Highest and average memory (or storage) in KiB, None where unknown."""
    values = part(row, "values")
    for name, per_kib in (("memory_rss_kib", 1), ("memory_bytes", 1024), ("disk_kib", 1)):
        found = part(values, name)
        if not found:
            continue
        peak = part(values, "memory_peak_rss_kib").get("max") if per_kib == 1 else None
        highest = max(value for value in (found.get("max"), peak) if value is not None)
        return {"max_kib": highest / per_kib, "avg_kib": found["avg"] / per_kib}
    return {"max_kib": None, "avg_kib": None}


_GROWING: Final[Mapping[str, tuple[str, str, float]]] = {
    "swingset_time_s": ("swingset time", "ms", 1000.0),
    "kernel_memory_kib": ("kernel memory", "MiB", 1 / 1024),
    "kernel_heap_kib": ("kernel heap", "MiB", 1 / 1024),
    "vats_memory_kib": ("memory of all vats", "MiB", 1 / 1024),
    "storage_kib": ("storage", "MiB", 1 / 1024),
}
"""Quantity of a slope → its name, the unit it is shown in, and how many of these it is."""
_PER: Final = {"block": "per 1000 blocks", "cycle": "per 1000 cycles"}


def _growth_table(growth: Sequence[Summary]) -> Table:
    """Slopes per 1000 blocks or cycles; only those that are not zero with 95 % confidence.

    Notes say which quantities have no row, and why.
    """
    columns = (
        _STAGE,
        Column("what", "what", clean, "name", least=14),
        Column("unit", "unit", str, "words"),
        Column("slope", "slope", seconds),
        Column("low", "low", seconds, joined=True),
        Column("high", "high", seconds, joined=True),
        Column("points", "points", joined=True),
    )
    rows: list[Summary] = []
    few: dict[str, int] = {}
    flat: dict[str, list[str]] = defaultdict(list)
    for row in growth:
        quantity, points = clean(row.get("quantity")), row.get("points")
        what, unit, factor = _GROWING.get(quantity, (quantity, "", 1.0))
        slopes = {name: row.get(name) for name in ("slope", "low", "high")}
        known = {name: v for name, v in slopes.items() if isinstance(v, int | float)}
        if len(known) < len(slopes):
            if isinstance(points, int):
                few[what] = max(points, few.get(what, 0))
        elif known["low"] <= 0 <= known["high"]:
            stage = row.get("stage")
            where = "run" if stage is None else f"stage {clean(stage)}"
            flat[what] += [] if where in flat[what] else [where]
        else:
            scaled = {name: 1000 * factor * value for name, value in known.items()}
            per = _PER.get(str(row.get("per")), "")
            rows.append({**row, **scaled, "what": what, "unit": f"{unit} {per}".strip()})
    title = "Growth (Theil-Sen slope, 95 % band from low to high)"
    return Table(title, columns, rows, keys=3, notes=list(_growth_notes(few, flat)))


def _growth_notes(few: Mapping[str, int], flat: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if few:
        found = ", ".join(f"{what} {number(points)}" for what, points in few.items())
        yield f"no growth given, too few points under load ({LEAST} are needed): {found}"
    if flat:
        found = ", ".join(f"{what} ({', '.join(where)})" for what, where in flat.items())
        yield f"no growth proven, the 95 % band includes 0: {found}"
