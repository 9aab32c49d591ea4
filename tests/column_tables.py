"""Columns in the docs and in rows: `python -m tests.column_tables` writes the tables.

A table is between `<!-- columns: NAME -->` and `<!-- end of columns -->`; NAME is one of
`loadgenctl.records.columns`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadgenctl.records import columns, schema
from loadgenctl.records.columns import Column, names
from loadgenctl.records.reader import RunFolder

PAGES: Final = tuple(
    Path(__file__).parents[1] / "docs" / name for name in ("results.md", "slog.md")
)
_PLACE: Final = re.compile(r"(<!-- columns: (\w+) -->\n).*?(<!-- end of columns -->)", re.DOTALL)
_MARKS: Final = {"FIGURE": "first SDK", "USAGE": "in samples.jsonl"}
_SAMPLES: Final = (
    *(columns.SAMPLE, columns.CONTAINER, columns.PROCESS, columns.VATS, columns.AGENT),
    *(columns.CONTROLLER, columns.STORAGE),
)
_ROWS: Final = {
    schema.PERF: names(columns.PERF, columns.USAGE),
    schema.EVENTS: names(columns.EVENT),
    schema.BLOCKS: names(columns.BLOCK, columns.FIGURE),
    schema.CYCLES: names(columns.CYCLE),
    schema.SAMPLES: names(*_SAMPLES),
}
_UNREAD: Final = {
    schema.PERF: ("cpuTimeOffset", "duration", "reset", "success", "withMonitor"),
    schema.EVENTS: (
        "code",
        "config",
        "detail",
        "driver",
        "error",
        "expected",
        "reason",
        "simulated",
    ),
}
"""Keys that nothing reads by their names."""
_KEYS: Final = frozenset({"RUN", "STATUS", "PERF", "USAGE"})


def with_tables(page: str) -> str:
    """The page with all its tables made from the description of columns."""
    return _PLACE.sub(lambda found: f"{found[1]}\n{_table(found[2])}\n{found[3]}", page)


def undescribed(folder: Path) -> dict[str, set[str]]:
    """Keys in the rows of a run that are no columns, by file; damaged rows count as `damage`."""
    run = RunFolder(folder)
    found: dict[str, set[str]] = {}
    for file, known in _ROWS.items():
        keys = {key for row in run.rows(file) for key in row} - {*known, *_UNREAD.get(file, ())}
        keys |= {"damage"} if run.damage[file].unreadable else set()
        if keys:
            found[file] = keys
    return found


def _table(name: str) -> str:
    described: Sequence[Column] = getattr(columns, name)
    marked = any(column.mark for column in described)
    head = ["key" if name in _KEYS else "column", "unit"]
    rows = [[f"`{column.name}`", column.unit] for column in described]
    if marked:
        head.append(_MARKS.get(name, ""))
        for row, column in zip(rows, described, strict=True):
            row.append(f"`{column.mark}`" if name == "USAGE" else column.mark.replace("*", r"\*"))
    head.append("meaning")
    for row, column in zip(rows, described, strict=True):
        row.append(column.meaning)
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
