"""Offers of smart wallets: how long until they were in a block and until they were settled.

A summary is of the offers of successful cycles (`records.offers` says what each number is):

    count                    offers that were in a block
    inclusion_s              spread of the seconds until they were in a block
    settlement_s             spread of the seconds until their outcome was seen
    gas                      spread of what their transactions used

`checked` holds these latencies against the chain's own account of time, its blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadgenctl.stats.numbers import spread

Row = Mapping[str, Any]

TOLERANCE: Final = 0.1
"""Seconds by which two processes' clocks and writes may differ."""
LATE: Final = 1.0
"""Seconds after which a driver has seen what is there: it looks every 0.5 s, and is answered."""
_MOMENTS: Final = (("inclusion_s", "included_height"), ("settlement_s", "settled_height"))
_EXAMPLES: Final = 3


def offer_summary(cycles: Iterable[Row]) -> dict[str, Any] | None:
    """The summary of cycle rows; None where no cycle made an offer."""
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
    """When an offer was seen in a block, or settled, as its cycle tells it."""

    task: str
    seq: int
    offer: int
    """Of the cycle, from 0."""
    what: str
    """`inclusion_s` or `settlement_s`."""
    height: int
    """The block that it is said to be of."""
    earliest: float
    """Epoch seconds, as `latest`: the records leave a span."""
    latest: float


def moments(cycles: Iterable[Row]) -> Iterator[Moment]:
    """The moments of all offers whose cycle tells of each when it was settled.

    A cycle's offers are sent one after the other between its start and its finish. So an offer was
    sent no sooner than the start and all settlements before it allow, and no later than the finish
    and the settlements from it on do; its latencies count from there.
    """
    for row in cycles:
        start, finish = row.get("start"), row.get("finish")
        latencies = row.get("settlement_s") or ()
        told = all(isinstance(item, int | float) for item in (start, finish, *latencies))
        if not told or not latencies:
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
    """Whether a moment lies where its block was the chain's newest.

    `ended`: height → when the block's computation ended, epoch seconds. Nothing of a block can be
    seen before it has ended. All of it is seen soon after that (`LATE`), but for a node that does
    not answer while it computes the next block. None where the block is not known.
    """
    own, following = ended.get(moment.height), ended.get(moment.height + 1)
    if own is None:
        return None
    if moment.latest < own - TOLERANCE:
        return False
    return following is None or moment.earliest <= following + LATE


def checked(cycles: Iterable[Row], blocks: Iterable[Row]) -> dict[str, Any] | None:
    """How many moments were held against the times of their blocks, how many do not fit, and some
    of these in words; None where none could be.
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
