"""What commands print for other programs: JSON and CSV on standard output.

Nothing that drives a terminal gets there, as some of it is shown on one. In JSON such characters
are escaped, which to a parser is the same; in CSV, which knows no escapes, each becomes a space, as
in tables.
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


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print an indented JSON document."""
    sys.stdout.write(json_text(document))


def json_text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """An indented JSON document with the newline at its end."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        # Integers beyond 64 bits, and names of files that are no text.
        text = json.dumps(document, indent=2, ensure_ascii=False)
    return _UNUSUAL.sub(_escaped, text) + "\n"


def print_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a header line and rows; what is missing is empty."""
    writer = csv.DictWriter(sys.stdout, fields, restval="", lineterminator="\n")
    writer.writerow({name: harmless(name) for name in fields})
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    if isinstance(value, bool):
        # As JSON has them: Python's spelling means nothing to other tools.
        return str(value).lower()
    return harmless(value) if isinstance(value, str) else value


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
