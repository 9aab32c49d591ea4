"""Reads samples, cycles and blocks from the original load generator's perf.jsonl.

Its folders have no samples.jsonl and no events: processes and storage are events of perf.jsonl, and
cycles (and the blocks again) are in the `stats` of its perf-finish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from loadgenctl.records import columns
from loadgenctl.records.schema import sample_row
from loadgenctl.records.shape import BLOCK, CYCLE, is_number, mapping_of, well_formed
from loadgenctl.slog.block_rows import BLOCK_FIELDS
from loadgenctl.stats.numbers import rounded

Row = Mapping[str, Any]

_USAGE: Final[Mapping[str, str]] = {
    usage.name: column.name
    for column in columns.PROCESS
    for usage in columns.USAGE
    if usage.mark == column.name
}
"""The original's name → the column of samples.jsonl, in the order of the latter."""
_ROUND_S: Final = 10.0
"""Longest time in s that reading all processes may take; rounds are minutes apart."""
_NOT_STATE: Final = frozenset({"flight-recorder.bin"})
"""Files that the sum leaves out, as the agent does."""
_TOTALS: Final = columns.names(columns.VATS)[1:]


def samples_of_perf(rows: Iterable[Row], time_origin: float) -> Iterator[dict[str, Any]]:
    """Rows as in samples.jsonl, `source` being `original`.

    Processes that were read together also make a row of `vats`, with the columns that all of them
    have.
    """
    together: list[dict[str, Any]] = []
    for row in rows:
        kind, at = row.get("type"), row.get("timestamp")
        if not isinstance(at, int | float):
            continue
        time = rounded(time_origin + at)
        if kind == "perf-chain-process-usage":
            sample = _process(row, time)
            if together and not _belongs(sample, together):
                yield _vats(together)
                together = []
            if sample["subject"] != "kernel":
                together.append(sample)
            yield sample
        elif kind == "perf-chain-storage-usage":
            yield from _storage(row, time)
    if together:
        yield _vats(together)


def _belongs(sample: dict[str, Any], together: list[dict[str, Any]]) -> bool:
    """True if a process was read in the same round, in which each is read once."""
    first = together[0]
    return (
        sample["stage"] == first["stage"]
        and abs(sample["time"] - first["time"]) <= _ROUND_S
        and all(sample["subject"] != other["subject"] for other in together)
    )


def _sample(
    row: Row, time: float, kind: str, subject: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    return sample_row(
        time, row.get("stage"), "original", kind, subject, values, name=row.get("name")
    )


def _process(row: Row, time: float) -> dict[str, Any]:
    kernel = row.get("processType") == "kernel"
    values = {
        name: row[field]
        for field, name in _USAGE.items()
        if field in row and (row[field] is None or is_number(row[field]))
    }
    return _sample(row, time, "process", "kernel" if kernel else str(row.get("vatID")), values)


def _vats(workers: list[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {"workers": len(workers)}
    for name in _TOTALS:
        parts = [worker.get(name) for worker in workers]
        known = [part for part in parts if part is not None]
        values[name] = rounded(sum(known)) if len(known) == len(parts) else None
    first = {"stage": workers[0]["stage"]}
    return _sample(first, workers[0]["time"], "process", "vats", values)


def _storage(row: Row, time: float) -> Iterator[dict[str, Any]]:
    files = mapping_of(row.get("chain"))
    sizes = {str(name): size for name, size in files.items() if is_number(size)}
    if sizes:
        state = (size for name, size in sizes.items() if name.rpartition("/")[2] not in _NOT_STATE)
        yield _sample(row, time, "storage", ".", {"disk_kib": sum(state)})
    for name, size in sizes.items():
        yield _sample(row, time, "storage", name, {"disk_kib": size})


def cycle_rows(stage: Row) -> list[dict[str, Any]]:
    """The cycles of one of perf-finish's stages, as rows of cycles.jsonl but for the stage.

    Damaged cycles are left out.
    """
    rows: list[dict[str, Any]] = []
    for cycle in mapping_of(stage.get("cycles")).values():
        if not isinstance(cycle, Mapping):
            continue
        start, finish = cycle.get("startedAt"), cycle.get("endedAt")
        row: dict[str, Any] = {
            "task": cycle.get("task"),
            "seq": cycle.get("seq"),
            "intended_start": start,
            "start": start,
        }
        if not well_formed({"stage": 0, **row, "finish": finish}, CYCLE):
            continue
        if start is not None and finish is not None:
            row |= {
                "finish": finish,
                "duration_s": rounded(finish - start),
                "latency_s": rounded(finish - start),
                "success": cycle.get("success") is True,
                "error": None if cycle.get("success") is True else "no reason given",
            }
        rows.append(row)
    return rows


def block_rows(stage: Row, number: int) -> list[dict[str, Any]]:
    """The blocks of one of perf-finish's stages, as rows of blocks.jsonl, by height.

    Damaged blocks are left out.
    """
    found = [
        {"stage": number, **{name: block[name] for name in BLOCK_FIELDS if name in block}}
        for block in mapping_of(stage.get("blocks")).values()
        if isinstance(block, Mapping)
    ]
    whole = [row for row in found if well_formed(row, BLOCK) and "beginAt" in row]
    return sorted(whole, key=lambda row: int(row["blockHeight"]))
