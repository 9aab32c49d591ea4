"""The rows of a results folder: names carry units, a missing value is null, never 0.

Files (see docs/results.md):

    run.json        what was run and on what; written first, never changed
    status.json     how it stands; replaced atomically
    perf.jsonl      the original's event log (`timestamp`, `stage`, `elapsed`, `type`, …)
    events.jsonl    the load service's events as they came, with `stage`
    blocks.jsonl    one row per block
    cycles.jsonl    one row per finished cycle
    samples.jsonl   tidy samples of containers, processes and storage
    summary.json    everything computed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

SCHEMA_VERSION = 1

RUN = "run.json"
STATUS = "status.json"
PERF = "perf.jsonl"
EVENTS = "events.jsonl"
BLOCKS = "blocks.jsonl"
CYCLES = "cycles.jsonl"
SAMPLES = "samples.jsonl"
SUMMARY = "summary.json"
LOG = "loadgenctl.log"
ROWS = (PERF, EVENTS, BLOCKS, CYCLES, SAMPLES)
"""The files of rows."""

Outcome = Literal[
    "running",
    "passed",
    "failed",
    "died",
    "out-of-memory",
    "timeout",
    "stalled",
    "interrupted",
    "error",
    "killed",
]
"""`killed` is never written: a reader finds it when the process of a running run is gone. The sweep
then writes `interrupted`, see `records.abandoned`."""


def slog_name(role: str, stage: int, codec: str) -> str:
    """`chain-stage-1.slog.gz`; role `client` for the solo, as the original's users know it."""
    return f"{role}-stage-{stage}.slog.{'gz' if codec == 'gzip' else 'zst'}"


def set_aside(name: str, attempt: int) -> str:
    """`chain-stage-1.attempt-2.slog.gz`: what an attempt left of a stage that counts no more."""
    head, dot, rest = name.partition(".")
    return f"{head}.attempt-{attempt}{dot}{rest}"


def storage_name(role: str, stage: int) -> str:
    """`chain-storage-stage-1.tar.zst`."""
    return f"{role}-storage-stage-{stage}.tar.zst"


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one thing; `reason` says why values are missing."""

    time: float
    """Epoch seconds of the reading."""
    stage: int
    source: str
    """`agent`, `controller`, or the kind of engine: `docker`, `local`."""
    kind: Literal["container", "process", "storage"]
    role: str
    """`chain`, `solo`, `loadgen`; `controller` for what measures them."""
    subject: str
    """Container: the role; process: `kernel`, `vats` (totals) or the vat id, `agent` and
    `controller`; storage: the path of a file below the storage folder, or `.` for all of it."""
    name: str | None
    """Vat name where known."""
    values: dict[str, Any]
    """Quantities by name with unit, e.g. `cpu_user_s`, `memory_rss_kib`, `disk_kib`."""
    reason: str | None = None

    def to_row(self) -> dict[str, Any]:
        """The flat row of samples.jsonl: identity, then the values as columns, then the reason."""
        return {
            "time": self.time,
            "stage": self.stage,
            "source": self.source,
            "kind": self.kind,
            "role": self.role,
            "subject": self.subject,
            "name": self.name,
            **self.values,
            "reason": self.reason,
        }
