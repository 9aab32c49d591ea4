"""What a slog tells: blocks, vats, the startup, and how much was seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

TICKS: Final = 1 << 22
"""In a second: what a double can tell apart of the seconds since the epoch from 2004 to 2038."""


def ticks_between(start: float, end: float) -> int:
    """A duration in ticks: sums of them do not depend on the order, as those of seconds would."""
    return round((end - start) * TICKS)


@dataclass(slots=True)
class BlockRecord:
    """One block as its events tell it. Times are epoch seconds as written; None where not seen."""

    block_height: int
    block_time: float
    begin_at: float
    end_start_at: float | None = None
    end_finish_at: float | None = None
    slog_lines: int | None = None
    """Lines between end-block-start and end-block-finish, neither counted."""
    deliveries: int = 0
    first_crank_num: int | None = None
    last_crank_num: int | None = None
    computrons: int = 0


@dataclass(slots=True)
class VatRecord:
    """One vat over the slog. `deliveries` and what follows do not count replayed deliveries."""

    vat_id: str
    name: str | None = None
    dynamic: bool | None = None
    manager_type: str | None = None
    created_at: float | None = None
    started_at: float | None = None
    terminated_at: float | None = None
    deliveries: int = 0
    failed_deliveries: int = 0
    computrons: int = 0
    delivery_ticks: int = 0
    replayed_deliveries: int = 0
    replay_started_at: float | None = None
    replay_finished_at: float | None = None

    @property
    def delivery_time_s(self) -> float:
        """Sum over deliveries of deliver-result's time minus deliver's time."""
        return self.delivery_ticks / TICKS


@dataclass(slots=True)
class Startup:
    """What happened before the first block. Epoch seconds; None where not seen."""

    kernel_import_at: float | None = None
    bootstrap_started_at: float | None = None
    bootstrap_finished_at: float | None = None
    bootstrap_deliveries: int = 0
    bootstrap_computrons: int = 0
    replay_started_at: float | None = None
    replay_finished_at: float | None = None
    replayed_deliveries: int = 0
    first_event_at: float | None = None
    last_event_at: float | None = None


@dataclass(slots=True)
class Totals:
    """Sizes seen. `lines` and `types` need the census."""

    bytes: int = 0
    events: int = 0
    lines: int | None = None
    types: Counter[str] = field(default_factory=Counter)
