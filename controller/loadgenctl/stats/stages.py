"""The events of each stage from perf.jsonl: when they happened, and the time between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from loadgenctl.stats.numbers import rounded

Row = Mapping[str, Any]
LoadPhase = Literal["before", "loaded", "after"]

_MARKS: Final[Mapping[str, str]] = {
    "perf-stage-start": "started_at",
    "perf-run-chain-start": "chain_run_at",
    "perf-run-chain-finish": "chain_started_at",
    "perf-chain-first-init-start": "bootstrap_started_at",
    "perf-chain-first-init-finish": "bootstrap_finished_at",
    "perf-chain-ready": "chain_ready_at",
    "perf-stage-first-block": "first_block_at",
    "perf-stage-first-empty-block": "first_empty_block_at",
    "perf-run-client-start": "client_started_at",
    "perf-client-ready": "client_ready_at",
    "perf-run-loadgen-start": "loadgen_started_at",
    "perf-loadgen-ready": "loadgen_ready_at",
    "perf-load-start": "load_started_at",
    "perf-stage-ready": "ready_at",
    "perf-load-finish": "load_finished_at",
    "perf-stage-shutdown": "shutdown_at",
    "perf-loadgen-stopped": "loadgen_stopped_at",
    "perf-client-stopped": "client_stopped_at",
    "perf-chain-stopping": "chain_stopping_at",
    "perf-chain-stopped": "chain_stopped_at",
    "perf-stage-finish": "finished_at",
}

_DURATIONS: Final = (
    ("duration_s", "started_at", "finished_at"),
    ("chain_ready_s", "chain_run_at", "chain_ready_at"),
    ("first_block_s", "chain_run_at", "first_block_at"),
    ("first_empty_block_s", "chain_run_at", "first_empty_block_at"),
    ("client_ready_s", "client_started_at", "client_ready_at"),
    ("loadgen_ready_s", "loadgen_started_at", "loadgen_ready_at"),
    ("stage_ready_s", "started_at", "ready_at"),
    ("held_s", "ready_at", "shutdown_at"),
    ("loaded_s", "load_started_at", "load_finished_at"),
    ("shutdown_s", "shutdown_at", "chain_stopped_at"),
    ("chain_stop_s", "chain_stopping_at", "chain_stopped_at"),
)
"""Name, from, to. `docs/slog.md` says what each means."""


@dataclass(slots=True)
class StageTimes:
    """The times of one stage's events by name, in epoch seconds; other events are absent."""

    stage: int
    at: dict[str, float] = field(default_factory=dict)
    first_block_height: int | None = None
    first_empty_block_height: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    """The other fields of `perf-stage-start`."""
    loaded_blocks: dict[str, int] = field(default_factory=dict)
    """Height of the last block that had ended when the load began (`load_started_at`) and when it
    was turned off (`load_finished_at`), if known.
    """

    def get(self, name: str) -> float | None:
        """The time of `name` (e.g. `chain_ready_at`); None if it did not happen."""
        return self.at.get(name)

    def load_phase(self, row: Row) -> LoadPhase | None:
        """Where a block is relative to the loaded window (docs/slog.md); None without load.

        Compares heights if perf.jsonl has them, because a clock that is set cannot change them;
        else the time at which the block began.
        """
        if "load_started_at" not in self.at:
            return None
        for marks, value in (
            (self.loaded_blocks, row.get("blockHeight")),
            (self.at, row.get("beginAt")),
        ):
            start, end = marks.get("load_started_at"), marks.get("load_finished_at")
            if start is None or not isinstance(value, int | float):
                continue
            # A height is that of the last block before the change, a time that of the change.
            if value < start or (value == start and marks is self.loaded_blocks):
                return "before"
            return "after" if end is not None and value > end else "loaded"
        return None

    def span(self, start: str, end: str) -> float | int | None:
        """Seconds between two events; None if one is missing."""
        if start not in self.at or end not in self.at:
            return None
        return rounded(self.at[end] - self.at[start])

    def durations(self) -> dict[str, float | int]:
        """All durations that are known, in seconds."""
        spans = ((name, self.span(start, end)) for name, start, end in _DURATIONS)
        return {name: span for name, span in spans if span is not None}


@dataclass(slots=True)
class PerfLog:
    """The content of a perf.jsonl."""

    time_origin: float = 0.0
    """Epoch seconds of timestamp 0."""
    stages: dict[int, StageTimes] = field(default_factory=dict)
    started_at: float | None = None
    last_at: float | None = None
    finished_at: float | None = None
    finish_stats: dict[str, Any] | None = None
    """`stats` of perf-finish."""

    def stage(self, number: int) -> StageTimes:
        """The times of a stage; they are empty if the log has no events of it."""
        if number not in self.stages:
            self.stages[number] = StageTimes(number)
        return self.stages[number]


def read_perf(rows: Iterable[Row]) -> PerfLog:
    """Collect the events of perf.jsonl; unknown types and damaged rows are skipped."""
    log = PerfLog()
    for row in rows:
        kind, timestamp = row.get("type"), row.get("timestamp")
        if not isinstance(kind, str) or not isinstance(timestamp, int | float):
            continue
        if kind == "perf-start":
            log.time_origin = float(row.get("timeOrigin") or 0.0)
        at = log.time_origin + timestamp
        if log.started_at is None:
            log.started_at = at
        log.last_at = at
        if kind == "perf-finish":
            log.finished_at = at
            stats = row.get("stats")
            log.finish_stats = stats if isinstance(stats, dict) else None
        stage = row.get("stage")
        if isinstance(stage, int) and stage >= 0:
            _note(log.stage(stage), kind, at, row)
    return log


def _note(times: StageTimes, kind: str, at: float, row: Row) -> None:
    name = _MARKS.get(kind)
    if name is None:
        return
    # If an event happened twice, the first time counts: a person would wait until then.
    times.at.setdefault(name, rounded(at))
    block = row.get("block")
    if name.startswith("load_") and isinstance(block, int):
        times.loaded_blocks.setdefault(name, block)
    if kind == "perf-stage-first-block" and isinstance(block, int):
        times.first_block_height = block
    elif kind == "perf-stage-first-empty-block" and isinstance(block, int):
        times.first_empty_block_height = block
    elif kind == "perf-stage-start":
        times.config = {
            key: value
            for key, value in row.items()
            if key not in {"timestamp", "stage", "elapsed", "type"}
        }
