"""Puts the tables of columns into docs/results.md: `python -m tests.column_tables`.

A table is between `<!-- columns: NAME -->` and `<!-- end of columns -->`; NAME is one of
`loadgenctl.records.columns`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadgenctl.records import columns
from loadgenctl.records.columns import Column

PAGE: Final = Path(__file__).parents[1] / "docs" / "results.md"
_PLACE: Final = re.compile(r"(<!-- columns: (\w+) -->\n).*?(<!-- end of columns -->)", re.DOTALL)
_MARKS: Final = {"FIGURE": "first SDK", "USAGE": "in samples.jsonl"}
_KEYS: Final = frozenset({"RUN", "STATUS", "PERF", "USAGE"})


def with_tables(page: str) -> str:
    """The page with all its tables made from the description of columns."""
    return _PLACE.sub(lambda found: f"{found[1]}\n{_table(found[2])}\n{found[3]}", page)


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
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
