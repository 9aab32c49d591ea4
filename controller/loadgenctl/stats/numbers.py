"""Averages and percentiles. Missing values are left out; without values a result is None, not 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from loadgenctl.slog.block_rows import round_half_up, tidy

Spread = dict[str, float | int]
"""`count`, `avg`, `p50`, `p95`, `min`, `max` of one quantity, in its unit."""


def finite(values: Iterable[object]) -> list[float]:
    """The finite numbers among `values`, ascending; everything else is left out."""
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
    numbers.sort()
    return numbers


def percentile(ascending: Sequence[float], rank: float) -> float:
    """The percentile `rank` (0 to 100), interpolated linearly between the two nearest values.

    The definition is Hyndman and Fan's type 7. Raises `ValueError` without values.
    """
    if not ascending:
        raise ValueError("no values")
    place = (len(ascending) - 1) * rank / 100.0
    below = math.floor(place)
    if below + 1 >= len(ascending):
        return ascending[-1]
    low, high = ascending[below], ascending[below + 1]
    return low + (high - low) * (place - below)


def rounded(value: float, digits: int = 6) -> float | int:
    """`value` rounded half up to `digits` decimal digits; an integer if there is no fraction."""
    factor = 10.0**digits
    return tidy(round_half_up(value * factor) / factor)


def spread(values: Iterable[object], digits: int = 6) -> Spread | None:
    """Describe `values`; None if there is no number among them."""
    numbers = finite(values)
    if not numbers:
        return None
    return {
        "count": len(numbers),
        "avg": rounded(math.fsum(numbers) / len(numbers), digits),
        "p50": rounded(percentile(numbers, 50), digits),
        "p95": rounded(percentile(numbers, 95), digits),
        "min": rounded(numbers[0], digits),
        "max": rounded(numbers[-1], digits),
    }
