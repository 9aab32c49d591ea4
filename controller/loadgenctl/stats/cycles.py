"""Cycles of the load: how many, how they ended, how long the successful ones took.

A summary, for all tasks together and for each:

    cycle_count, succeeded, failed       finished cycles
    unfinished                           started and without an end in the records
    missed                               starts that were due while the limit was reached
    success_percentage                   succeeded of the finished; absent if none finished
    duration_s                           spread of finish minus start, successful cycles only
    latency_s                            the same from the start that was intended: with a full
                                         house a cycle starts late, and that is part of its cost
    block_count                          spread of the blocks that began during a successful cycle
    offers                               of cycles through smart wallets: see `stats.offers`
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadgenctl.records.offers import offers_of
from loadgenctl.stats.numbers import rounded, spread
from loadgenctl.stats.offers import offer_summary

Row = Mapping[str, Any]
Summary = dict[str, Any]

ALL = "all"


def cycles_of_events(events: Iterable[Row]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Cycle rows from the load service's events, and how many were missed by task.

    Rows are as in cycles.jsonl but for the stage, finished ones first, in the order in which they
    finished; a cycle without a finish has no `finish`, `success` or durations.
    """
    running: dict[tuple[str, Any], dict[str, Any]] = {}
    finished: list[dict[str, Any]] = []
    lost: list[dict[str, Any]] = []
    missed: Counter[str] = Counter()
    for event in events:
        kind, task, seq = event.get("type"), event.get("task"), event.get("seq")
        if kind == "driver" and event.get("state") == "hello":
            # A new service counts from 0 again; what an earlier one had in flight never finishes.
            lost += running.values()
            running.clear()
        if not isinstance(task, str):
            continue
        if kind == "missed":
            missed[task] += _count(event.get("count"))
        elif kind == "start" and isinstance(seq, int) and (task, seq) not in running:
            start = _seconds(event.get("time"))
            intended = _seconds(event.get("intended"))
            running[task, seq] = _row(task, seq, start if intended is None else intended, start)
        elif kind == "finish" and isinstance(seq, int):
            # Where its start was lost, that it finished is still worth a row.
            row = running.pop((task, seq), None) or _row(task, seq, None, None)
            finished.append(_finish(row, event))
    return [*finished, *lost, *running.values()], missed


def _row(task: str, seq: int, intended: float | None, start: float | None) -> dict[str, Any]:
    return {"task": task, "seq": seq, "intended_start": intended, "start": start}


def _seconds(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1


def _finish(row: dict[str, Any], event: Row) -> dict[str, Any]:
    finish = _seconds(event.get("time"))
    row["finish"] = finish
    row["duration_s"] = _elapsed(event.get("duration"), finish, row["start"])
    row["latency_s"] = _elapsed(event.get("latency"), finish, row["intended_start"])
    row["success"] = event.get("success") is True
    row["error"] = None if row["success"] else str(event.get("error") or "no reason given")
    return row | offers_of(event.get("detail"))


def _elapsed(told: object, finish: float | None, begin: float | None) -> float | None:
    """The service's own measure (a clock that never jumps), else the difference of wall times."""
    measured = _seconds(told)
    return _difference(finish, begin) if measured is None else measured


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else round(later - earlier, 6)


def cycle_summary(
    rows: Sequence[Row], *, missed: int = 0, block_begins: Sequence[float] = ()
) -> Summary | None:
    """Summarize cycle rows; None when there is no cycle and none was missed.

    `block_begins` are the times (ascending, epoch seconds) at which the stage's blocks began.
    """
    if not rows and not missed:
        return None
    finished = [row for row in rows if isinstance(row.get("success"), bool)]
    good = [row for row in finished if row["success"]]
    summary: Summary = {
        "cycle_count": len(finished),
        "succeeded": len(good),
        "failed": len(finished) - len(good),
        "unfinished": len(rows) - len(finished),
        "missed": missed,
    }
    if finished:
        summary["success_percentage"] = rounded(100.0 * len(good) / len(finished), 2)
    blocks = [blocks_during(row, block_begins) for row in good] if block_begins else []
    for name, described in (
        ("duration_s", spread(row.get("duration_s") for row in good)),
        ("latency_s", spread(row.get("latency_s") for row in good)),
        ("block_count", spread(blocks)),
        ("offers", offer_summary(good)),
    ):
        if described is not None:
            summary[name] = described
    return summary


def blocks_during(row: Row, block_begins: Sequence[float]) -> int | None:
    """How many blocks began between a cycle's start and finish; None if it has not both."""
    start, finish = row.get("start"), row.get("finish")
    if not isinstance(start, int | float) or not isinstance(finish, int | float):
        return None
    return bisect_right(block_begins, finish) - bisect_right(block_begins, start)


def cycle_summaries(
    rows: Sequence[Row],
    *,
    missed: Mapping[str, int] | None = None,
    block_begins: Sequence[float] = (),
) -> dict[str, Summary]:
    """The summaries of `all` cycles and of each task; empty without any cycle."""
    lost = missed or {}
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[str(row.get("task"))].append(row)
    everything = cycle_summary(rows, missed=sum(lost.values()), block_begins=block_begins)
    if everything is None:
        return {}
    summaries = {ALL: everything}
    for task in sorted({*by_task, *lost}):
        summary = cycle_summary(
            by_task.get(task, []), missed=lost.get(task, 0), block_begins=block_begins
        )
        if summary is not None:
            summaries[task] = summary
    return summaries
