"""What commands print for other programs: JSON and CSV on standard output.

Nothing that drives a terminal gets there, as some of it is shown on one. In JSON such characters
are escaped, which to a parser is the same, as are those that the charset of the output lacks; in
CSV, which knows no escapes, each becomes a space, as in tables.

A cell of CSV that a spreadsheet would take for a formula begins with `'`, which it shows as text.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from loadgenctl.reports.words import harmless

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
