"""A results folder → its summary, the document of summary.json. Its fields: docs/slog.md.

    schema, run, stages [ {stage, kind, times, durations, blocks, cycles, vats, …} … ],
    totals, resources, growth, damage

Works without Docker, on a running or killed run, and on the original's folders. What is not known
is absent (or null in tables of rows); units are in the names, block summaries as in stats.blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadgenctl.records.reader import last_heard
from loadgenctl.records.shape import mapping_of
from loadgenctl.records.superseded import FIRST
from loadgenctl.stats import read_run
from loadgenctl.stats.blocks import block_summary, select, without_bootstrap
from loadgenctl.stats.cycles import checked, cycle_summaries
from loadgenctl.stats.growth import growth_rows
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.resources import resource_rows
from loadgenctl.stats.slog_rows import startup_row, step_rows, vat_rows

RunSummary = dict[str, Any]

SUMMARY_SCHEMA: Final = 1
_KILLED: Final = frozenset({"killed", "interrupted"})
LOAD: Final = "load"
CHAIN_ONLY: Final = "chain-only"
LOADED: Final = "loaded"
"""The group of blocks of the loaded window."""


def summarize(folder: Path, *, regen: bool = False, slogs: bool = True) -> RunSummary:
    """Compute the summary of a results folder.

    `regen` and `slogs` as in `stats.read_run.load`. Raises `OutputFolderError` if there is no run.
    """
    data = read_run.load(Path(folder), regen=regen, slogs=slogs)
    return summarize_data(data)


def summarize_data(data: read_run.RunData) -> RunSummary:
    """The summary of records that are already loaded."""
    stages = [_stage(data, stage) for stage in data.stages.values()]
    summary: RunSummary = {
        "schema": SUMMARY_SCHEMA,
        "run": _run(data),
        "stages": stages,
        "totals": _totals(data),
        "resources": resource_rows(data.samples()),
        "growth": growth_rows(data),
    }
    damage: dict[str, Any] = {
        name: {"torn": found.torn, "unreadable": found.unreadable}
        for name, found in data.folder.damage.items()
        if found.torn or found.unreadable
    }
    damage |= {name: {"refused": why} for name, why in sorted(data.refused.items())}
    if damage:
        summary["damage"] = damage
    return summary


def sdk_row(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run.json says of the SDK; None for what it does not."""
    sdk = mapping_of(run.get("sdk"))
    return {
        "sdk": sdk.get("family"),
        "simulated": sdk.get("simulated"),
        "revision": sdk.get("requested"),
        "commit": sdk.get("commit"),
        "commit_time": sdk.get("commit_time"),
        "dirty": sdk.get("dirty"),
        "deviations": sdk.get("deviations") or None,
    }


def _run(data: read_run.RunData) -> dict[str, Any]:
    run, status = data.run, data.folder.status
    started = run.get("started_at") or data.perf.started_at
    row: dict[str, Any] = {
        "folder": data.folder.path.name,
        "run_id": run.get("run_id"),
        "original": data.folder.original,
        "loadgenctl": run.get("loadgenctl"),
        **sdk_row(run),
        "test_data": run.get("test_data"),
        "outcome": data.folder.outcome,
        "started_at": started,
    }
    finished, paused = data.perf.finished_at, 0.0
    if status is not None:
        found = status.as_found()
        # Of a killed run, the last attempt's end: an earlier attempt may have recorded its own.
        finished = found.finished_at or (None if found.outcome in _KILLED else finished)
        row |= {
            "reason": found.reason,
            "role": found.role,
            "step": found.step,
            "exit_code": found.exit_code,
        }
        if status.attempts:
            paused = status.paused_s
            row |= {
                "attempt": status.attempt,
                "resumed_at_stage": status.attempts[-1].get("stage"),
                "resumed_with": status.attempts[-1].get("state"),
            }
        finished = finished or last_heard(data.folder.path)
    last = finished or data.perf.last_at
    if isinstance(started, int | float) and last is not None:
        row["duration_s"] = rounded(last - started - paused)
    return {name: value for name, value in row.items() if value is not None}


