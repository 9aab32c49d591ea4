"""Tables as lines of text that fit a width without breaking a word or a number.

What does not fit is arranged otherwise, in this order: heads of several lines, one column between
cells in place of two, shorter names, fewer columns (`Column.rank`), several tables one below the
other, and at last a line for each value. A line is wider than asked for only where one number, or
one word that is never shortened, is wider itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from loadgenctl.reports.words import MISSING

Cell = str | Text
"""A `Text` has one style, its own."""
Kind = Literal["number", "name", "whole"]

_INDENT: Final = "  "
_HEAD: Final = "bold"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    head: str
    """Broken between its words only."""
    kind: Kind = "number"
    """`number`: at the right, never broken. `name`: at the left, shortened where there is no
    space. `whole`: at the left and never shortened, for what a person may copy."""
    rank: int = 0
    """Above 0: left out where there is no space; the highest goes first."""
    joined: bool = False
    """Not separated from the column before it when a table is split."""
    least: int = 8
    """Columns of the terminal that a `name` keeps."""
    width: int = 0
    """At least so wide, so that it does not move while its cells change."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; strings in its cells are shown as they are."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    """As many cells each as there are columns."""
    keys: int = 1
    """The first columns, which are repeated where a table is split."""
    rule: bool = True
    """A line between heads and rows."""
    split: bool = True
    """False: rows that do not fit are written with a line for each value, never split."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Characters that not every output can show."""

    rule: str
    cut: str


UNICODE: Final = Marks("─", "…")
ASCII: Final = Marks("-", "~")


def marks_for(encoding: str) -> Marks:
    """The characters for an output of that encoding."""
    return UNICODE if encoding.lower().startswith("utf") else ASCII


def table_lines(table: Table, width: int | None, marks: Marks = UNICODE) -> list[Text]:
    """The table as lines of at most `width` columns, None: of any width. Title first, if any."""
    parts = _Arranging(table, width).parts()
    if parts is None:
        return [*_title(table.title, width), *_one_value_a_line(table, width or 0, marks)]
    lines: list[Text] = []
    for place, layout in enumerate(parts):
        title = f"{table.title}, continued" if place and table.title else table.title
        lines += [Text()] if place else []
        lines += [*_title(title, width), *layout.lines(marks, rule=table.rule)]
    return lines


def flowing(
    phrases: Sequence[str], width: int | None, style: str | Style = "", sep: str = ","
) -> list[Text]:
    """Phrases one after the other, indented, on as many lines as they need; none is broken."""
    lines: list[str] = []
    for place, phrase in enumerate(phrases):
        text = phrase + (sep if place < len(phrases) - 1 else "")
        longer = f"{lines[-1]} {text}" if lines else _INDENT + text
        if lines and width is not None and cell_len(longer) > width:
            lines.append(_INDENT * 2 + text)
        elif lines:
            lines[-1] = longer
        else:
            lines.append(longer)
    return [Text(line, style) for line in lines]


def wrapped(text: str, width: int | None, style: str | Style = "") -> list[Text]:
    """A sentence, indented, broken between words."""
    return flowing(text.split(" "), width, style, sep="")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Columns with their widths, and the cells in them."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    widths: Sequence[int]
    gap: int

    def lines(self, marks: Marks, *, rule: bool) -> list[Text]:
        heads = [
            _broken(column.head, width)
            for column, width in zip(self.columns, self.widths, strict=True)
        ]
        height = max(map(len, heads))
        # The last line of every head is next to its cells.
        heads = [[""] * (height - len(lines)) + lines for lines in heads]
        shown = [
            self._line([Text(lines[place], _HEAD) for lines in heads], marks)
            for place in range(height)
        ]
        if rule:
            shown.append(Text(marks.rule * _total(self.widths, self.gap)))
        return [*shown, *(self._line(row, marks) for row in self.rows)]

    def _line(self, row: Sequence[Cell], marks: Marks) -> Text:
        line = Text()
        for place, (column, width, cell) in enumerate(
            zip(self.columns, self.widths, row, strict=True)
        ):
            text, style = (cell.plain, cell.style) if isinstance(cell, Text) else (cell, "")
            space = " " * (width - cell_len(text))
            text = _cut(text, width, marks)
            line.append(" " * (self.gap if place else 0))
            if column.kind == "number":
                line.append(space).append(text, style)
            else:
                line.append(text, style).append(space)
        line.rstrip()
        return line


