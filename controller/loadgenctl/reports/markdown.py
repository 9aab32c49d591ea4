"""A run as a compact page in Markdown, for the job pages of CI systems.

What comes from outside (names, revisions, log lines) is in code spans and fenced blocks only.
There Markdown knows no markup, and GitHub and GitLab look for no mentions, links or references: no
escaping of single characters could promise that, since they look for these in the finished page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Final

from loadgenctl.reports.facts import UNTOLD, RunFacts
from loadgenctl.reports.offers import LATENCIES, SPREAD, TITLE, offer_cells
from loadgenctl.reports.summary import MEASURING, Summary, memory, part, parts
from loadgenctl.reports.text import notes
from loadgenctl.reports.words import MISSING, clean, duration, mebibytes, number, percent, seconds
from loadgenctl.stats.run import measured_blocks

ROWS: Final = 100
"""Rows of a table; the page of a run of 1000 stages must stay below GitHub's limit of 1 MiB."""
_NOTES: Final = 20
_BACKTICKS: Final = re.compile("`+")
_MOST: Final = 80
"""Backticks in a row in a block: GitHub's renderer counts those of a fence up to 255."""
_TOO_MANY: Final = re.compile(f"`{{{_MOST + 1},}}")
_BAR: Final = "¦"
"""Stands for `|` in tables, where not all renderers agree on how to escape it in code."""
_SIGNS: Final = {"passed": "✅", "running": "⏳", UNTOLD: "❔", "interrupted": "⚠️"}
_KINDS: Final = {"load": "load", "chain-only": "chain only"}
_SUBJECTS: Final = (
    *(("chain", subject) for subject in ("kernel", "vats")),
    *(("measuring", subject) for subject in MEASURING),
)


def page(facts: RunFacts) -> str:
    """The page, ending with a line end. No line of it is of the run's own making."""
    stages = list(facts.stages.values())
    blocks = [
        _heading(facts),
        _simulated(facts),
        _head(facts),
        _stage_table(stages),
        _cycle_table(stages),
        _offer_table(stages),
        _resource_table(parts(facts.summary, "resources")),
        _failures(facts),
    ]
    return "\n".join("\n".join([*block, ""]) for block in blocks if block)


def code(text: object, limit: int = 200) -> str:
    """`text` on one line as a code span; a dash if nothing can be seen of it."""
    content = clean(text, limit)
    if not content:
        return MISSING
    runs = {len(run) for run in _BACKTICKS.findall(content)}
    # A span ends at the first run of backticks as long as the one that began it.
    fence = "`" * next(length for length in count(1) if length not in runs)
    space = " " if "`" in (content[0], content[-1]) else ""
    return f"{fence}{space}{content}{space}{fence}"


