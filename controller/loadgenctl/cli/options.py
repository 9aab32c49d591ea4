"""`loadgenctl options`: the merged options, and where each value comes from."""

from __future__ import annotations

import json
from pathlib import Path

from rich.text import Text

from loadgenctl.cli.output import print_json, print_table
from loadgenctl.formatting import harmless
from loadgenctl.plan.settings import Row, Settings, rows
from loadgenctl.sources.giturl import without_credentials


def show_options(settings: Settings, *, as_json: bool) -> None:
    """Every option that has a value, in the order of the help."""
    found = rows(settings)
    if as_json:
        document = [
            {
                "option": row.key,
                "value": _plain(row),
                "source": row.source,
                "from": row.origin,
            }
            for row in found
        ]
        print_json(document)
        return
    shown = []
    for row in found:
        style = "dim" if row.source == "default" else ""
        cells = (harmless(row.key), _shown(row), _where(row))
        shown.append([Text(cell, style) for cell in cells])
    print_table(("option", "value", "from"), shown)


def _plain(row: Row) -> object:
    if isinstance(row.value, Path):
        return str(row.value)
    return without_credentials(row.value) if row.key == "sdk-repo" else row.value


def _shown(row: Row) -> str:
    value = _plain(row)
    return harmless(value if isinstance(value, str) else json.dumps(value))


def _where(row: Row) -> str:
    if row.source in {"default", "file"}:
        return harmless(row.origin)
    return f"{row.source} ({harmless(row.origin)})"
