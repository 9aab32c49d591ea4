"""Tables as lines of text, for what is drawn every second: rich's own cost several times more.

Nothing here wraps. Words that are too long for their column are shortened, which is seen; numbers
never are: where there is no space, columns are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

Row = tuple[str | Text, ...]
"""A row's cells; a `Text` has one style, its own."""

GAP: Final = 3
"""Columns between two lists side by side."""
_HEAD: Final = "bold underline"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    head: str
    width: int
    """At least so wide, so that it does not move while its cells change."""
    most: int | None = None
    """Words, at the left and at most so wide; None: numbers, at the right and never cut."""
    rank: int = 0
    """Columns that are left out where there is no space, the highest rank first; 0: never."""


def lines_of(
    columns: Sequence[Column], rows: Sequence[Row], width: int | None = None
) -> list[Text]:
    """The line of the heads, and one for each row; of at most `width` columns, if ranks allow."""
    places, widths = list(range(len(columns))), _widths(columns, rows)
    while width is not None and sum(widths[place] + 1 for place in places) - 1 > width:
        least = max(places, key=lambda place: columns[place].rank)
        if columns[least].rank == 0:
            break
        places.remove(least)
    heads = tuple(Text(column.head, _HEAD) for column in columns)
    shown = [(columns[place], widths[place], place) for place in places]
    return [_line(shown, row) for row in (heads, *rows)]


def _widths(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    widths = []
    for place, column in enumerate(columns):
        widest = max([cell_len(column.head), *(cell_len(str(row[place])) for row in rows)])
        wanted = max(column.width, widest)
        widths.append(wanted if column.most is None else min(wanted, column.most))
    return widths


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two lists of lines side by side, the right one behind `width` columns and a gap."""
    lines = []
    for place in range(max(len(left), len(right))):
        line = left[place].copy() if place < len(left) else Text()
        if place < len(right):
            line.truncate(width, overflow="ellipsis", pad=True)
            line.append(" " * GAP).append_text(right[place])
        lines.append(line)
    return lines


def page(lines: Sequence[Text], width: int) -> Text:
    """The lines as one text that needs no wrapping."""
    for line in lines:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _line(shown: Sequence[tuple[Column, int, int]], row: Row) -> Text:
    """The cells of a row; of each column that is shown, its width and its place in the row."""
    line = Text()
    for column, width, place in shown:
        if line:
            line.append(" ")
        cell = row[place]
        text, style = (cell.plain, cell.style) if isinstance(cell, Text) else (cell, "")
        line.append(_cut(text, width) if column.most else _right(text, width), style)
    return line


def _cut(text: str, width: int) -> str:
    """Exactly `width` columns of a terminal; some characters take two of them."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text
