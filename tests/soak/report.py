"""What a soak found, in Markdown."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from tests.bench.report import table
from tests.soak.kills import Killed
from tests.soak.soak import Taken
from tests.soak.verdict import WARM_UP, Trend, Verdict


def soak_lines(taken: Taken, verdict: Verdict) -> list[str]:
    """The section's lines."""
    hours = (taken.ended - taken.began) / 3600
    day = dt.datetime.fromtimestamp(taken.began, tz=dt.UTC).date().isoformat()
    rows = taken.rows
    early = f" (ended early: {taken.stopped})" if taken.stopped else ""
    lines = [
        f"Taken on {day}: {hours:.2f} h, seed {taken.seed}, {len(rows)} runs{early}.",
        "",
        f"**{_verdict(taken, verdict)}**",
        "",
        *table(["kind of run", "runs", "as expected", "too late"], _kinds(taken)),
        "",
        *table(
            ["after each run", "first", "last", "highest", "per run (95 % band)"],
            [_trend(trend) for trend in verdict.trends],
        ),
        "",
        f"First and last: medians of 5 runs, the first after {WARM_UP} runs of warm-up.",
        f"Left on the engine over all runs: {verdict.leaked}.",
    ]
    for row in taken.wrong:
        lines += ["", f"- run {row['number']} ({row['kind']}): {'; '.join(row['wrong'])}"]
    return lines


def _verdict(taken: Taken, verdict: Verdict) -> str:
    complaints = list(verdict.complaints)
    if taken.wrong:
        complaints.insert(0, f"{len(taken.wrong)} runs did not end as expected")
    if complaints:
        return f"Failed: {'; '.join(complaints)}."
    if any(trend.slope is not None for trend in verdict.trends):
        return "Passed."
    return "Nothing failed, but the runs were too few to tell whether anything grows."


def _kinds(taken: Taken) -> Sequence[Sequence[str]]:
    runs, good, late = Counter[str](), Counter[str](), Counter[str]()
    for row in taken.rows:
        kind = str(row["kind"]) + (" (child)" if row["child"] else "")
        runs[kind] += 1
        good[kind] += not row["wrong"]
        late[kind] += not row["acted"]
    return [
        [kind, str(runs[kind]), str(good[kind]), str(late[kind] or "")] for kind in sorted(runs)
    ]


def _trend(trend: Trend) -> list[str]:
    slope = "too few runs"
    if trend.slope is not None:
        slope = f"{trend.slope:.3g} ({trend.low:.3g} to {trend.high:.3g})"
    return [trend.quantity, f"{trend.first:g}", f"{trend.last:g}", f"{trend.peak:g}", slope]


def kills_lines(killed: Killed) -> list[str]:
    """The section's lines."""
    day = dt.datetime.fromtimestamp(killed.began, tz=dt.UTC).date().isoformat()
    steps = Counter(kill.step or "no results folder yet" for kill in killed.kills)
    swept = sum(kill.left for kill in killed.kills)
    blocks = sum(kill.blocks for kill in killed.kills)
    early = f" Ended early: {killed.wanted} were wanted." if killed.interrupted else ""
    lines = [
        f"Taken on {day}: seed {killed.seed}, a run of {killed.whole:.1f} s when left alone."
        + early,
        "",
        (
            f"**{killed.good} of {len(killed.kills)}** left nothing behind after the next command,"
            " could be read, and had every block of their slogs counted."
        ),
        "",
        *table(["killed during", "runs"], [[step, str(n)] for step, n in steps.most_common()]),
        "",
        (
            f"{swept} containers, networks and volumes stood after the kills; {blocks} blocks"
            f" stood in the slogs. {killed.too_late} more runs had ended before their moment."
        ),
    ]
    for kill in killed.kills:
        if kill.wrong:
            lines += ["", f"- kill {kill.number}, after {kill.after} s: {'; '.join(kill.wrong)}"]
    return lines
