"""Computes the computed files of a folder again from its raw records; pure, writes nothing.

The same folder gives the same bytes every time, also after its files were replaced by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl.records import schema
from loadgenctl.records.encode import document_bytes, row_bytes
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.superseded import ATTEMPT, FIRST
from loadgenctl.stats import read_run
from loadgenctl.stats.summary import RunSummary, summarize_data

Row = Mapping[str, Any]
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class RowChange:
    """How the rows of a file differ from its present rows."""

    rows: int
    added: int = 0
    changed: int = 0
    gone: int = 0
    damaged: int = 0
    """Lines of the old file that could not be read."""

    @property
    def any(self) -> bool:
        """True if something differs."""
        return bool(self.added or self.changed or self.gone or self.damaged)


@dataclass(frozen=True, slots=True)
class Regenerated:
    """The result of computing a folder again."""

    folder: Path
    content: Mapping[str, bytes]
    """The computed files by name; without a file that has no rows and did not exist."""
    rows: Mapping[str, RowChange]
    """By file of rows."""
    sections: tuple[str, ...]
    """The parts of summary.json that differ; all parts if there was no summary."""
    refused: Mapping[str, str]
    """Slogs that were not read, and why."""


def regenerate(path: Path) -> Regenerated:
    """Compute blocks.jsonl, cycles.jsonl and summary.json. Raises `OutputFolderError`."""
    # The summary has the name of the folder itself, not of a link to it.
    path = path.resolve()
    before = RunFolder(path)
    data = read_run.load(path, regen=True)
    tables = {schema.BLOCKS: _blocks(data), schema.CYCLES: _cycles(data)}
    changes = {
        schema.BLOCKS: _compare(before, schema.BLOCKS, tables, _block_key),
        schema.CYCLES: _compare(before, schema.CYCLES, tables, _cycle_key),
    }
    summary = _summary(data)
    content = {
        name: b"".join(_as_written(row, data) for row in rows)
        for name, rows in tables.items()
        if rows or (path / name).exists()
    }
    content[schema.SUMMARY] = document_bytes(summary)
    return Regenerated(
        path, content, changes, _sections(data.folder.summary, summary), data.refused
    )


def _blocks(data: read_run.RunData) -> list[Row]:
    return [
        {"stage": number, **row} for number, stage in data.stages.items() for row in stage.blocks
    ]


def _cycles(data: read_run.RunData) -> list[Row]:
    """The finished ones, as during a run."""
    return [
        {"stage": number, **row}
        for number, stage in data.stages.items()
        for row in stage.cycles
        if isinstance(row.get("success"), bool)
    ]


def _as_written(row: Row, data: read_run.RunData) -> bytes:
    """A row's line; in a stage of a later attempt with the attempt, or it would not count."""
    attempt = data.stages[row["stage"]].attempt
    return row_bytes(row if attempt == FIRST else {**row, ATTEMPT: attempt})


def _summary(data: read_run.RunData) -> RunSummary:
    # The files that are replaced have no damage any more.
    for name in (schema.BLOCKS, schema.CYCLES, schema.SUMMARY):
        data.folder.damage.pop(name, None)
    return summarize_data(data)


def _compare(
    folder: RunFolder, name: str, new: Mapping[str, Sequence[Row]], key: Callable[[Row], Key]
) -> RowChange:
    before, after = _by_key(folder.rows(name), key), _by_key(new[name], key)
    damage = folder.damage[name]
    return RowChange(
        rows=len(new[name]),
        added=len(after.keys() - before.keys()),
        changed=sum(after[name] != row for name, row in before.items() if name in after),
        gone=len(before.keys() - after.keys()),
        damaged=damage.torn + damage.unreadable,
    )


def _by_key(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, Row]:
    seen: Counter[Key] = Counter()
    found: dict[Key, Row] = {}
    for row in rows:
        name = key(row)
        # The same height, or the same number of a cycle, may be there twice.
        found[(*name, seen[name])] = row
        seen[name] += 1
    return found


def _block_key(row: Row) -> Key:
    return (str(row.get("stage")), str(row.get("blockHeight")))


def _cycle_key(row: Row) -> Key:
    return (str(row.get("stage")), str(row.get("task")), str(row.get("seq")))


def _sections(old: Row, new: RunSummary) -> tuple[str, ...]:
    names = (*new, *sorted(old.keys() - new.keys()))
    return tuple(name for name in names if old.get(name) != new.get(name))
