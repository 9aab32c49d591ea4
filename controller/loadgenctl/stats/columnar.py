"""Blocks, cycles and samples of runs as tables with fixed columns, for other programs.

Columns, their order and their types do not depend on what a run recorded, so that tables of many
runs can be put together. Other columns of a record follow them. Units: docs/results.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from loadgenctl.records import columns
from loadgenctl.stats import read_run

Kind = Literal["text", "whole", "number", "truth", "numbers", "wholes"]
"""Of a column; the last two are lists of numbers."""
Row = Mapping[str, Any]

_KINDS: Final[Mapping[columns.Kind, Kind]] = {
    "text": "text",
    "whole": "whole",
    "stage": "whole",
    "number": "number",
    "time": "number",
    "truth": "truth",
    "times": "numbers",
    "wholes": "wholes",
}


def _kinds(*described: Iterable[columns.Column]) -> dict[str, Kind]:
    """The run, and columns by name; the first of a name gives its place."""
    kinds: dict[str, Kind] = {"run": "text"}
    return kinds | {each.name: _KINDS[each.kind] for table in described for each in table}


BLOCKS: Final = _kinds(columns.BLOCK, columns.FIGURE)
CYCLES: Final = _kinds(columns.CYCLE)
SAMPLES: Final = _kinds(
    columns.SAMPLE[:-1],
    columns.CONTAINER,
    columns.PROCESS,
    columns.VATS,
    columns.AGENT,
    columns.STORAGE,
    columns.SAMPLE[-1:],
)


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
        data = read_run.load(folder.resolve(), slogs=False)
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
