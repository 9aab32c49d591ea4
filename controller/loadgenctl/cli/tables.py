"""Sizes, times, tables, and how wide they may be, as a person reads them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from loadgenctl.reports.tables import Column, Table, marks_for, table_lines
from loadgenctl.reports.text import print_lines
from loadgenctl.reports.words import harmless

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_AGES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def size(count: float) -> str:
    """Bytes: `512 B`, `1.5 GiB`."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return (
        f"{count:.0f} {_UNITS[unit]}"
        if unit == 0 or count >= 100
        else f"{count:.1f} {_UNITS[unit]}"
    )


def moment(epoch: float | None) -> str:
    """A time of the epoch as the local time; empty for none."""
    return "" if not epoch else time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch))


def age(seconds: float) -> str:
    """`just now`, `1 minute`, `3 hours`, `12 days`."""
    for length, name in _AGES:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "just now"


def width_for(
    console: Console, otherwise: int | None, environment: Mapping[str, str] | None = None
) -> int | None:
    """The columns that tables on `console` may use: of the terminal, else as COLUMNS says.

    `otherwise` is for a pipe or a file without COLUMNS in the environment; None: any number.
    """
    if console.is_terminal and console.width > 0:
        return console.width
    told = (os.environ if environment is None else environment).get("COLUMNS", "")
    columns = int(told) if told.isascii() and told.isdigit() and len(told) < 6 else 0
    return columns or otherwise


def print_list(table: Table, console: Console | None = None) -> None:
    """A table whose rows other programs may cut: in a pipe each is one line, of any length."""
    console = console or Console()
    lines = table_lines(table, width_for(console, None), marks_for(console.encoding))
    print_lines(console, lines)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> None:
    """A list of words on standard output; the column `right` is aligned that way."""
    columns = [Column(head, "number" if head == right else "whole") for head in heads]
    shown = [[harmless(cell) for cell in row] for row in rows]
    print_list(Table("", columns, shown, rule=False, split=False))
