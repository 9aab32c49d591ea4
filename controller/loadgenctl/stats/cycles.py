"""Cycles of the load: how many, how they ended, how long the successful ones took.

A summary, for all tasks together and for each:

    cycle_count, succeeded, failed       finished cycles
    unfinished                           started, without an end in the records
    missed                               starts that were due while the limit was reached
    success_percentage                   succeeded of the finished; absent if none finished
    duration_s                           spread of finish minus start, successful cycles only
    latency_s                            the same from the intended start: if all slots are taken,
                                         a cycle starts late, and that is part of its cost
    block_count                          spread of the blocks that began during a successful cycle
    offers                               of cycles through smart wallets: see `offer_summary`
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadgenctl.records.load_cycles import LoadCycles
from loadgenctl.stats.numbers import rounded, spread

Row = Mapping[str, Any]
Summary = dict[str, Any]

ALL = "all"

TOLERANCE: Final = 0.1
"""Seconds by which two processes' clocks and writes may differ."""
LATE: Final = 1.0
"""Seconds within which a driver sees a published outcome: it polls every 0.5 s."""
_MOMENTS: Final = (("inclusion_s", "included_height"), ("settlement_s", "settled_height"))
_EXAMPLES: Final = 3


def cycles_of_events(
    events: Iterable[Row], stage: int
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The cycles of a stage's load events, and how many starts were missed by task.

    Finished cycles come first, in the order in which they finished.
    """
    cycles = LoadCycles(stage)
    finished = [row for event in events if (row := cycles.take(event)) is not None]
    missed = Counter({task: counts.missed for task, counts in cycles.tasks.items()})
    rows = (*finished, *cycles.abandoned, *cycles.in_flight.values())
    return [dict(row) for row in rows], +missed


def cycle_summary(
    rows: Sequence[Row], *, missed: int = 0, block_begins: Sequence[float] = ()
) -> Summary | None:
    """Summarize cycle rows; None if there is no cycle and none was missed.

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
    """How many blocks began between a cycle's start and finish; None if one of them is unknown."""
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
    """The summaries of `all` cycles and of each task; empty without cycles."""
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


def offer_summary(cycles: Iterable[Row]) -> dict[str, Any] | None:
    """Summarize the offers of successful cycles (see `records.offers`); None if there are none.

    count                    offers that were in a block
    inclusion_s              spread of the seconds until they were in a block
    settlement_s             spread of the seconds until their outcome was seen
    gas                      spread of what their transactions used
    """
    rows = [row for row in cycles if row.get("success") is True]
    inclusion = spread(_all(rows, "inclusion_s"))
    if inclusion is None:
        return None
    summary: dict[str, Any] = {"count": inclusion["count"], "inclusion_s": inclusion}
    for name in ("settlement_s", "gas"):
        described = spread(_all(rows, name))
        if described is not None:
            summary[name] = described
    return summary


def _all(rows: Iterable[Row], name: str) -> Iterator[object]:
    return (item for row in rows for item in row.get(name) or ())


@dataclass(frozen=True, slots=True)
class Moment:
    """When an offer was seen in a block, or settled, according to its cycle."""

    task: str
    seq: int
    offer: int
    """Number within the cycle, from 0."""
    what: str
    """`inclusion_s` or `settlement_s`."""
    height: int
    """The block that the cycle names."""
    earliest: float
    """Epoch seconds, as `latest`: the records give a span of time."""
    latest: float


def moments(cycles: Iterable[Row]) -> Iterator[Moment]:
    """The moments of all offers of cycles that report each settlement.

    A cycle sends its offers one after the other between its start and its finish. So an offer was
    sent no sooner than the start plus all settlements before it, and no later than the finish minus
    the settlements from it on. Its latencies count from there.
    """
    for row in cycles:
        start, finish = row.get("start"), row.get("finish")
        latencies = row.get("settlement_s") or ()
        known = all(isinstance(item, int | float) for item in (start, finish, *latencies))
        if not known or not latencies:
            continue
        for number in range(len(latencies)):
            sooner = start + sum(latencies[:number])
            later = max(sooner, finish - sum(latencies[number:]))
            for what, column in _MOMENTS:
                after, height = _item(row, what, number), _item(row, column, number)
                if after is not None and height is not None:
                    named = str(row.get("task")), int(row.get("seq") or 0), number, what
                    yield Moment(*named, int(height), sooner + after, later + after)


def _item(row: Row, name: str, number: int) -> float | int | None:
    items: Sequence[float | int | None] = row.get(name) or ()
    return items[number] if number < len(items) else None


def fits(moment: Moment, ended: Mapping[int, float]) -> bool | None:
    """Whether a moment is in the time in which its block was the chain's newest.

    `ended`: height → when the block's computation ended, epoch seconds. A block cannot be seen
    before that. It is seen soon after (`LATE`), unless the node does not answer because it computes
    the next block. None if the block is not known.
    """
    own, following = ended.get(moment.height), ended.get(moment.height + 1)
    if own is None:
        return None
    if moment.latest < own - TOLERANCE:
        return False
    return following is None or moment.earliest <= following + LATE


def checked(cycles: Iterable[Row], blocks: Iterable[Row]) -> dict[str, Any] | None:
    """Check the cycles' latencies against the chain's own measure of time, its blocks.

    Returns how many moments were compared with the times of their blocks, how many do not match,
    and examples of these for a person; None if none could be compared.
    """
    ended = {
        row["blockHeight"]: row["endFinishAt"]
        for row in blocks
        if isinstance(row.get("endFinishAt"), int | float)
    }
    found = [(moment, fits(moment, ended)) for moment in moments(cycles)]
    known = [(moment, fit) for moment, fit in found if fit is not None]
    if not known:
        return None
    odd = [moment for moment, fit in known if not fit]
    result: dict[str, Any] = {"checked": len(known), "mismatched": len(odd)}
    if odd:
        result["examples"] = [_words(moment, ended) for moment in odd[:_EXAMPLES]]
    return result


def _words(moment: Moment, ended: Mapping[int, float]) -> str:
    how = "in a block" if moment.what == "inclusion_s" else "settled"
    own = ended[moment.height]
    return (
        f"offer {moment.offer} of {moment.task} cycle {moment.seq} was {how} between"
        f" {moment.earliest - own:+.3f} and {moment.latest - own:+.3f} s of the end of block"
        f" {moment.height}"
    )