def stage_kind(data: read_run.RunData, stage: read_run.StageData) -> str:
    """`load` or `chain-only`: by the plan, else by what happened."""
    planned = data.stage_plan(stage.times.stage).get("chain_only")
    if planned is None:
        planned = stage.times.config.get("chainOnly")
    if isinstance(planned, bool):
        return CHAIN_ONLY if planned else LOAD
    begun = (stage.times.get(name) for name in ("client_started_at", "loadgen_started_at"))
    loaded = bool(stage.cycles) or any(at is not None for at in begun)
    return LOAD if loaded else CHAIN_ONLY


def measured_blocks(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    """The block summary that the numbers of a summary's stage are of: that of the loaded window, or
    of live blocks in a stage without load; empty without such blocks.
    """
    loaded = "load_started_at" in mapping_of(stage.get("times"))
    return mapping_of(mapping_of(stage.get("blocks")).get(LOADED if loaded else "live"))


def _stage(data: read_run.RunData, stage: read_run.StageData) -> dict[str, Any]:
    times = stage.times
    row: dict[str, Any] = {
        "stage": times.stage,
        "kind": stage_kind(data, stage),
        "finished": times.get("finished_at") is not None,
        "attempt": stage.attempt if stage.attempt != FIRST else None,
        "times": dict(times.at),
        "durations": _durations(data, stage),
        "first_block_height": times.first_block_height,
        "first_empty_block_height": times.first_empty_block_height,
        "blocks_from": stage.blocks_from,
        "blocks": _blocks(stage),
        "cycles": cycle_summaries(
            stage.cycles, missed=stage.missed, block_begins=stage.block_begins
        ),
    }
    row["offer_times"] = checked(stage.cycles, stage.blocks)
    if stage.scanned is not None:
        row["startup"] = startup_row(stage.scanned.startup)
        row["vats"] = vat_rows(stage.scanned.vats.values())
        row["anomalies"] = dict(sorted(stage.scanned.anomalies.items()))
        row["clock_steps"] = step_rows(stage.scanned.clock_steps) or None
    errors = Counter(
        str(cycle.get("error")) for cycle in stage.cycles if cycle.get("success") is False
    )
    if errors:
        row["cycle_errors"] = dict(errors.most_common(10))
    return {name: value for name, value in row.items() if value is not None}


def _blocks(stage: read_run.StageData) -> dict[str, dict[str, Any]]:
    """The summaries by group, with `loaded` for the loaded window; absent without blocks."""
    groups: dict[str, Sequence[Mapping[str, Any]]] = {**select(stage.blocks)}
    groups |= {"live": stage.live_blocks, LOADED: stage.loaded_blocks}
    summaries = {name: block_summary(rows) for name, rows in groups.items()}
    return {name: summary for name, summary in summaries.items() if summary is not None}


def _durations(data: read_run.RunData, stage: read_run.StageData) -> dict[str, float | int]:
    """The stage's own durations, and those that need the stage before."""
    durations = stage.times.durations()
    before = data.stages.get(stage.times.stage - 1)
    started = stage.times.get("chain_run_at")
    if before is None or started is None:
        return durations
    if "chain_ready_s" in durations:
        durations["restart_s"] = durations["chain_ready_s"]
    ended = before.times.get("finished_at")
    if ended is not None and before.attempt == stage.attempt:
        durations["gap_s"] = rounded(started - ended)
    return durations


def _totals(data: read_run.RunData) -> dict[str, Any]:
    """Over all stages; summaries are of all blocks and cycles, not averages of averages."""
    blocks = [row for stage in data.stages.values() for row in without_bootstrap(stage.blocks)]
    cycles = [row for stage in data.stages.values() for row in stage.cycles]
    missed = sum((stage.missed for stage in data.stages.values()), Counter[str]())
    begins = sorted(begin for stage in data.stages.values() for begin in stage.block_begins)
    totals: dict[str, Any] = {
        "stage_count": len(data.stages),
        "block_count": len(blocks),
        "cycles": cycle_summaries(cycles, missed=missed, block_begins=begins),
    }
    stages = data.stages.values()
    for name, rows in (
        ("live_blocks", [row for stage in stages for row in stage.live_blocks]),
        ("loaded_blocks", [row for stage in stages for row in stage.loaded_blocks]),
    ):
        described = block_summary(rows)
        if described is not None:
            totals[name] = described
    return totals
