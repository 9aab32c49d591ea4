"""What all reports take from a summary (`stats.run.summarize`), whatever is missing in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Summary = Mapping[str, Any]

MEASURING: Final = ("agent", "controller")
"""Processes that are there because of the measurement."""


def part(source: Summary, name: str) -> Summary:
    """The document of that name; an empty one where there is none."""
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def parts(source: Summary, name: str) -> Sequence[Summary]:
    """The list of that name; an empty one where there is none."""
    value = source.get(name)
    return value if isinstance(value, list) else []


def memory(row: Summary) -> tuple[float | None, float | None]:
    """Highest and average memory (or storage) in KiB, None where unknown."""
    values = part(row, "values")
    for name, per_kib in (("memory_rss_kib", 1), ("memory_bytes", 1024), ("disk_kib", 1)):
        found = part(values, name)
        if not found:
            continue
        peak = part(values, "memory_peak_rss_kib").get("max") if per_kib == 1 else None
        highest = max(number for number in (found.get("max"), peak) if number is not None)
        return highest / per_kib, found["avg"] / per_kib
    return None, None
