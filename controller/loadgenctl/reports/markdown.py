"""A run as a compact page in Markdown, for the job pages of CI systems.

Text from outside (names, revisions, log lines) is in code spans and fenced blocks only. There
Markdown has no markup, and GitHub and GitLab find no mentions, links or references. Escaping single
characters does not suffice, because they search the rendered page for these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Final

from rich.text import Text

from loadgenctl.formatting import MISSING, clean, duration, number
from loadgenctl.reports.facts import UNKNOWN, RunFacts
from loadgenctl.reports.run_tables import tables
from loadgenctl.reports.table_model import Column, Table
from loadgenctl.reports.text import notes

ROWS: Final = 100
"""Rows of a table; the page of a run of 1000 stages must stay below GitHub's limit of 1 MiB."""
_NOTES: Final = 20
_BACKTICKS: Final = re.compile("`+")
_MOST: Final = 80
"""Backticks in a row in a block: GitHub's renderer counts those of a fence up to 255."""
_TOO_MANY: Final = re.compile(f"`{{{_MOST + 1},}}")
_BAR: Final = "¦"
"""Replaces `|` in tables, where not all renderers agree on how to escape it in code."""
_SIGNS: Final = {"passed": "✅", "running": "⏳", UNKNOWN: "❔", "interrupted": "⚠️"}


def page(facts: RunFacts) -> str:
    """The page, ending with a line end. All text that comes from the run is code."""
    blocks = [
        _heading(facts),
        _simulated(facts),
        _head(facts),
        *map(table_block, tables(facts.summary)),
        _failures(facts),
    ]
    return "\n".join("\n".join([*block, ""]) for block in blocks if block)


def code(text: object, limit: int = 200) -> str:
    """`text` on one line as a code span; a dash if nothing of it is visible."""
    content = clean(text, limit)
    if not content:
        return MISSING
    runs = {len(run) for run in _BACKTICKS.findall(content)}
    # A span ends at the first run of backticks that is as long as the one that began it.
    fence = "`" * next(length for length in count(1) if length not in runs)
    space = " " if "`" in (content[0], content[-1]) else ""
    return f"{fence}{space}{content}{space}{fence}"


def fenced(lines: Sequence[str]) -> list[str]:
    """Lines, which must be harmless on a terminal, as a block of plain text."""
    bounded = [_TOO_MANY.sub("`" * _MOST + "…", line) for line in lines]
    longest = max((len(run) for line in bounded for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *bounded, fence]


def _heading(facts: RunFacts) -> list[str]:
    simulated = " (simulated)" if facts.simulated else ""
    sign = _SIGNS.get(facts.outcome, "❌")
    took = facts.run.get("duration_s")
    after = f" after {duration(took)}" if isinstance(took, int | float) else ""
    # The outcome is one of `schema.Outcome`: `Status` accepts no others.
    return [f"## {sign} loadgenctl{simulated}: {facts.outcome}{after}"]


def _simulated(facts: RunFacts) -> list[str]:
    if not facts.simulated:
        return []
    return ["> **SIMULATED SDK: these numbers say nothing about a real chain.**"]


def _head(facts: RunFacts) -> list[str]:
    lines = []
    why = facts.ending
    if why:
        reason = why.pop("reason", "no reason was recorded")
        lines.append(", ".join([f"- **Why:** {code(reason, 400)}", *_named(why)]))
    where = facts.where
    # As long as a line, and the tag identifies the same image on this machine.
    where.pop("image id", None)
    for name, entries in (("SDK", facts.what), ("Run", where)):
        if entries:
            lines.append(f"- **{name}:** {', '.join(_named(entries))}")
    return lines


def _named(entries: Mapping[str, str]) -> list[str]:
    return [f"{name} {code(text)}" for name, text in entries.items()]


def table_block(table: Table) -> list[str]:
    """A table with its title, of at most `ROWS` rows, and its notes; names are code."""
    if not table.rows:
        return [f"- {code(note, 400)}" for note in table.notes]
    rules = ["---:" if column.kind == "number" else "---" for column in table.columns]
    rows = [map(_cell, table.columns, cells) for cells in table.cells()[:ROWS]]
    heads = [column.head for column in table.columns]
    lines = [f"### {table.title}", "", *map(_row, (heads, rules, *rows))]
    if len(table.rows) > ROWS:
        lines += ["", f"… and {number(len(table.rows) - ROWS)} more rows, in summary.json."]
    return [
        *lines,
        *([""] if table.notes else []),
        *(f"- {code(note, 400)}" for note in table.notes),
    ]


def _cell(column: Column, cell: str | Text) -> str:
    return code(str(cell).replace("|", _BAR), 60) if column.kind == "name" else str(cell)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _failures(facts: RunFacts) -> list[str]:
    """Errors of cycles, what is odd or damaged, and the end of the failed role's log."""
    found = [note.plain for note in notes(facts.summary)]
    lines = facts.last_lines
    if not found and not lines:
        return []
    block = ["### Failures" if facts.went_wrong else "### Notes"]
    if found:
        block += ["", *(f"- {code(note, 400)}" for note in found[:_NOTES])]
    if len(found) > _NOTES:
        block.append(f"- … and {number(len(found) - _NOTES)} more")
    if lines:
        role = facts.ending.get("role")
        whose = f"Last lines ({code(role)}):" if role else "Last lines:"
        block += ["", whose, "", *fenced(lines)]
    return block
