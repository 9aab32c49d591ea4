"""Loads a run's blocks, vats and cycles: rows if they are complete, else raw records."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadgenctl.plainfile import NotPlainError, kind_of, open_plain
from loadgenctl.records import schema
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.shape import mapping_of, stage_number
from loadgenctl.records.superseded import FIRST
from loadgenctl.slog.block_rows import BlockRows
from loadgenctl.slog.files import NotSlogError, SlogReader
from loadgenctl.slog.scan import SlogScanner, scan_file
from loadgenctl.stats import original_folder
from loadgenctl.stats.blocks import without_bootstrap
from loadgenctl.stats.cycles import cycles_of_events
from loadgenctl.stats.stages import PerfLog, StageTimes, read_perf

Row = dict[str, Any]

_SLOG: Final = re.compile(r"^chain-stage-(\d+)\.slog(\.gz|\.zst|)$")
_SHARED: Final = "shared"
"""The folder that the roles write to; a killed run left its last plain slog and events there."""
_IN_PERF_FINISH: Final = "perf-finish"


@dataclass(slots=True)
class StageData:
    """One stage's records, ready for summaries."""

    times: StageTimes
    attempt: int = FIRST
    """Of a resumed run, the attempt that wrote the records."""
    blocks: list[Row] = field(default_factory=list)
    blocks_from: str | None = None
    """`blocks.jsonl`, the slog's file name, `perf-finish`, or None without any."""
    cycles: list[Row] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    scanned: SlogScanner | None = None
    """Vats, startup and anomalies; None when no slog was read."""

    @property
    def loaded_blocks(self) -> list[Row]:
        """The blocks of the loaded window (docs/slog.md); none if no load is known."""
        rows = without_bootstrap(self.blocks)
        return [row for row in rows if self.times.load_phase(row) == "loaded"]

    @property
    def live_blocks(self) -> list[Row]:
        """The blocks since the chain was ready, without those after the load's end, when the stage
        only waits for its last cycles.
        """
        live = (row for row in without_bootstrap(self.blocks) if row.get("liveMode") is True)
        return [row for row in live if self.times.load_phase(row) != "after"]

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
    refused: dict[str, str] = field(default_factory=dict)
    """Slogs that are not read, and why, in words that follow the file's name."""

    def stage_plan(self, stage: int) -> Mapping[str, Any]:
        """The stage in the plan; empty if unknown."""
        planned = (spec for spec in planned_stages(self.run) if spec.get("index") == stage)
        return next(planned, {})

    def samples(self) -> Iterator[Row]:
        """Rows as in samples.jsonl; of the original's folders, made from its perf.jsonl."""
        if self.folder.original and not (self.folder.path / schema.SAMPLES).exists():
            return original_folder.samples_of_perf(self.folder.perf(), self.perf.time_origin)
        return self.folder.samples()


