"""The figures of a block that the original load generator does not have: their names and units.

They come from events and fields that SDKs have written since the summer of 2022 (docs/slog.md). In
the slog of an older SDK there are none of them: they are absent, not 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadgenctl.records import columns

FIGURES: Final[Mapping[str, str]] = {
    column.name: column.unit for column in columns.FIGURE if column.kind != "truth"
}
"""Name in a block's row → unit (`s`, `bytes`, …), in the order in which they are written."""

_PAGED: Final = ("pageIns", "evictions", "replayedDeliveries", "pageInTime", "cleanupWork")
_SAVED: Final = ("snapshots", "snapshotBytes", "snapshotCompressedBytes", "snapshotTime")


def summary_name(figure: str) -> str:
    """A figure's name in summaries, with its unit: `runTime` → `run_time_s`."""
    name = "".join(f"_{char.lower()}" if char.isupper() else char for char in figure)
    unit = {"s": "_s", "bytes": "_bytes"}.get(FIGURES[figure], "")
    return name.removesuffix(unit) + unit


BOOTSTRAP: Final = "bootstrap"
"""In a block's row: true for the first block, where it runs the core proposals of the bootstrap."""


def complete(figures: dict[str, float]) -> None:
    """Add the zeros: of a block with runs it is known how often what did not happen happened."""
    if "runTime" not in figures:
        return
    for name in _PAGED:
        figures.setdefault(name, 0)
    if "snapshots" not in figures:
        figures.update(dict.fromkeys(_SAVED, 0))
