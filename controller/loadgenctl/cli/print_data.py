"""What commands print on standard output: tables, and JSON and CSV for other programs.

No control character for a terminal is printed, because any output may be shown on one. In JSON such
characters are escaped, which is the same to a parser, as are those that the charset of the output
lacks; in CSV, which knows no escapes, each becomes a space, as in tables.

A cell of CSV that a spreadsheet would take for a formula begins with `'`, which it shows as text.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console

from loadgenctl.formatting import harmless
from loadgenctl.reports.table_model import (
    Cell,
    Column,
    Table,
    marks_for,
    print_lines,
    table_lines,
)

_UNUSUAL = re.compile(r"[^\n\x20-\x7e]")
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How texts begin that a spreadsheet evaluates; the last four are the same in full width."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print an indented JSON document."""
    sys.stdout.write(json_text(document, charset_of(sys.stdout)))


def json_text(document: Mapping[str, Any] | Sequence[Any], charset: str = "utf-8") -> str:
    """An indented JSON document with the newline at its end, of characters of the charset."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        # Integers beyond 64 bits, and names of files that are no text.
        text = json.dumps(document, indent=2, ensure_ascii=False)
    return escaped(text, charset) + "\n"


def charset_of(stream: object) -> str:
    """The charset of a text stream; UTF-8 where it has none."""
    return getattr(stream, "encoding", None) or "utf-8"


def escaped(text: str, charset: str) -> str:
    """JSON in which what drives a terminal, or is not in the charset, is `\\uXXXX`."""

    def escape(match: re.Match[str]) -> str:
        char = match[0]
        return char if char.isprintable() and _encodes(char, charset) else json.dumps(char)[1:-1]

    return _UNUSUAL.sub(escape, text)


def print_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a header line and rows; what is missing is empty."""
    writer = csv.DictWriter(sys.stdout, fields, restval="", lineterminator="\n")
    writer.writerow({name: _cell(name) for name in fields})
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    if isinstance(value, bool):
        # As JSON has them: Python's spelling means nothing to other tools.
        return str(value).lower()
    if not isinstance(value, str):
        return value
    formula = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return ("'" if formula else "") + harmless(value)


def _encodes(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def width_for(
    console: Console, otherwise: int | None, environment: Mapping[str, str] | None = None
) -> int | None:
    """The columns that tables on `console` may use: of the terminal, else the value of COLUMNS.

    `otherwise` is for a pipe or a file without COLUMNS in the environment; None: any number.
    """
    if console.is_terminal and console.width > 0:
        return console.width
    value = (os.environ if environment is None else environment).get("COLUMNS", "")
    columns = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    return columns or otherwise


def print_list(table: Table, console: Console | None = None) -> None:
    """A table whose rows other programs may cut: in a pipe each is one line, of any length."""
    console = console or Console()
    lines = table_lines(table, width_for(console, None), marks_for(console.encoding))
    print_lines(console, lines)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: str = "") -> None:
    """A list of words; the columns that `right` names, separated by spaces, are right-aligned."""
    numbers = right.split()
    columns = [
        Column(head, head, _shown, "number" if head in numbers else "words") for head in heads
    ]
    shown = [dict(zip(heads, row, strict=True)) for row in rows]
    print_list(Table("", columns, shown, form="list"))


def _shown(cell: Cell) -> Cell:
    return harmless(cell) if isinstance(cell, str) else cell