def planned_stages(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The stages of the plan in a run.json; none if unknown."""
    stages = mapping_of(run.get("plan")).get("stages")
    found = stages if isinstance(stages, list) else []
    return [spec for spec in found if isinstance(spec, Mapping)]


def load(path: Path, *, regen: bool = False, slogs: bool = True) -> RunData:
    """Read a results folder.

    With `regen`, blocks and cycles are computed from slogs and events even if there are rows.
    Without `slogs`, slogs are read only if rows of blocks are missing; there are no vats then.
    Raises `OutputFolderError` if there is no run or its records cannot be read.
    """
    folder = RunFolder(path)
    perf = read_perf(folder.perf())
    stages = {number: StageData(times) for number, times in perf.stages.items()}
    _add_blocks(folder, stages)
    refused: dict[str, str] = {}
    files = slog_files(path, refused)
    for number in files:
        stages.setdefault(number, StageData(perf.stage(number)))
    for number, stage in stages.items():
        whole = bool(stage.blocks) and stage.times.get("finished_at") is not None
        if number in files and (slogs or regen or not whole):
            _scan(stage, files[number], refused, replace_blocks=regen or not whole)
    events = _events(folder)
    _add_cycles(folder, stages, events, regen=regen)
    _add_load_windows(folder, stages, events)
    if folder.original and perf.finish_stats is not None:
        lost = _add_finish_stats(perf.finish_stats, stages, regen=regen)
        if lost:
            folder.damage[schema.PERF].unreadable += lost
    counting = folder.counting()
    for number, stage in stages.items():
        stage.attempt = FIRST if counting is None else counting.attempt(number)
    return RunData(folder, perf, dict(sorted(stages.items())), folder.run, refused)


def read_slogs(data: RunData) -> None:
    """Read the slogs that `load` left out without `slogs`: vats, startup, anomalies."""
    for number, file in slog_files(data.folder.path).items():
        stage = data.stages.get(number)
        if stage is not None and stage.scanned is None and file.name not in data.refused:
            _scan(stage, file, data.refused, replace_blocks=False)


def slog_files(path: Path, refused: dict[str, str] | None = None) -> dict[int, Path]:
    """The chain's slog of each stage; a plain one, which is deleted once packed, is preferred.

    What has the name of a slog and is no plain file is added to `refused`, with what it is.
    """
    found: dict[int, tuple[bool, Path]] = {}
    for folder in (path, path / _SHARED):
        if not folder.is_dir():
            continue
        for entry in sorted(folder.iterdir()):
            match = _SLOG.match(entry.name)
            stage = None if match is None else stage_number(match[1])
            if match is None or stage is None:
                continue
            if entry.is_symlink() or not entry.is_file():
                if refused is not None:
                    refused[entry.name] = f"is {kind_of(entry)}, not a plain file"
                continue
            packed = bool(match[2])
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


def _scan(stage: StageData, file: Path, refused: dict[str, str], *, replace_blocks: bool) -> None:
    try:
        with SlogReader(open_plain(file, buffering=0)) as reader:
            stage.scanned, records = scan_file(reader, census=True)
    except NotSlogError as error:
        refused[file.name] = error.message
        return
    except NotPlainError as error:
        refused[file.name] = str(error.strerror).removeprefix("it ")
        return
    if not replace_blocks or not records:
        return
    rows = BlockRows(stage.times.stage)
    ready, shutdown = stage.times.get("chain_ready_at"), stage.times.get("shutdown_at")
    made = [rows.row(record, chain_ready_at=ready, shutdown_at=shutdown) for record in records]
    if stage.scanned.anomalies["corrupt-archive"]:
        made = _with_lost(made, stage.blocks)
    stage.blocks = made
    stage.blocks_from = file.name


def _with_lost(made: list[Row], written: list[Row]) -> list[Row]:
    """The rows of a damaged slog, and the rows written during the run of what it has lost."""
    whole = {row["blockHeight"] for row in written if "endFinishAt" in row}
    kept = [row for row in made if "endFinishAt" in row or row["blockHeight"] not in whole]
    known = {row["blockHeight"] for row in kept}
    return kept + [row for row in written if row["blockHeight"] not in known]


def _events(folder: RunFolder) -> dict[int, list[Row]]:
    """The load's events by stage; of a killed run, also those that were not copied yet."""
    events: dict[int, list[Row]] = defaultdict(list)
    for event in folder.events():
        number = event.get("stage")
        if isinstance(number, int):
            events[number].append(event)
    for file in sorted((folder.path / _SHARED).glob("events-stage-*.jsonl")):
        stage = stage_number(file.stem.rpartition("-")[2])
        if stage is None:
            continue
        left = list(folder.rows(f"{_SHARED}/{file.name}"))
        if len(left) > len(events.get(stage, ())):
            events[stage] = left
    return events


def _add_load_windows(
    folder: RunFolder, stages: dict[int, StageData], events: Mapping[int, list[Row]]
) -> None:
    """When the load was on, by events of the load service if perf.jsonl does not have it."""
    alone = {spec.get("index") for spec in planned_stages(folder.run) if spec.get("chain_only")}
    for number, found in events.items():
        stage = stages.get(number)
        if stage is None or number in alone or stage.times.get("load_started_at") is not None:
            continue
        changes = [
            (event["time"], bool(event.get("config")))
            for event in found
            if event.get("type") == "config" and isinstance(event.get("time"), int | float)
        ]
        on = [at for at, loaded in changes if loaded]
        if on:
            stage.times.at["load_started_at"] = on[0]
            if not changes[-1][1]:
                stage.times.at["load_finished_at"] = changes[-1][0]


def _add_cycles(
    folder: RunFolder,
    stages: dict[int, StageData],
    events: Mapping[int, list[Row]],
    *,
    regen: bool,
) -> None:
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in folder.cycles():
        number = row.get("stage")
        if isinstance(number, int):
            rows[number].append(row)
    for number in sorted({*events, *rows}):
        stage = stages.setdefault(number, StageData(StageTimes(number)))
        from_events, stage.missed = cycles_of_events(events.get(number, ()), number)
        stage.cycles = _cycles(rows.get(number, []), from_events, regen=regen)


def _cycles(written: list[Row], raw: list[Row], *, regen: bool) -> list[Row]:
    """The rows as written, and more from the raw records; with `regen` only these, if any."""
    if regen and raw:
        return raw
    known = {(row.get("task"), row.get("seq")) for row in written}
    return written + [row for row in raw if (row["task"], row["seq"]) not in known]


def _add_finish_stats(
    stats: Mapping[str, Any], stages: dict[int, StageData], *, regen: bool
) -> int:
    """The original keeps its cycles and the stages' options only in perf-finish.

    Returns how many of its cycles and blocks are damaged.
    """
    lost = 0
    for key, value in mapping_of(stats.get("stages")).items():
        number = stage_number(str(key))
        if number is None or not isinstance(value, Mapping):
            continue
        stage = stages.setdefault(number, StageData(StageTimes(number)))
        config = value.get("stageConfig")
        if isinstance(config, dict) and not stage.times.config:
            stage.times.config = config
        cycles, blocks = (
            original_folder.cycle_rows(value),
            original_folder.block_rows(value, number),
        )
        lost += len(mapping_of(value.get("cycles"))) - len(cycles)
        lost += len(mapping_of(value.get("blocks"))) - len(blocks)
        stage.cycles = _cycles(stage.cycles, cycles, regen=regen)
        if not stage.blocks:
            stage.blocks = blocks
            stage.blocks_from = _IN_PERF_FINISH if stage.blocks else None
    return lost
