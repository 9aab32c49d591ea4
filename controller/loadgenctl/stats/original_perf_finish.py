"""The `stats` of the perf-finish event, in the original's shape, for the tools that read it.

Names and meaning are the original's; some numbers are corrected: percentiles interpolate, failed
cycles and missing durations do not count, and the run's block summary is of all live blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadgenctl.records.shape import mapping_of
from loadgenctl.slog.block_rows import BLOCK_FIELDS
from loadgenctl.stats import read_run
from loadgenctl.stats.blocks import METRICS, block_summary, select
from loadgenctl.stats.cycles import blocks_during, cycle_summaries
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.stages import read_perf
from loadgenctl.stats.summary import CHAIN_ONLY, RunSummary, stage_kind, summarize_data

Stats = dict[str, Any]

_GROUPS: Final[Mapping[str, str]] = {
    "all": "all",
    "last100": "last100",
    "live": "onlyLive",
    "catch_up": "onlyCatchup",
}
_SHORT: Final = 10
"""Digits of a commit id in the original's `sdkRevision`."""
_SUMMARIZED: Final = tuple(name for name in METRICS if name != "slogLines")
_TIMES: Final = (
    *("started_at", "ready_at", "shutdown_at", "finished_at"),
    *(
        f"{role}_{what}_at"
        for role in ("chain", "client", "loadgen")
        for what in ("started", "ready")
    ),
)
_SPANS: Final = (
    ("readyDuration", "started_at", "ready_at"),
    ("duration", "started_at", "finished_at"),
    ("chainInitDuration", "chain_started_at", "chain_ready_at"),
    ("clientInitDuration", "client_started_at", "client_ready_at"),
    ("loadgenInitDuration", "loadgen_started_at", "loadgen_ready_at"),
)


def finish_run(
    folder: Path,
    *,
    success: bool,
    metadata: Mapping[str, Any],
    record: Callable[[Stats], None],
) -> RunSummary:
    """Compute the results of a run that has ended; rows and slogs are read once.

    `record` writes the `perf-finish` event with the stats that it is called with; the summary that
    is returned counts it. `metadata` as in `perf_finish_stats`. Raises `OutputFolderError`.
    """
    data = read_run.load(folder, slogs=False)
    record(perf_finish_stats(data, success=success, metadata=metadata))
    data.perf = read_perf(data.folder.perf())
    # Last: the event is written even if the run is killed while it reads large slogs.
    read_run.read_slogs(data)
    return summarize_data(data)


def perf_finish_stats(
    data: read_run.RunData, *, success: bool, metadata: Mapping[str, Any]
) -> Stats:
    """Compute the stats of a run from its records.

    `metadata` is the original's: `profile`, `testnetOrigin`, `testData`, …. The time of the last
    event is the run's end only if the run succeeded: to the original's readers a run with a
    duration is a success.
    """
    stages: dict[str, Stats] = {}
    cycles_before = 0
    for number, stage in data.stages.items():
        stages[str(number)] = _stage(data, stage, cycles_before)
        cycles_before += sum(isinstance(row.get("success"), bool) for row in stage.cycles)
    everything = list(data.stages.values())
    stats: Stats = {"metadata": full_metadata(metadata, data), "startedAt": data.perf.started_at}
    end = data.perf.last_at
    if success and end is not None:
        stats["endedAt"] = end
        if data.perf.started_at is not None:
            stats["duration"] = rounded(end - data.perf.started_at)
    stats |= _first(everything, "walletDeploy", "client_started_at", "client_ready_at")
    stats |= _first(everything, "loadgenDeploy", "loadgen_started_at", "loadgen_ready_at")
    stats |= _first(everything[:1], "chainBootstrap", "chain_started_at", "chain_ready_at")
    stats["totalBlockCount"] = sum(len(stage.blocks) for stage in everything)
    live = [row for stage in everything for row in select(stage.blocks)["live"]]
    stats["liveBlocksSummary"] = block_stats_summary(live)
    cycles = [row for stage in everything for row in stage.cycles]
    begins = sorted(begin for stage in everything for begin in stage.block_begins)
    stats["cyclesSummary"] = _cycles_summaries(cycles, begins).get("all")
    stats["stages"] = stages
    stats["stageCount"] = len(stages)
    return _present(stats)


def full_metadata(metadata: Mapping[str, Any], data: read_run.RunData) -> Stats:
    """`metadata` with `testData` as the original's readers expect it: camel case, and the SDK.

    If `testData` does not have the SDK's revision and commit time (epoch s), they are those of the
    run's own records.
    """
    given = metadata.get("testData")
    test_data = {camel_case(str(name)): value for name, value in mapping_of(given).items()}
    sdk = mapping_of(data.run.get("sdk"))
    commit = sdk.get("commit")
    known = {
        "sdkRevision": commit[:_SHORT] if isinstance(commit, str) else sdk.get("requested"),
        "sdkCommitTime": sdk.get("commit_time"),
    }
    test_data = _present(known) | test_data
    return dict(metadata) | ({"testData": test_data} if test_data or given is not None else {})


