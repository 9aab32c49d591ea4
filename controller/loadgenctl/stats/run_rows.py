"""Runs as a table: a row per run, the columns of the original's CSV first, then our own.

The original's columns keep its names and meaning (seconds, percent); ours have units in their
names. docs/results.md describes both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadgenctl.records.shape import mapping_of, stage_number
from loadgenctl.stats import read_run
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.original_perf_finish import perf_finish_stats
from loadgenctl.stats.summary import LOADED, measured_blocks, summarize_data

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
_COUNTS: Final = {
    "stage_count": "totals.stage_count",
    "block_count": "totals.block_count",
    "live_block_count": "totals.live_blocks.block_count",
    "loaded_block_count": "totals.loaded_blocks.block_count",
}
"""Column → its place in the summary; the same in all that follow."""
_BLOCKS: Final = {
    "block_duration_avg_s": "block_duration_s.avg",
    "block_duration_p95_s": "block_duration_s.p95",
    "lag_avg_s": "lag_s.avg",
    "lag_p95_s": "lag_s.p95",
    "lag_max_s": "lag_s.max",
    "cosmos_time_avg_s": "cosmos_time_s.avg",
    "swingset_time_avg_s": "swingset_time_s.avg",
    "swingset_time_p50_s": "swingset_time_s.p50",
    "swingset_time_p95_s": "swingset_time_s.p95",
    "swingset_time_max_s": "swingset_time_s.max",
}
"""In a summary of blocks."""
_BLOCKS_OF_RUN: Final = _BLOCKS | {
    "swingset_percentage_avg": "swingset_percentage.avg",
    "deliveries_per_block_avg": "deliveries.avg",
    "computrons_per_block_avg": "computrons.avg",
    "kernel_heap_avg_bytes": "kernel_heap_bytes.avg",
    "kernel_heap_max_bytes": "kernel_heap_bytes.max",
    "gc_time_avg_s": "gc_time_s.avg",
}
_CYCLES: Final = {
    "count": "cycle_count",
    "failed_count": "failed",
    "missed_count": "missed",
    "unfinished_count": "unfinished",
    "success_percentage": "success_percentage",
    "duration_avg_s": "duration_s.avg",
    "duration_p50_s": "duration_s.p50",
    "duration_p95_s": "duration_s.p95",
    "latency_p95_s": "latency_s.p95",
}
"""In a summary of cycles."""
_OFFERS: Final = {
    f"{what}_{part}_s": f"offers.{what}_s.{part}"
    for what in ("inclusion", "settlement")
    for part in ("p50", "p95", "max")
}
_RESOURCES: Final = {
    ("process", "kernel"): {
        "kernel_memory_max_kib": "values.memory_rss_kib.max",
        "kernel_cpu_percentage": "cpu_percentage",
    },
    ("process", "vats"): {
        "vats_memory_max_kib": "values.memory_rss_kib.max",
        "vats_cpu_percentage": "cpu_percentage",
    },
    ("container", "chain"): {
        "chain_memory_max_bytes": "values.memory_bytes.max",
        "chain_cpu_percentage": "cpu_percentage",
    },
    ("storage", "."): {"storage_last_kib": "values.disk_kib.last"},
}
"""Kind and subject of a resource of the chain → what is in its row."""
_STAGE: Final = {
    "duration_s": "durations.duration_s",
    "chain_ready_s": "durations.chain_ready_s",
    "restart_s": "durations.restart_s",
    "client_ready_s": "durations.client_ready_s",
    "loadgen_ready_s": "durations.loadgen_ready_s",
    "chain_stop_s": "durations.chain_stop_s",
    "loaded_s": "durations.loaded_s",
    "shutdown_s": "durations.shutdown_s",
    "live_block_count": "blocks.live.block_count",
    "loaded_block_count": f"blocks.{LOADED}.block_count",
}
"""In the summary of a stage."""
_STAGE_ORIGINAL: Final = {
    "cycleSuccessRate": "cyclesSummaries.all.cycleSuccessRate",
    "cycleAvgDuration": "cyclesSummaries.all.avgDuration",
    "avgSwingsetBlockTime": "blocksSummaries.onlyLive.avgSwingsetTime",
    "avgSwingsetPercentage": "blocksSummaries.onlyLive.avgSwingsetPercentage",
}
"""In a stage of the stats of perf-finish."""


@dataclass(slots=True)
class RunRow:
    """One run's columns, in their order. A value that is not known is absent."""

    original: Row = field(default_factory=dict)
    """The original's columns."""
    own: Row = field(default_factory=dict)
    """Ours, of the run."""
    detail: Row = field(default_factory=dict)
    """Ours, by task and stage; they differ from run to run."""


