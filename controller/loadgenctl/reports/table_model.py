"""The one model of a table, and tables as lines of text that fit a width.

A row is data, such as an entry of a summary; a column says where its value is in a row and how it
is written. Text, Markdown and `top` are made from the same tables.

No word or number is broken to fit a width. What does not fit is arranged in another way, in this
order: heads of several lines, one space between columns instead of two, shorter names, fewer
columns (`Column.rank`), several tables one below the other, and finally a line for each value. A
line is wider than requested only where a single number, or a word that is never shortened, is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.style import Style
from rich.text import Text

from loadgenctl.formatting import MISSING, number

Cell = str | Text
"""A `Text` has one style, its own."""
Row = Mapping[str, Any]
Kind = Literal["number", "name", "words"]
Form = Literal["report", "list", "dense"]

WIDTH: Final = 80
"""Columns where the width is not known: as in a terminal of the usual size."""
EXTRA: Final = 9
"""From this rank on, a column is shown only where two spaces fit between all columns."""
_INDENT: Final = "  "
_HEAD: Final = "bold"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    head: str
    """Broken between its words only. It includes the unit, unless the table's title does."""
    key: str = ""
    """Where the value is in a row: `lag`, or `durations.loaded_s`; empty: the row itself."""
    show: Callable[[Any], Cell] = number
    """The value as text; it gets None where the row has no value."""
    kind: Kind = "number"
    """`number`: right-aligned, never broken. `name`: left-aligned, shortened where there is no
    space. `words`: left-aligned and never shortened, for our own words and for what a person may
    copy. Markdown shows names as code: text that comes from outside must be a name."""
    rank: int = 0
    """Above 0: left out where there is no space; the highest goes first."""
    joined: bool = False
    """Not separated from the column before it when a table is split."""
    least: int = 8
    """Columns of the terminal that a `name` keeps."""
    width: int = 0
    """Minimum width, so that a column does not move while its cells change."""
    most: int = 0
    """Maximum width of a `name`; 0: none."""

    def value(self, row: Row) -> Any:
        """The value in a row; None where there is none."""
        found: Any = row
        for name in self.key.split(".") if self.key else ():
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def cell(self, row: Row) -> Cell:
        """The value as it is shown."""
        return self.show(self.value(row))


@dataclass(frozen=True, slots=True)
class Table:
    """A table; strings in its cells are shown as they are."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    keys: int = 1
    """The first columns, which are repeated where a table is split."""
    form: Form = "report"
    """`report`: a rule below the heads; split where it is too wide. `list`: without a rule; rows
    that do not fit are written with a line for each value. `dense`: for what is drawn every
    second: one line of underlined heads, one space between columns, never split."""
    last: str = ""
    """The style of the last row."""
    notes: Sequence[str] = ()
    """Sentences that are shown below the rows, and also where there are no rows."""

    def cells(self) -> list[list[Cell]]:
        """The rows as they are shown."""
        shown = [[column.cell(row) for column in self.columns] for row in self.rows]
        if self.last and shown:
            shown[-1] = [Text(str(cell), self.last) for cell in shown[-1]]
        return shown


def with_values(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns that have a value other than 0 in any of the rows."""
    return [column for column in columns if any(column.value(row) for row in rows)]


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
    notes = [line for note in table.notes for line in wrapped(note, width)]
    if table.notes and not table.rows:
        return notes
    arranging = _Arranging(table, width)
    parts = arranging.parts()
    if parts is None:
        lines = [*_title(table.title, width), *_one_value_a_line(arranging, width or 0, marks)]
        return [*lines, *notes]
    lines = []
    for place, layout in enumerate(parts):
        title = f"{table.title}, continued" if place and table.title else table.title
        lines += [Text()] if place else []
        lines += [*_title(title, width), *layout.lines(marks, table.form)]
    return [*lines, *notes]


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


def print_lines(console: Console, lines: Sequence[Text]) -> None:
    """Print lines as they are, without any escape code where the output is not a terminal."""
    if console.is_terminal:
        console.print(Text("\n").join(lines), soft_wrap=True)
    else:
        console.file.write("".join(f"{line.plain}\n" for line in lines))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Columns with their widths, and the cells in them."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    widths: Sequence[int]
    gap: int

    def lines(self, marks: Marks, form: Form) -> list[Text]:
        heads = [
            _broken(column.head, width)
            for column, width in zip(self.columns, self.widths, strict=True)
        ]
        height = max(map(len, heads))
        # The last line of every head is next to its cells.
        heads = [[""] * (height - len(lines)) + lines for lines in heads]
        style = f"{_HEAD} underline" if form == "dense" else _HEAD
        shown = [
            self._line([Text(lines[place], style) for lines in heads], marks)
            for place in range(height)
        ]
        if form == "report":
            shown.append(Text(marks.rule * _total(self.widths, self.gap)))
        return [*shown, *(self._line(row, marks) for row in self.rows)]

    def _line(self, row: Sequence[Cell], marks: Marks) -> Text:
        line = Text()
        for place, (column, width, cell) in enumerate(
            zip(self.columns, self.widths, row, strict=True)
        ):
            text, style = _text_and_style(cell)
            text = _cut(text, width, marks)
            space = " " * (width - cell_len(text))
            line.append(" " * (self.gap if place else 0))
            line.append(space + text if column.kind == "number" else text + space, style)
        line.rstrip()
        return line


