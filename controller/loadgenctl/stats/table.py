"""Runs as a table: one row each, the columns of the original's CSV first, then our own.

The original's columns keep its names and meaning (seconds, percent); ours have units in their
names. Both are described in docs/results.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadgenctl.records.shape import stage_number
from loadgenctl.stats import source
from loadgenctl.stats.finish import Stats, finish_stats_of
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.run import LOADED, measured_blocks, summarize_data

Row = dict[str, Any]

_RUN: Final = (
    "folder",
    "run_id",
    "outcome",
    "sdk",
    "simulated",
    "revision",
    "commit",
    "commit_time",
    "dirty",
    "deviations",
    "started_at",
    "duration_s",
)
_SPREADS: Final = (
    ("block_duration", "block_duration_s", ("avg", "p95")),
    ("lag", "lag_s", ("avg", "p95", "max")),
    ("cosmos_time", "cosmos_time_s", ("avg",)),
    ("swingset_time", "swingset_time_s", ("avg", "p50", "p95", "max")),
)
"""Column's name, summary's name, and what of the spread; all in seconds."""
_MEMORY: Final = (
    ("kernel", "process", "kernel"),
    ("vats", "process", "vats"),
)
_STAGE_DURATIONS: Final = (
    "duration_s",
    "chain_ready_s",
    "restart_s",
    "client_ready_s",
    "loadgen_ready_s",
    "chain_stop_s",
    "loaded_s",
    "shutdown_s",
)


@dataclass(slots=True)
class RunRow:
    """One run's columns, in their order. A value that is not known is absent."""

    original: Row = field(default_factory=dict)
    """The original's columns."""
    own: Row = field(default_factory=dict)
    """Ours, of the whole run."""
    detail: Row = field(default_factory=dict)
    """Ours, by task and stage: which there are differs from run to run."""


def run_row(folder: Path) -> RunRow:
    """The row of a results folder. Raises `OutputFolderError` if there is no run."""
    data = source.load(folder.resolve(), slogs=False)
    summary = summarize_data(data)
    return RunRow(_original(data, summary), _own(summary), _detail(summary))


def table(rows: Iterable[RunRow]) -> tuple[list[str], list[Row]]:
    """Columns and rows, sorted by the SDK's commit time (runs without one first)."""
    ordered = sorted(rows, key=lambda row: str(row.original["sdkCommitTime"]))
    parts = ([row.original for row in ordered], [row.own for row in ordered])
    details = [row.detail for row in ordered]
    columns = [name for part in parts for name in _names(part)]
    columns += sorted(_names(details), key=_detail_order)
    return columns, [row.original | row.own | row.detail for row in ordered]


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _detail_order(name: str) -> tuple[int, int]:
    """Tasks before stages, these by number; what belongs to one of them stays in its order."""
    head = name.partition("_")[0]
    name = head.removeprefix("stage")
    number = stage_number(name) if name != head else None
    return (0, 0) if number is None else (1, number)


def _original(data: source.RunData, summary: Mapping[str, Any]) -> Row:
    told = data.perf.finish_stats or {}
    if data.folder.original:
        # There a run with a duration is one that succeeded.
        success = told.get("duration") is not None
        metadata = _dict(told, "metadata")
    else:
        success = summary["run"].get("outcome") == "passed"
        metadata = {"testData": _dict(summary["run"], "test_data")}
    stats = finish_stats_of(data, success=success, ended_at=None, metadata=metadata)
    test_data, cycles = _dict(stats["metadata"], "testData"), _dict(stats, "cyclesSummary")
    revision, stages = test_data.get("sdkRevision"), stats["stages"]
    row = {
        "sdkRevision": "" if revision is None else str(revision),
        "sdkCommitTime": _day_time(test_data.get("sdkCommitTime")),
        "success": success,
        "chainBootstrapDuration": stats.get("chainBootstrapDuration"),
        "walletDeployDuration": stats.get("walletDeployDuration"),
        "loadgenDeployDuration": stats.get("loadgenDeployDuration"),
        "cycleSuccessRate": cycles.get("cycleSuccessRate"),
        "cycleAvgDuration": cycles.get("avgDuration"),
    }
    for number, stage in stages.items():
        row |= _original_stage(f"stage{number}_", stage)
    return row


def _original_stage(prefix: str, stage: Stats) -> Row:
    config = _dict(stage, "stageConfig")
    if config.get("chainOnly") is True or config.get("durationConfig") == 0:
        return {}
    cycles = _dict(_dict(stage, "cyclesSummaries"), "all")
    live = _dict(_dict(stage, "blocksSummaries"), "onlyLive")
    return {
        f"{prefix}cycleSuccessRate": cycles.get("cycleSuccessRate"),
        f"{prefix}cycleAvgDuration": cycles.get("avgDuration"),
        f"{prefix}avgSwingsetBlockTime": live.get("avgSwingsetTime"),
        f"{prefix}avgSwingsetPercentage": live.get("avgSwingsetPercentage"),
    }


