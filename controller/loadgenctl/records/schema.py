"""Names of the files of a results folder, and of what a run can end as.

Files (docs/results.md):

    run.json        what was run and on what; written first, never changed
    status.json     state of the run; replaced atomically
    perf.jsonl      the original's event log (`timestamp`, `stage`, `elapsed`, `type`, …)
    events.jsonl    the load service's events, with `stage`
    blocks.jsonl    one row per block
    cycles.jsonl    one row per finished cycle
    samples.jsonl   samples of containers, processes and storage
    summary.json    everything computed

Names of columns carry units; a missing value is null, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from loadgenctl.records import columns

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
"""`killed` is never written: readers report it if the process of a running run is gone. The sweep
then writes `interrupted`, see `records.mark_interrupted`."""


def slog_name(role: str, stage: int, codec: str) -> str:
    """`chain-stage-1.slog.gz`; the solo's role is `client`, as in the original."""
    return f"{role}-stage-{stage}.slog.{'gz' if codec == 'gzip' else 'zst'}"


def set_aside(name: str, attempt: int) -> str:
    """`chain-stage-1.attempt-2.slog.gz`: left by an attempt whose stage another one ran."""
    head, dot, rest = name.partition(".")
    return f"{head}.attempt-{attempt}{dot}{rest}"


def storage_name(role: str, stage: int) -> str:
    """`chain-storage-stage-1.tar.zst`."""
    return f"{role}-storage-stage-{stage}.tar.zst"


_IDENTITY: Final = columns.names(columns.SAMPLE)[:-1]


def sample_row(
    time: float,
    stage: object,
    source: str,
    kind: str,
    subject: str,
    values: Mapping[str, Any],
    *,
    role: str = "chain",
    name: object = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """One reading of one thing, as a row of samples.jsonl: `columns.SAMPLE` around the values.

    `time` is in epoch seconds; `reason` says why values are missing.
    """
    identity = (time, stage, source, kind, role, subject, name)
    return {**dict(zip(_IDENTITY, identity, strict=True)), **values, "reason": reason}
