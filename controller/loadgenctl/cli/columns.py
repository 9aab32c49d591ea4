"""Long tables as plain columns: drawing a table of a thousand rows takes longer than a scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

LONG: Final = 50
"""Rows from which on a table is long."""
_GAP: Final = "  "


def print_table(console: Console, table: Table) -> None:
    """Print a table; a long one as plain columns, if the terminal is wide enough for them."""
    if table.row_count < LONG:
        console.print(table)
        return
    lines = list(plain_lines(table))
    if console.is_terminal and max(map(len, lines)) > console.width:
        console.print(table)
        return
    console.file.write("\n".join(lines) + "\n")


def plain_lines(table: Table) -> Iterator[str]:
    """The lines of a table of plain texts: its title, heads, a rule and rows."""
    columns = [[_text(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    widths = [max(map(len, cells)) for cells in columns]
    padded = [
        [cell.rjust(width) if column.justify == "right" else cell.ljust(width) for cell in cells]
        for column, cells, width in zip(table.columns, columns, widths, strict=True)
    ]
    if table.title:
        yield _text(table.title)
    for number, cells in enumerate(zip(*padded, strict=True)):
        yield _GAP.join(cells).rstrip()
        if number == 0:
            yield _GAP.join("-" * width for width in widths)


def _text(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
