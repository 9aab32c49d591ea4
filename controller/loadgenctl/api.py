"""Results of runs for notebooks and scripts (docs/api.md); neither Docker nor a terminal is needed.

from loadgenctl import api

run = api.open_run("results/run-1795529284")
run.stats().stages[1].blocks["live"].metrics["block_duration_s"].p95
api.frames("results/run-1", "results/run-2").blocks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgenctl.records.reader import RunFolder
from loadgenctl.reports.parquet import frame, load_polars
from loadgenctl.stats.columnar import tables
from loadgenctl.stats.summary import summarize

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Blocks", "Cycles", "Frames", "Run", "Spread", "Stage", "Stats", "frames", "open_run"]


@dataclass(frozen=True, slots=True)
class Spread:
    """One quantity of many blocks or cycles, in the unit that its name has."""

    count: int
    avg: float
    p50: float
    p95: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Blocks:
    """A group of blocks: `all`, `last100`, `live`, `catch_up` or `loaded` (docs/slog.md)."""

    block_count: int
    start_block_height: int
    end_block_height: int
    metrics: Mapping[str, Spread]
    """By name, e.g. `block_duration_s`; without those that no block has."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """The cycles of one task, or of all tasks."""

    cycle_count: int
    """Finished cycles: `succeeded` and `failed`."""
    succeeded: int
    failed: int
    unfinished: int
    missed: int
    metrics: Mapping[str, Spread]
    """`duration_s`, `latency_s` and `block_count` of successful cycles, as far as known."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    stage: int
    kind: str
    """`load` or `chain-only`."""
    finished: bool
    durations: Mapping[str, float]
    """Seconds by name, e.g. `chain_ready_s`; without those that are not known."""
    blocks: Mapping[str, Blocks]
    """By group; a group without blocks is absent."""
    cycles: Mapping[str, Cycles]
    """By task, and `all`; empty without cycles."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a run measured."""

    outcome: str | None
    """As in status.json, or `killed`; None for folders of the original load generator."""
    stages: tuple[Stage, ...]
    live_blocks: Blocks | None
    """The live blocks of all stages; None without any."""
    cycles: Mapping[str, Cycles]
    """The cycles of all stages, by task, and `all`."""
    summary: Mapping[str, Any]
    """The document of summary.json, with everything else: vats, resources, growth."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Tables of one or several runs; the columns are those of `loadgenctl stats --parquet`."""

    blocks: pl.DataFrame
    cycles: pl.DataFrame
    samples: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Run:
    """A results folder, of a finished, running or killed run."""

    path: Path
    document: Mapping[str, Any]
    """run.json; empty for folders of the original load generator."""

    def stats(self, *, slogs: bool = True) -> Stats:
        """Compute the numbers from the records as they are now.

        Without `slogs` no slog is read where blocks.jsonl has the blocks; the summary then lacks
        vats and replay. Raises `OutputFolderError` if a file cannot be read.
        """
        return _stats(summarize(self.path, slogs=slogs))

    def frames(self) -> Frames:
        """The run's tables; see `frames`."""
        return frames(self.path)


def open_run(folder: str | Path) -> Run:
    """Open a results folder. Raises `OutputFolderError` if it holds no run that can be read."""
    found = RunFolder(Path(folder))
    return Run(found.path, found.run)


def frames(*folders: str | Path) -> Frames:
    """Blocks, cycles and samples of the folders as polars frames, one run after the other.

    The column `run` is the folder's name. Needs polars (`pip install 'loadgenctl[parquet]'`) and
    raises `UsageError` without it; `OutputFolderError` for a folder that holds no run.
    """
    polars = load_polars()
    return Frames(*(frame(table, polars) for table in tables([Path(name) for name in folders])))


def _stats(summary: Mapping[str, Any]) -> Stats:
    totals = summary["totals"]
    live = totals.get("live_blocks")
    return Stats(
        outcome=summary["run"].get("outcome"),
        stages=tuple(_stage(row) for row in summary["stages"]),
        live_blocks=None if live is None else _blocks(live),
        cycles={task: _cycles(row) for task, row in totals["cycles"].items()},
        summary=summary,
    )


def _stage(row: Mapping[str, Any]) -> Stage:
    return Stage(
        stage=row["stage"],
        kind=row["kind"],
        finished=row["finished"],
        durations=row["durations"],
        blocks={group: _blocks(found) for group, found in row["blocks"].items()},
        cycles={task: _cycles(found) for task, found in row["cycles"].items()},
    )


def _blocks(row: Mapping[str, Any]) -> Blocks:
    return Blocks(
        row["block_count"], row["start_block_height"], row["end_block_height"], _spreads(row)
    )


def _cycles(row: Mapping[str, Any]) -> Cycles:
    counts = {name: row[name] for name in Cycles.__dataclass_fields__ if name != "metrics"}
    return Cycles(**counts, metrics=_spreads(row))


def _spreads(row: Mapping[str, Any]) -> dict[str, Spread]:
    """Those of the row's values that are spreads; `offers` is deeper and stays in the summary."""
    fields = set(Spread.__dataclass_fields__)
    return {
        name: Spread(**value)
        for name, value in row.items()
        if isinstance(value, Mapping) and set(value) == fields
    }
