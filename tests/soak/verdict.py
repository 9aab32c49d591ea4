"""From what was counted after every run to a verdict: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from loadgenctl.stats.growth import theil_sen

WARM_UP: Final = 5
"""Runs until everything was imported and every cache is full."""
EDGE: Final = 5
"""Runs whose median is a beginning or an end."""
FLAT: Final = {"fds": 0.0, "threads": 0.0}
"""How much a quantity may be higher at the end than after the warm-up."""
MEMORY_KIB_PER_RUN: Final = 256.0
"""A slope of resident memory whose band lies wholly above it is a leak."""


@dataclass(frozen=True, slots=True)
class Count:
    """After a run: what is left of it, and what the controller's process holds."""

    run: int
    left: int
    """Containers, networks and volumes of the soak's runs."""
    fds: int
    threads: int
    rss_kib: int


@dataclass(frozen=True, slots=True)
class Trend:
    """A quantity over runs."""

    quantity: str
    first: float
    last: float
    """Medians of the first runs after the warm-up, and of the last."""
    peak: float
    slope: float | None
    """Per run; None from too few."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the product leaks."""

    trends: tuple[Trend, ...]
    leaked: int
    """Things left on the engine, over all runs."""
    complaints: tuple[str, ...]
    """What speaks against it; none: it passed."""


def judge(counts: Sequence[Count]) -> Verdict:
    """Of the runs in their order."""
    warm = [count for count in counts if count.run > WARM_UP]
    trends = tuple(_trend(name, warm) for name in ("fds", "threads", "rss_kib")) if warm else ()
    leaked = sum(count.left for count in counts)
    complaints = [f"{leaked} things were left on the engine"] if leaked else []
    for trend in trends:
        allowed = FLAT.get(trend.quantity)
        if allowed is not None and trend.last > trend.first + allowed:
            complaints.append(f"{trend.quantity} grew from {trend.first:g} to {trend.last:g}")
        if allowed is None and trend.low is not None and trend.low > MEMORY_KIB_PER_RUN:
            complaints.append(f"memory grows by {trend.slope:g} KiB per run")
    return Verdict(trends, leaked, tuple(complaints))


def _trend(name: str, counts: Sequence[Count]) -> Trend:
    values = [float(getattr(count, name)) for count in counts]
    found = theil_sen(
        [(float(count.run), value) for count, value in zip(counts, values, strict=True)]
    )
    slope, low, high = (found[key] for key in ("slope", "low", "high")) if found else (None,) * 3
    return Trend(name, median(values[:EDGE]), median(values[-EDGE:]), max(values), slope, low, high)