def run_row(folder: Path) -> RunRow:
    """The row of a results folder. Raises `OutputFolderError` if there is no run."""
    data = read_run.load(folder.resolve(), slogs=False)
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
    """Tasks before stages, these by number; columns of one of them keep their order."""
    head = name.partition("_")[0]
    name = head.removeprefix("stage")
    number = stage_number(name) if name != head else None
    return (0, 0) if number is None else (1, number)


def _original(data: read_run.RunData, summary: Mapping[str, Any]) -> Row:
    recorded = data.perf.finish_stats or {}
    if data.folder.original:
        # There a run with a duration is one that succeeded.
        success = recorded.get("duration") is not None
        metadata = mapping_of(recorded.get("metadata"))
    else:
        success = summary["run"].get("outcome") == "passed"
        metadata = {"testData": mapping_of(summary["run"].get("test_data"))}
    stats = perf_finish_stats(data, success=success, metadata=metadata)
    revision = _at(stats, "metadata.testData.sdkRevision")
    row = {
        "sdkRevision": "" if revision is None else str(revision),
        "sdkCommitTime": _day_time(_at(stats, "metadata.testData.sdkCommitTime")),
        "success": success,
        "chainBootstrapDuration": stats.get("chainBootstrapDuration"),
        "walletDeployDuration": stats.get("walletDeployDuration"),
        "loadgenDeployDuration": stats.get("loadgenDeployDuration"),
        "cycleSuccessRate": _at(stats, "cyclesSummary.cycleSuccessRate"),
        "cycleAvgDuration": _at(stats, "cyclesSummary.avgDuration"),
    }
    for number, stage in stats["stages"].items():
        config = mapping_of(stage.get("stageConfig"))
        if config.get("chainOnly") is not True and config.get("durationConfig") != 0:
            row |= _read(stage, _STAGE_ORIGINAL, f"stage{number}_")
    return row


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
    row |= _read(summary, _COUNTS)
    row |= _read(totals.get("loaded_blocks") or totals.get("live_blocks"), _BLOCKS_OF_RUN)
    row |= _cycles(_at(totals, "cycles.all"), "cycle_")
    resources = {
        (found["kind"], found["subject"]): found
        for found in summary["resources"]
        if found["role"] == "chain"
    }
    for subject, wanted in _RESOURCES.items():
        row |= _read(resources.get(subject), wanted)
    row |= _growth("", [found for found in summary["growth"] if found["stage"] is None])
    restarts = [_at(stage, "durations.restart_s") for stage in summary["stages"]]
    known = [value for value in restarts if isinstance(value, int | float)]
    row["restart_avg_s"] = rounded(sum(known) / len(known)) if known else None
    return row


def _detail(summary: Mapping[str, Any]) -> Row:
    row: Row = {}
    for task, cycles in mapping_of(summary["totals"].get("cycles")).items():
        if task != "all":
            row |= _cycles(cycles, f"{task}_cycle_")
    for stage in summary["stages"]:
        prefix = f"stage{stage['stage']}_"
        row |= _read(stage, _STAGE, prefix)
        row |= _read(measured_blocks(stage), _BLOCKS, prefix)
        cycles = _at(stage, "cycles.all")
        if cycles:
            row |= _cycles(cycles, f"{prefix}cycle_")
        growth = [found for found in summary["growth"] if found["stage"] == stage["stage"]]
        row |= _growth(prefix, growth)
    return row


def _cycles(cycles: object, prefix: str) -> Row:
    offers = _OFFERS if _at(cycles, "offers") else {}
    return _read(cycles, _CYCLES | offers, prefix)


def _read(document: object, places: Mapping[str, str], prefix: str = "") -> Row:
    return {f"{prefix}{name}": _at(document, place) for name, place in places.items()}


def _at(document: object, place: str) -> Any:
    """What is at `a.b.c` of an object; None where an object or a key is missing."""
    for name in place.split("."):
        document = mapping_of(document).get(name)
    return document


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