def fenced(lines: Sequence[str]) -> list[str]:
    """Lines as a block of plain text; they must be harmless on a terminal already."""
    bounded = [_TOO_MANY.sub("`" * _MOST + "…", line) for line in lines]
    longest = max((len(run) for line in bounded for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *bounded, fence]


def _cell(text: object) -> str:
    return code(str(text).replace("|", _BAR), 60)


def _heading(facts: RunFacts) -> list[str]:
    simulated = " (simulated)" if facts.simulated else ""
    sign = _SIGNS.get(facts.outcome, "❌")
    took = facts.run.get("duration_s")
    after = f" after {duration(took)}" if isinstance(took, int | float) else ""
    # The outcome is one of the words of `schema.Outcome`: `Status` knows no others.
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
    # As long as a line, and the tag says the same on this machine.
    where.pop("image id", None)
    for name, told in (("SDK", facts.what), ("Run", where)):
        if told:
            lines.append(f"- **{name}:** {', '.join(_named(told))}")
    return lines


def _named(told: Mapping[str, str]) -> list[str]:
    return [f"{name} {code(text)}" for name, text in told.items()]


def _stage_table(stages: Sequence[Summary]) -> list[str]:
    rows = []
    for stage in stages:
        spans, blocks = part(stage, "durations"), part(stage, "blocks")
        live = measured_blocks(stage)
        swingset, share = part(live, "swingset_time_s"), part(live, "swingset_percentage")
        rows.append(
            (
                number(stage.get("stage")),
                _KINDS.get(str(stage.get("kind")), MISSING),
                seconds(spans.get("duration_s")),
                seconds(spans.get("stage_ready_s")),
                seconds(spans.get("restart_s")),
                seconds(spans.get("loaded_s")),
                seconds(spans.get("chain_stop_s")),
                number(part(blocks, "all").get("block_count")),
                seconds(swingset.get("avg")),
                seconds(swingset.get("p95")),
                percent(share.get("avg")),
                percent(share.get("p95")),
            )
        )
    heads = ["stage", "kind", "duration s", "ready s", "restart s", "load s", "chain stop s"]
    heads += ["blocks"]
    heads += ["swingset s", "p95", "swingset %", "p95"]
    return _table(
        "Stages; swingset: average and p95 of blocks under load, else of live blocks",
        heads,
        rows,
        left=2,
    )


def _cycle_table(stages: Sequence[Summary]) -> list[str]:
    rows = []
    for stage in stages:
        for task, cycles in part(stage, "cycles").items():
            if task == "all":
                continue
            spread = part(cycles, "duration_s")
            rows.append(
                (
                    number(stage.get("stage")),
                    _cell(task),
                    number(cycles.get("cycle_count")),
                    percent(cycles.get("success_percentage")),
                    number(cycles.get("unfinished")),
                    number(cycles.get("missed")),
                    *(seconds(spread.get(name)) for name in ("avg", "p50", "p95")),
                )
            )
    heads = ("stage", "task", "cycles", "ok %", "unfinished", "missed", "avg s", "p50 s", "p95 s")
    return _table("Cycles; times of successful cycles", heads, rows, left=2)


def _offer_table(stages: Sequence[Summary]) -> list[str]:
    rows = [(stage, _cell(task), *cells) for stage, task, cells in offer_cells(stages)]
    latencies = (f"{words} {name} s" for words, _ in LATENCIES for name in SPREAD)
    heads = ("stage", "task", "offers", *latencies, "gas avg")
    return _table(f"{TITLE}; from sending, of successful cycles", heads, rows, left=2)


def _resource_table(resources: Sequence[Summary]) -> list[str]:
    named = [
        *((f"container {_cell(row.get('role'))}", row) for row in _of_kind(resources, "container")),
        *(
            (f"{whose}: {subject}", row)
            for whose, subject in _SUBJECTS
            for row in _of_kind(resources, "process")
            if row.get("subject") == subject
        ),
    ]
    rows = []
    for name, row in named:
        highest, average = memory(row)
        rows.append(
            (name, mebibytes(highest), mebibytes(average), percent(row.get("cpu_percentage")))
        )
    return _table("Resources", ("what", "max MiB", "avg MiB", "CPU %"), rows)


def _of_kind(resources: Sequence[Summary], kind: str) -> Iterable[Summary]:
    return (row for row in resources if row.get("kind") == kind)


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> list[str]:
    """A table whose first `left` columns are aligned to the left; nothing where no rows are."""
    if not rows:
        return []
    rules = ["---" if place < left else "---:" for place in range(len(heads))]
    lines = [f"### {title}", "", _row(heads), _row(rules), *map(_row, rows[:ROWS])]
    if len(rows) > ROWS:
        lines += ["", f"… and {number(len(rows) - ROWS)} more rows, in summary.json."]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _failures(facts: RunFacts) -> list[str]:
    """Errors of cycles, what is odd or damaged, and the end of the failed role's log."""
    told = [note.plain for note in notes(facts.summary)]
    lines = facts.last_lines
    if not told and not lines:
        return []
    page_lines = ["### Failures" if facts.went_wrong else "### Notes"]
    if told:
        page_lines += ["", *(f"- {code(note, 400)}" for note in told[:_NOTES])]
    if len(told) > _NOTES:
        page_lines.append(f"- … and {number(len(told) - _NOTES)} more")
    if lines:
        role = facts.ending.get("role")
        whose = f"Last lines ({code(role)}):" if role else "Last lines:"
        page_lines += ["", whose, "", *fenced(lines)]
    return page_lines