def _day_time(value: object) -> str:
    """Epoch seconds as the original writes them, in UTC; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    try:
        return f"{datetime.fromtimestamp(float(value), UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ""


def _own(summary: Mapping[str, Any]) -> Row:
    run, totals = summary["run"], summary["totals"]
    row: Row = {name: run.get(name) for name in _RUN}
    row["deviations"] = "; ".join(map(str, run.get("deviations") or ())) or None
    live, loaded = _dict(totals, "live_blocks"), _dict(totals, "loaded_blocks")
    row |= {
        "stage_count": totals.get("stage_count"),
        "block_count": totals.get("block_count"),
        "live_block_count": live.get("block_count"),
        "loaded_block_count": loaded.get("block_count"),
    }
    measured = loaded or live
    row |= _blocks("", measured)
    row["swingset_percentage_avg"] = _dict(measured, "swingset_percentage").get("avg")
    row["deliveries_per_block_avg"] = _dict(measured, "deliveries").get("avg")
    row["computrons_per_block_avg"] = _dict(measured, "computrons").get("avg")
    heap = _dict(measured, "kernel_heap_bytes")
    row |= {f"kernel_heap_{part}_bytes": heap.get(part) for part in ("avg", "max")}
    row["gc_time_avg_s"] = _dict(measured, "gc_time_s").get("avg")
    row |= _cycles("cycle", _dict(_dict(totals, "cycles"), "all"))
    row |= _resources(summary["resources"])
    row |= _growth("", [found for found in summary["growth"] if found["stage"] is None])
    restarts = [_dict(stage, "durations").get("restart_s") for stage in summary["stages"]]
    known = [value for value in restarts if isinstance(value, int | float)]
    row["restart_avg_s"] = rounded(sum(known) / len(known)) if known else None
    return row


def _detail(summary: Mapping[str, Any]) -> Row:
    row: Row = {}
    for task, cycles in _dict(summary["totals"], "cycles").items():
        if task != "all":
            row |= _cycles(f"{task}_cycle", cycles)
    for stage in summary["stages"]:
        prefix = f"stage{stage['stage']}_"
        durations = _dict(stage, "durations")
        row |= {f"{prefix}{name}": durations.get(name) for name in _STAGE_DURATIONS}
        blocks = _dict(stage, "blocks")
        row[f"{prefix}live_block_count"] = _dict(blocks, "live").get("block_count")
        row[f"{prefix}loaded_block_count"] = _dict(blocks, LOADED).get("block_count")
        row |= _blocks(prefix, measured_blocks(stage))
        cycles = _dict(_dict(stage, "cycles"), "all")
        if cycles:
            row |= _cycles(f"{prefix}cycle", cycles)
        growth = [found for found in summary["growth"] if found["stage"] == stage["stage"]]
        row |= _growth(prefix, growth)
    return row


def _blocks(prefix: str, blocks: Mapping[str, Any]) -> Row:
    return {
        f"{prefix}{name}_{part}_s": _dict(blocks, field).get(part)
        for name, field, parts in _SPREADS
        for part in parts
    }


def _cycles(name: str, cycles: Mapping[str, Any]) -> Row:
    duration, latency = _dict(cycles, "duration_s"), _dict(cycles, "latency_s")
    offers = _dict(cycles, "offers")
    of_offers = {
        f"{name}_{what}_{each}_s": _dict(offers, f"{what}_s").get(each)
        for what in ("inclusion", "settlement")
        for each in ("p50", "p95", "max")
        if offers
    }
    return {
        f"{name}_count": cycles.get("cycle_count"),
        f"{name}_failed_count": cycles.get("failed"),
        f"{name}_missed_count": cycles.get("missed"),
        f"{name}_unfinished_count": cycles.get("unfinished"),
        f"{name}_success_percentage": cycles.get("success_percentage"),
        f"{name}_duration_avg_s": duration.get("avg"),
        f"{name}_duration_p50_s": duration.get("p50"),
        f"{name}_duration_p95_s": duration.get("p95"),
        f"{name}_latency_p95_s": latency.get("p95"),
        **of_offers,
    }


def _resources(resources: Sequence[Mapping[str, Any]]) -> Row:
    found = {(row["kind"], row["role"], row["subject"]): row for row in resources}
    row: Row = {}
    for name, kind, subject in _MEMORY:
        process = found.get((kind, "chain", subject), {})
        memory = _dict(_dict(process, "values"), "memory_rss_kib")
        row[f"{name}_memory_max_kib"] = memory.get("max")
        row[f"{name}_cpu_percentage"] = process.get("cpu_percentage")
    container = found.get(("container", "chain", "chain"), {})
    memory = _dict(_dict(container, "values"), "memory_bytes")
    row["chain_memory_max_bytes"] = memory.get("max")
    row["chain_cpu_percentage"] = container.get("cpu_percentage")
    storage = _dict(_dict(found.get(("storage", "chain", "."), {}), "values"), "disk_kib")
    row["storage_last_kib"] = storage.get("last")
    return row


def _growth(prefix: str, rows: Iterable[Mapping[str, Any]]) -> Row:
    """`swingset_time_growth_s_per_block` and the like: the slope, with its 95 % band."""
    made: Row = {}
    for row in rows:
        name, _, unit = str(row["quantity"]).rpartition("_")
        column = f"{prefix}{name}_growth_{{}}{unit}_per_{row['per']}"
        made[column.format("")] = row["slope"]
        made[column.format("low_")] = row["low"]
        made[column.format("high_")] = row["high"]
    return made


def _dict(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}