class _Arranging:
    """Finds the columns, and their widths, that fit."""

    def __init__(self, table: Table, width: int | None) -> None:
        self.table = table
        self.rows = table.cells()
        self._width = width
        self._cells = [
            max((cell_len(str(row[place])) for row in self.rows), default=0)
            for place in range(len(table.columns))
        ]

    def parts(self) -> list[_Layout] | None:
        """One table or several below each other; None where that is not possible."""
        places = list(range(len(self.table.columns)))
        while True:
            layout = self._fitting(places)
            if layout is not None:
                return [layout]
            ranks = [self.table.columns[place].rank for place in places]
            if any(ranks):
                del places[ranks.index(max(ranks))]
            elif self.table.form == "dense":
                return [self._layout(places, self._widths(places), 1)]
            else:
                return self._split(places) if self.table.form == "report" else None

    def _split(self, places: Sequence[int]) -> list[_Layout] | None:
        keys, parts = list(places[: self.table.keys]), []
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
            if units and self.table.columns[place].joined:
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
        columns = [self.table.columns[place] for place in places]
        single, tight = self._widths(places), self._widths(places, broken=True)
        ways = [(2, single, False), (2, tight, False)]
        if self.table.form == "dense":
            ways = [(1, single, False), (1, single, True)]
        elif not any(column.rank >= EXTRA for column in columns):
            ways += [(1, tight, False), (2, tight, True), (1, tight, True)]
        for gap, widths, shorten in ways:
            found = widths
            if shorten and self._width is not None:
                found = _shortened(columns, widths, _total(widths, gap) - self._width)
            if self._width is None or _total(found, gap) <= self._width:
                return self._layout(places, found, gap)
        return None

    def _widths(self, places: Sequence[int], *, broken: bool = False) -> list[int]:
        """What the columns need, with heads on one line or `broken` between words."""
        widths = []
        for place in places:
            column = self.table.columns[place]
            words = column.head.split() if broken else [column.head]
            needed = max(self._cells[place], *map(cell_len, words), column.width)
            widths.append(min(needed, column.most or needed))
        return widths

    def _layout(self, places: Sequence[int], widths: Sequence[int], gap: int) -> _Layout:
        rows = [[row[place] for place in places] for row in self.rows]
        return _Layout([self.table.columns[place] for place in places], rows, widths, gap)


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


def _one_value_a_line(arranging: _Arranging, width: int, marks: Marks) -> list[Text]:
    """Every row as lines of a head and a value, with an empty line between two rows."""
    columns = arranging.table.columns
    left = max(cell_len(column.head) for column in columns)
    lines: list[Text] = []
    for place, row in enumerate(arranging.rows):
        lines += [Text()] if place else []
        for column, cell in zip(columns, row, strict=True):
            text, style = _text_and_style(cell)
            if column.kind == "name":
                text = _cut(text, max(width - len(_INDENT), column.least), marks)
            phrases = [text] if column.kind == "number" else (text or MISSING).split(" ")
            lines += _head_and_value(column.head, phrases, left, width, style)
    return lines


def _head_and_value(
    head: str, phrases: Sequence[str], left: int, width: int, style: str | Style
) -> list[Text]:
    space = width - left - 2
    values = [""]
    for phrase in phrases:
        longer = f"{values[-1]} {phrase}" if values[-1] else phrase
        if values[-1] and cell_len(longer) > space:
            values.append(phrase)
        else:
            values[-1] = longer
    if max(map(cell_len, values)) > space:
        # Below its head there is more space.
        value = Text(_INDENT).append(" ".join(phrases), style)
        return [*(Text(line, _HEAD) for line in _broken(head, max(width, 1))), value]
    lines = []
    for place, value_text in enumerate(values):
        line = Text(set_cell_size("" if place else head, left), _HEAD)
        lines.append(Text().append_text(line).append("  ").append(value_text, style))
    return lines


def _broken(head: str, width: int) -> list[str]:
    """A head on lines of at most `width` columns, as few as possible; no word is broken."""
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


def _text_and_style(cell: Cell) -> tuple[str, str | Style]:
    return (cell.plain, cell.style) if isinstance(cell, Text) else (cell, "")


def _title(title: str, width: int | None) -> list[Text]:
    return [Text(line, _HEAD) for line in _broken(title, width or cell_len(title))] if title else []
