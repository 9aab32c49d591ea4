"""How quantities grow with blocks and cycles: the slope of Theil and Sen with its 95 % band.

The slope is the median of the slopes of all pairs of points, so that a few slow blocks have little
effect. The band is Sen's (Journal of the American Statistical Association 63, 1968): of the N
sorted slopes those at (N ∓ z·√((n² - n)(2n + 5)/18))/2, z = 1.96.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

from loadgenctl.stats.blocks import without_bootstrap
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.read_run import RunData, StageData

Points = Sequence[tuple[float, float]]
Row = Mapping[str, Any]

LEAST: Final = 10
"""With fewer points than this a slope means nothing."""
MOST: Final = 300
"""With more points than this neighbours are combined, because pairs grow with the square."""
_Z: Final = 1.96
_DIGITS: Final = 9

_SAMPLED: Final = (
    ("kernel_memory_kib", "process", "kernel", "memory_rss_kib"),
    ("vats_memory_kib", "process", "vats", "memory_rss_kib"),
    ("storage_kib", "storage", ".", "disk_kib"),
)


def theil_sen(points: Points) -> dict[str, float | int] | None:
    """`{slope, low, high, points}` of y over x; None from fewer than 10 points or a single x.

    Of more than 300 points, neighbours in x are replaced by their medians first.
    """
    ordered = sorted(points)
    if len(ordered) < LEAST:
        return None
    used = _thin(ordered)
    slopes = sorted(
        (y2 - y1) / (x2 - x1)
        for place, (x1, y1) in enumerate(used)
        for x2, y2 in used[place + 1 :]
        if x2 != x1
    )
    if not slopes:
        return None
    n, pairs = len(used), len(slopes)
    half = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    low = max(0, math.floor(pairs / 2 - half))
    high = min(pairs - 1, math.ceil(pairs / 2 + half))
    return {
        "slope": rounded(median(slopes), _DIGITS),
        "low": rounded(slopes[low], _DIGITS),
        "high": rounded(slopes[high], _DIGITS),
        "points": len(ordered),
    }


def _thin(ordered: Points) -> Points:
    if len(ordered) <= MOST:
        return ordered
    edges = [round(part * len(ordered) / MOST) for part in range(MOST + 1)]
    groups = [ordered[start:end] for start, end in pairwise(edges)]
    return [(median(x for x, _ in group), median(y for _, y in group)) for group in groups]


def growth_rows(data: RunData) -> list[dict[str, Any]]:
    """Slopes of quantities under load, one row each: `stage`, `quantity`, `per`, the slope.

    With too few points, `slope`, `low` and `high` are None and `points` is their number. `per` is
    `block` or `cycle` (finished, all tasks); the unit is the quantity's per block or cycle. Only
    stages with cycles have rows. Storage has one over all of them, too (`stage` null), because it
    alone remains after a restart.
    """
    samples = _samples(data.samples())
    rows: list[dict[str, Any]] = []
    over_all: dict[str, list[tuple[float, float]]] = {"block": [], "cycle": []}
    cycles_before = 0
    for number, stage in data.stages.items():
        finishes = _finishes(stage)
        if not finishes:
            continue
        for quantity, series in _series(stage, samples.get(number, {})).items():
            for per, points in _against(stage, finishes, series).items():
                rows.append(_row(number, quantity, per, points))
                if quantity == "storage_kib":
                    shift = cycles_before if per == "cycle" else 0
                    over_all[per] += [(x + shift, y) for x, y in points]
        cycles_before += len(finishes)
    if len(samples) > 1:
        for per, points in over_all.items():
            if not points:
                continue
            rows.append(_row(None, "storage_kib", per, points))
    return rows


def _row(stage: int | None, quantity: str, per: str, points: Points) -> dict[str, Any]:
    found: dict[str, Any] | None = theil_sen(points)
    if found is None:
        found = {"slope": None, "low": None, "high": None, "points": len(points)}
    return {"stage": stage, "quantity": quantity, "per": per, **found}


def _finishes(stage: StageData) -> list[float]:
    """When the cycles of the stage finished, ascending, epoch seconds."""
    return sorted(
        float(row["finish"]) for row in stage.cycles if isinstance(row.get("finish"), int | float)
    )


def _series(stage: StageData, sampled: Mapping[str, Points]) -> dict[str, Points]:
    """Quantity → (time, value) in the stage's live blocks and samples."""
    live = [row for row in without_bootstrap(stage.blocks) if row.get("liveMode")]
    blocks = [
        (row["endFinishAt"], row["swingsetTime"])
        for row in live
        if "swingsetTime" in row and "endFinishAt" in row
    ]
    heap = [
        (row["endFinishAt"], row["kernelHeap"] / 1024)
        for row in live
        if "kernelHeap" in row and "endFinishAt" in row
    ]
    known = {"kernel_heap_kib": heap} if heap else {}
    return {"swingset_time_s": blocks, **known, **sampled}


def _against(
    stage: StageData, finishes: Sequence[float], series: Points
) -> dict[str, list[tuple[float, float]]]:
    """(time, value) → (block height, value) and (cycles finished, value), under load only."""
    begun = sorted((row["beginAt"], row["blockHeight"]) for row in stage.blocks if "beginAt" in row)
    begins = [time for time, _ in begun]
    starts = [row["start"] for row in stage.cycles if isinstance(row.get("start"), int | float)]
    first, last = min(starts, default=finishes[0]), finishes[-1]
    by_block, by_cycle = [], []
    for time, value in series:
        if not first <= time <= last:
            continue
        by_cycle.append((float(bisect_right(finishes, time)), value))
        place = bisect_right(begins, time)
        if place:
            by_block.append((float(begun[place - 1][1]), value))
    return {"block": by_block, "cycle": by_cycle}


def _samples(rows: Iterable[Row]) -> dict[int, dict[str, list[tuple[float, float]]]]:
    """Stage → quantity → (time, value)."""
    wanted = {(kind, subject): (name, column) for name, kind, subject, column in _SAMPLED}
    found: dict[int, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        target = wanted.get((str(row.get("kind")), str(row.get("subject"))))
        stage, time = row.get("stage"), row.get("time")
        if target is None or not isinstance(stage, int) or not isinstance(time, int | float):
            continue
        value = row.get(target[1])
        if isinstance(value, int | float):
            found.setdefault(stage, {}).setdefault(target[0], []).append((float(time), value))
    return found
