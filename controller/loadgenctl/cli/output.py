"""What commands print for other programs: JSON and CSV on standard output."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print an indented JSON document."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a header line and rows; what is missing is empty."""
    writer = csv.DictWriter(sys.stdout, fields, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        # true and false as JSON has them: Python's spelling means nothing to other tools.
        writer.writerow(
            {
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in row.items()
            }
        )
