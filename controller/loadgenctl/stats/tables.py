"""Blocks, cycles and samples of runs as tables with fixed columns, for other programs.

Columns, their order and their types are the same whatever a run recorded, so that tables of many
runs can be put together. What a record has beyond them comes behind them. Units: docs/results.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from loadgenctl.records.offers import FIELDS
from loadgenctl.slog.blocks import BOOTSTRAP, FIGURES
from loadgenctl.stats import source

Kind = Literal["text", "whole", "number", "truth", "numbers", "wholes"]
"""Of a column; the last two are lists of numbers."""
Row = Mapping[str, Any]

_RUN: Final[Mapping[str, Kind]] = {"run": "text", "stage": "whole"}

BLOCKS: Final[Mapping[str, Kind]] = {
    **_RUN,
    "blockHeight": "whole",
    "blockTime": "number",
    "liveMode": "truth",
    "beforeShutdown": "truth",
    "beginAt": "number",
    "endStartAt": "number",
    "endFinishAt": "number",
    "slogLines": "whole",
    "deliveries": "whole",
    "firstCrankNum": "whole",
    "lastCrankNum": "whole",
    "computrons": "whole",
    "lag": "number",
    "blockDuration": "number",
    "chainBlockDuration": "number",
    "idleTime": "number",
    "cosmosTime": "number",
    "swingsetTime": "number",
    "processingTime": "number",
    "swingsetPercentage": "number",
    "processingPercentage": "number",
    BOOTSTRAP: "truth",
    **{name: "number" if unit == "seconds" else "whole" for name, unit in FIGURES.items()},
}
CYCLES: Final[Mapping[str, Kind]] = {
    **_RUN,
    "task": "text",
    "seq": "whole",
    "intended_start": "number",
    "start": "number",
    "finish": "number",
    "duration_s": "number",
    "latency_s": "number",
    "success": "truth",
    "error": "text",
    **dict(FIELDS.values()),
}
SAMPLES: Final[Mapping[str, Kind]] = {
    "run": "text",
    "time": "number",
    "stage": "whole",
    "source": "text",
    "kind": "text",
    "role": "text",
    "subject": "text",
    "name": "text",
    "epoch": "whole",
    "cpu_total_s": "number",
    "cpu_user_s": "number",
    "cpu_system_s": "number",
    "cpu_periods": "whole",
    "cpu_throttled_periods": "whole",
    "cpu_throttled_s": "number",
    "memory_bytes": "whole",
    "memory_usage_bytes": "whole",
    "memory_cache_bytes": "whole",
    "memory_peak_bytes": "whole",
    "memory_limit_bytes": "whole",
    "network_rx_bytes": "whole",
    "network_tx_bytes": "whole",
    "block_read_bytes": "whole",
    "block_write_bytes": "whole",
    "pids": "whole",
    "pid": "whole",
    "created_at": "number",
    "age_s": "number",
    "threads": "whole",
    "cpu_children_user_s": "number",
    "cpu_children_system_s": "number",
    "io_wait_s": "number",
    "memory_rss_kib": "number",
    "memory_peak_rss_kib": "number",
    "memory_vms_kib": "number",
    "memory_peak_vms_kib": "number",
    "memory_anon_kib": "number",
    "memory_file_kib": "number",
    "memory_shmem_kib": "number",
    "memory_data_kib": "number",
    "memory_stack_kib": "number",
    "memory_code_kib": "number",
    "memory_libraries_kib": "number",
    "memory_page_tables_kib": "number",
    "memory_swap_kib": "number",
    "fds": "whole",
    "io_read_bytes": "whole",
    "io_write_bytes": "whole",
    "workers": "whole",
    "cpu_s": "number",
    "took_s": "number",
    "disk_kib": "number",
    "reason": "text",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns of equal length; None where a value is not known."""

    name: str
    kinds: Mapping[str, Kind]
    columns: Mapping[str, Sequence[Any]]


def tables(folders: Sequence[Path]) -> list[Table]:
    """`blocks`, `cycles` and `samples` of the runs, one after the other.

    Cycles without an end are there too, without `finish`. Raises `OutputFolderError`.
    """
    blocks: list[Row] = []
    cycles: list[Row] = []
    samples: list[Row] = []
    for folder in folders:
        data = source.load(folder.resolve(), slogs=False)
        run = {"run": data.folder.path.name}
        for number, stage in data.stages.items():
            blocks += (run | {"stage": number} | row for row in stage.blocks)
            cycles += (run | {"stage": number} | row for row in stage.cycles)
        samples += (run | row for row in data.samples())
    return [
        make_table("blocks", BLOCKS, blocks),
        make_table("cycles", CYCLES, cycles),
        make_table("samples", SAMPLES, samples),
    ]


def make_table(name: str, known: Mapping[str, Kind], rows: Sequence[Row]) -> Table:
    """Rows to columns; a value that is not of its column's kind becomes None."""
    kinds = dict(known)
    for key in dict.fromkeys(key for row in rows for key in row if key not in known):
        kinds[key] = _kind_of(row.get(key) for row in rows)
    columns = {key: list(_column(rows, key, kind)) for key, kind in kinds.items()}
    return Table(name, kinds, columns)


def _kind_of(values: Iterable[object]) -> Kind:
    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return "truth"
    if types == {int}:
        return "whole"
    return "number" if types and types <= {int, float} else "text"


def _column(rows: Iterable[Row], key: str, kind: Kind) -> Iterator[Any]:
    for row in rows:
        value = row.get(key)
        if value is None:
            yield None
        elif kind == "text":
            yield str(value)
        elif kind == "truth":
            yield value if isinstance(value, bool) else None
        elif kind == "numbers" or kind == "wholes":
            yield _list(value, "number" if kind == "numbers" else "whole")
        else:
            yield _numeric(value, kind)


def _list(value: object, kind: Kind) -> list[float | int | None] | None:
    return [_numeric(item, kind) for item in value] if isinstance(value, list) else None


def _numeric(value: object, kind: Kind) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "number":
        return float(value)
    whole = int(value) if float(value).is_integer() else None
    return whole if whole is not None and abs(whole) < 1 << 63 else None
