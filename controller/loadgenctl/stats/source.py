"""Where a run's blocks, vats and cycles come from: rows where they are whole, else raw records."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadgenctl.records.reader import RunFolder
from loadgenctl.slog.blocks import BlockRows
from loadgenctl.slog.scan import SlogScanner, scan_file
from loadgenctl.stats.cycles import cycles_of_events
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.stages import PerfLog, StageTimes, read_perf

Row = dict[str, Any]

_SLOG: Final = re.compile(r"^chain-stage-(\d+)\.slog(\.gz|\.zst|)$")
_SHARED: Final = "shared"
"""The folder that the roles write to; a killed run left its last plain slog there."""


@dataclass(slots=True)
class StageData:
    """One stage's records, ready for summaries."""

    times: StageTimes
    blocks: list[Row] = field(default_factory=list)
    blocks_from: str | None = None
    """`blocks.jsonl`, the slog's file name, or None without either."""
    cycles: list[Row] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    scanned: SlogScanner | None = None
    """Vats, startup and anomalies; None when no slog was read."""

    @property
    def block_begins(self) -> list[float]:
        """When the blocks began, ascending."""
        return sorted(row["beginAt"] for row in self.blocks if "beginAt" in row)


@dataclass(slots=True)
class RunData:
    """A run's records by stage."""

    folder: RunFolder
    perf: PerfLog
    stages: dict[int, StageData]
    run: Row
    """run.json; empty for the original's folders."""

    def stage_plan(self, stage: int) -> Mapping[str, Any]:
        """What the plan says of a stage; empty if unknown."""
        plan = self.run.get("plan")
        stages = plan.get("stages") if isinstance(plan, Mapping) else None
        for spec in stages if isinstance(stages, list) else []:
            if isinstance(spec, Mapping) and spec.get("index") == stage:
                return spec
        return {}


def load(path: Path, *, regen: bool = False, slogs: bool = True) -> RunData:
    """Read a results folder.

    With `regen`, blocks and cycles are recomputed from slogs and events although rows are there.
    Without `slogs`, slogs are read only for blocks that no row has; vats and replay then lack.
    Raises `OutputFolderError` when there is no run or its records cannot be read.
    """
    folder = RunFolder(path)
    perf = read_perf(folder.perf())
    stages = {number: StageData(times) for number, times in perf.stages.items()}
    _add_blocks(folder, stages)
    files = slog_files(path)
    for number in files:
        stages.setdefault(number, StageData(perf.stage(number)))
    for number, stage in stages.items():
        whole = bool(stage.blocks) and stage.times.get("finished_at") is not None
        file = files.get(number)
        if file is not None and (slogs or regen or not whole):
            _scan(stage, file, replace_blocks=regen or not whole)
    _add_cycles(folder, stages, regen=regen)
    if folder.original and perf.finish_stats is not None:
        _add_original_cycles(perf.finish_stats, stages)
    return RunData(folder, perf, dict(sorted(stages.items())), folder.run)


def slog_files(path: Path) -> dict[int, Path]:
    """The chain's slog of each stage; a plain one, which is deleted once packed, goes first."""
    found: dict[int, tuple[bool, Path]] = {}
    for folder in (path, path / _SHARED):
        if not folder.is_dir():
            continue
        for entry in sorted(folder.iterdir()):
            match = _SLOG.match(entry.name)
            if match is None or not entry.is_file():
                continue
            packed = bool(match[2])
            stage = int(match[1])
            if stage not in found or (found[stage][0] and not packed):
                found[stage] = (packed, entry)
    return {stage: entry for stage, (_, entry) in sorted(found.items())}


def _add_blocks(folder: RunFolder, stages: dict[int, StageData]) -> None:
    for row in folder.blocks():
        number = row.get("stage")
        if isinstance(number, int) and isinstance(row.get("blockHeight"), int):
            stage = stages.setdefault(number, StageData(StageTimes(number)))
            stage.blocks.append(row)
            stage.blocks_from = "blocks.jsonl"


def _scan(stage: StageData, file: Path, *, replace_blocks: bool) -> None:
    stage.scanned, records = scan_file(file, census=True)
    if not replace_blocks or len(records) < len(stage.blocks):
        # A slog that was lost or damaged must not take rows away that were written in time.
        return
    rows = BlockRows(stage.times.stage)
    ready, shutdown = stage.times.get("chain_ready_at"), stage.times.get("shutdown_at")
    stage.blocks = [
        rows.row(record, chain_ready_at=ready, shutdown_at=shutdown) for record in records
    ]
    stage.blocks_from = file.name


def _add_cycles(folder: RunFolder, stages: dict[int, StageData], *, regen: bool) -> None:
    events: dict[int, list[Row]] = defaultdict(list)
    for event in folder.events():
        number = event.get("stage")
        if isinstance(number, int):
            events[number].append(event)
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in folder.cycles():
        number = row.get("stage")
        if isinstance(number, int):
            rows[number].append(row)
    for number in sorted({*events, *rows}):
        stage = stages.setdefault(number, StageData(StageTimes(number)))
        from_events, stage.missed = cycles_of_events(events.get(number, ()))
        written = rows.get(number, [])
        if regen and from_events:
            stage.cycles = from_events
        else:
            stage.cycles = _with_unfinished(written, from_events)


def _with_unfinished(written: list[Row], from_events: list[Row]) -> list[Row]:
    """The rows as written, and from the events the cycles that no row tells of."""
    known = {(row.get("task"), row.get("seq")) for row in written}
    return written + [row for row in from_events if (row["task"], row["seq"]) not in known]


def _add_original_cycles(stats: Mapping[str, Any], stages: dict[int, StageData]) -> None:
    """The original keeps its cycles only in perf-finish."""
    by_stage = stats.get("stages")
    for key, value in by_stage.items() if isinstance(by_stage, Mapping) else ():
        cycles = value.get("cycles") if isinstance(value, Mapping) else None
        if not str(key).isdigit() or not isinstance(cycles, Mapping):
            continue
        stage = stages.get(int(key))
        if stage is not None and not stage.cycles:
            stage.cycles = [*_original_cycles(cycles.values())]


def _original_cycles(cycles: Iterable[Any]) -> Iterable[Row]:
    for cycle in cycles:
        if not isinstance(cycle, Mapping):
            continue
        start, finish = cycle.get("startedAt"), cycle.get("endedAt")
        row: Row = {
            "task": str(cycle.get("task")),
            "seq": cycle.get("seq"),
            "intended_start": start,
            "start": start,
        }
        if isinstance(start, int | float) and isinstance(finish, int | float):
            row |= {
                "finish": finish,
                "duration_s": rounded(finish - start),
                "latency_s": rounded(finish - start),
                "success": cycle.get("success"),
            }
        yield row