def camel_case(name: str) -> str:
    """`sdk-commit-time` → `sdkCommitTime`; camel case is not changed."""
    first, *others = name.split("-")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def block_stats_summary(rows: Sequence[Mapping[str, Any]]) -> Stats | None:
    """A summary of blocks with the original's field names; None without blocks."""
    summary = block_summary(rows)
    if summary is None:
        return None
    modes = {row.get("liveMode") for row in rows}
    stats: Stats = {
        "blockCount": summary["block_count"],
        "liveMode": modes.pop() if len(modes) == 1 else None,
        "startBlockHeight": summary["start_block_height"],
        "endBlockHeight": summary["end_block_height"],
    }
    for prefix in ("avg", "p95"):
        for name in _SUMMARIZED:
            values = summary.get(METRICS[name])
            if values is not None:
                stats[prefix + name[0].upper() + name[1:]] = values[prefix]
    return _present(stats)


def _time_name(mark: str) -> str:
    return "endedAt" if mark == "finished_at" else camel_case(mark.replace("_", "-"))


def _stage(data: read_run.RunData, stage: read_run.StageData, cycles_before: int) -> Stats:
    times, plan = stage.times, data.stage_plan(stage.times.stage)
    heights = [row["blockHeight"] for row in stage.blocks]
    groups = {
        _GROUPS[name]: block_stats_summary(rows) for name, rows in select(stage.blocks).items()
    }
    begins = stage.block_begins
    stats: Stats = {
        "stageIndex": times.stage,
        "stageConfig": times.config or _stage_config(data, stage, plan),
        "previousCycleCount": cycles_before,
        "blocksSummaries": _present(groups) if heights else None,
        "cyclesSummaries": _cycles_summaries(stage.cycles, begins) or None,
        "firstBlockHeight": heights[0] if heights else None,
        "lastBlockHeight": heights[-1] if heights else None,
        **{_time_name(mark): times.get(mark) for mark in _TIMES},
        "blocks": {str(row["blockHeight"]): _block(row) for row in stage.blocks},
        "cycles": {
            f"{row.get('task')}/{row.get('seq')}": _cycle(row, begins, stage.blocks)
            for row in stage.cycles
        },
        "blockCount": len(heights),
        "cycleCount": len(stage.cycles),
        **{name: times.span(start, end) for name, start, end in _SPANS},
    }
    return _present(stats)


def _stage_config(
    data: read_run.RunData, stage: read_run.StageData, plan: Mapping[str, Any]
) -> dict[str, Any]:
    config = {
        "chainOnly": stage_kind(data, stage) == CHAIN_ONLY,
        "durationConfig": plan.get("duration"),
        "cycleCount": plan.get("cycles"),
        "loadgenConfig": plan.get("load"),
    }
    return _present(config)


def _block(row: Mapping[str, Any]) -> Stats:
    return {name: row[name] for name in BLOCK_FIELDS if name in row}


def _cycle(
    row: Mapping[str, Any], begins: Sequence[float], blocks: Iterable[Mapping[str, Any]]
) -> Stats:
    start, finish = row.get("start"), row.get("finish")
    return _present(
        {
            "task": row.get("task"),
            "seq": row.get("seq"),
            "success": row.get("success"),
            "startBlockHeight": _height_at(start, blocks),
            "endBlockHeight": _height_at(finish, blocks),
            "startedAt": start,
            "endedAt": finish,
            "blockCount": blocks_during(row, begins) if begins else None,
            "duration": row.get("duration_s"),
        }
    )


def _height_at(time: object, blocks: Iterable[Mapping[str, Any]]) -> int | None:
    """The height of the last block that began before `time`."""
    if not isinstance(time, int | float):
        return None
    begun = [row["blockHeight"] for row in blocks if row.get("beginAt", time) < time]
    return begun[-1] if begun else None


def _cycles_summaries(rows: Sequence[Mapping[str, Any]], begins: Sequence[float]) -> Stats:
    return {
        task: _cycles_summary(summary)
        for task, summary in cycle_summaries(rows, block_begins=begins).items()
        if summary["cycle_count"]
    }


def _cycles_summary(summary: Mapping[str, Any]) -> Stats:
    stats: Stats = {
        "cycleCount": summary["cycle_count"],
        "cycleSuccessRate": summary.get("success_percentage"),
    }
    for prefix in ("avg", "p95"):
        for name, field in (("BlockCount", "block_count"), ("Duration", "duration_s")):
            if field in summary:
                stats[prefix + name] = summary[field][prefix]
    return _present(stats)


def _first(stages: Iterable[read_run.StageData], name: str, start: str, end: str) -> Stats:
    """Start, end and duration in the first stage that has both."""
    for stage in stages:
        span = stage.times.span(start, end)
        if span is not None:
            return {
                f"{name}StartedAt": stage.times.at[start],
                f"{name}EndedAt": stage.times.at[end],
                f"{name}Duration": span,
            }
    return {}


def _present(stats: Mapping[str, Any]) -> Stats:
    return {name: value for name, value in stats.items() if value is not None}
