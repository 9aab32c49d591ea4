"""Sizes, times and tables of what is kept, as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadgenctl.cli.console import clean

_WIDTH = 160
"""Columns where the output is no terminal: room for whole lines, which scripts may cut."""
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


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> None:
    """A table on standard output; the column `right` is aligned that way."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if head == right else "left", no_wrap=number == 0)
    for row in rows:
        # Text, not markup: names come from outside.
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)