class _Arranging:
    """Looks for the columns, and their widths, that fit."""

    def __init__(self, table: Table, width: int | None) -> None:
        self._table = table
        self._width = width
        self._cells = [
            max((_size(row[place]) for row in table.rows), default=0)
            for place in range(len(table.columns))
        ]

    def parts(self) -> list[_Layout] | None:
        """One table or several below each other; None where that is not possible."""
        places = list(range(len(self._table.columns)))
        while True:
            layout = self._fitting(places)
            if layout is not None:
                return [layout]
            ranks = [self._table.columns[place].rank for place in places]
            if not any(ranks):
                return self._split(places) if self._table.split else None
            del places[ranks.index(max(ranks))]

    def _split(self, places: Sequence[int]) -> list[_Layout] | None:
        keys, parts = list(places[: self._table.keys]), []
        taken: list[int] = []
        found: _Layout | None = None
        for unit in self._units(keys, places[len(keys) :]):
            layout = self._fitting([*keys, *taken, *unit])
            if layout is None and found is not None:
                parts.append(found)
                taken = []
                layout = self._fitting([*keys, *unit])
            if layout is None:
                return None
            taken, found = [*taken, *unit], layout
        return None if found is None else [*parts, found]

    def _units(self, keys: Sequence[int], places: Sequence[int]) -> Iterator[list[int]]:
        """The columns that stay together, as far as they fit."""
        units: list[list[int]] = []
        for place in places:
            if units and self._table.columns[place].joined:
                units[-1].append(place)
            else:
                units.append([place])
        for unit in units:
            if self._fitting([*keys, *unit]) is None:
                yield from ([place] for place in unit)
            else:
                yield unit

    def _fitting(self, places: Sequence[int]) -> _Layout | None:
        """Some of the columns, arranged so that they fit; None if they cannot."""
        columns = [self._table.columns[place] for place in places]
        whole = [
            max(self._cells[place], cell_len(column.head), column.width)
            for place, column in zip(places, columns, strict=True)
        ]
        tight = [
            max(self._cells[place], *map(cell_len, column.head.split()), column.width)
            for place, column in zip(places, columns, strict=True)
        ]
        for gap, widths, shorten in (
            (2, whole, False),
            (2, tight, False),
            (1, tight, False),
            (2, tight, True),
            (1, tight, True),
        ):
            found = widths
            if shorten and self._width is not None:
                found = _shortened(columns, widths, _total(widths, gap) - self._width)
            if self._width is None or _total(found, gap) <= self._width:
                rows = [[row[place] for place in places] for row in self._table.rows]
                return _Layout(columns, rows, found, gap)
        return None


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _shortened(columns: Sequence[Column], widths: Sequence[int], over: int) -> list[int]:
    """The widths, names made shorter by `over` in all, the widest first, as far as they go."""
    found = list(widths)
    for _ in range(max(0, over)):
        spare = [
            size if column.kind == "name" and size > max(column.least, cell_len(column.head)) else 0
            for column, size in zip(columns, found, strict=True)
        ]
        if not any(spare):
            break
        found[spare.index(max(spare))] -= 1
    return found


def _one_value_a_line(table: Table, width: int, marks: Marks) -> list[Text]:
    """Every row as lines of a head and a value, with an empty line between two rows."""
    left = max(cell_len(column.head) for column in table.columns)
    lines: list[Text] = []
    for place, row in enumerate(table.rows):
        lines += [Text()] if place else []
        for column, cell in zip(table.columns, row, strict=True):
            text, style = (cell.plain, cell.style) if isinstance(cell, Text) else (cell, "")
            if column.kind == "name":
                text = _cut(text, max(width - len(_INDENT), column.least), marks)
            phrases = [text] if column.kind == "number" else (text or MISSING).split(" ")
            lines += _head_and_value(column.head, phrases, left, width, style)
    return lines


def _head_and_value(
    head: str, phrases: Sequence[str], left: int, width: int, style: object
) -> list[Text]:
    room = width - left - 2
    values = [""]
    for phrase in phrases:
        longer = f"{values[-1]} {phrase}" if values[-1] else phrase
        if values[-1] and cell_len(longer) > room:
            values.append(phrase)
        else:
            values[-1] = longer
    if max(map(cell_len, values)) > room:
        # Below its head there is more space.
        value = Text(_INDENT).append(" ".join(phrases), str(style))
        return [*(Text(line, _HEAD) for line in _broken(head, max(width, 1))), value]
    lines = []
    for place, value_text in enumerate(values):
        line = Text(set_cell_size("" if place else head, left), _HEAD)
        lines.append(Text().append_text(line).append("  ").append(value_text, str(style)))
    return lines


def _broken(head: str, width: int) -> list[str]:
    """A head on lines of at most `width` columns, as few as possible; words stay whole."""
    lines = head.split()[:1] or [""]
    for word in head.split()[1:]:
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _cut(text: str, width: int, marks: Marks) -> str:
    """The text, shortened where it is wider."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + marks.cut


def _size(cell: Cell) -> int:
    return cell_len(cell.plain if isinstance(cell, Text) else cell)


def _title(title: str, width: int | None) -> list[Text]:
    return [Text(line, _HEAD) for line in _broken(title, width or cell_len(title))] if title else []
