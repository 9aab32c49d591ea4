"""The content of a slog: blocks, vats, the startup, and totals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

TICKS: Final = 1 << 22
"""Per second: the resolution of a double for the seconds since the epoch from 2004 to 2038."""


STEP_S: Final = 0.1
"""Seconds. A larger change between the two clocks of a line means that `time` was set. Smaller ones
also arise when the writer is suspended between reading its two clocks.
"""


def ticks_between(
    start: float, end: float, mono: float | None = None, end_mono: float | None = None
) -> int:
    """A duration in ticks: unlike sums of seconds, their sums do not depend on the order.

    By `monotime` if both lines have it and are of the same process, else by `time`.
    """
    if mono is not None and end_mono is not None and end_mono >= mono:
        return round((end_mono - mono) * TICKS)
    return round((end - start) * TICKS)


Steady = tuple[int, float]
"""A time of the monotonic clock: the process by its number in the slog, and `monotime`."""


class Moment(NamedTuple):
    """When an event happened: epoch seconds as logged, and by the monotonic clock if known."""

    at: float
    steady: Steady | None = None


def seconds_between(start: Moment | None, end: Moment | None) -> float | None:
    """Seconds from `start` to `end`, by `monotime` if both are of one process, else by `time`.

    None if one is missing, or if only `time` is known and it was set back between the two.
    """
    if start is None or end is None:
        return None
    if start.steady is not None and end.steady is not None and start.steady[0] == end.steady[0]:
        return end.steady[1] - start.steady[1]
    return end.at - start.at if end.at >= start.at else None


class ClockStep(NamedTuple):
    """`time` advanced by so many seconds more (negative: fewer) than `monotime`."""

    at: float
    """`time` of the first line after it."""
    seconds: float
    block_height: int | None
    """The block that was open; None between blocks."""


@dataclass(slots=True)
class BlockRecord:
    """One block as its events report it. Times are epoch seconds as written; None if not seen."""

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
    begin_steady: Steady | None = None
    end_start_steady: Steady | None = None
    end_finish_steady: Steady | None = None
    """The same three times by the monotonic clock; None if lines have no `monotime`."""
    bootstrap: bool = False
    """True for the first block if it runs the core proposals of the bootstrap."""
    figures: dict[str, float] = field(default_factory=dict)
    """Further values of newer slogs (`slog.block_rows.FIGURES`): seconds, bytes, beans, counts."""

    def add(self, name: str, value: float) -> None:
        """Add to one of the figures."""
        self.figures[name] = self.figures.get(name, 0) + value

    @property
    def begin(self) -> Moment:
        """When the block began."""
        return Moment(self.begin_at, self.begin_steady)

    @property
    def end_start(self) -> Moment | None:
        """When its end-block began."""
        return _moment(self.end_start_at, self.end_start_steady)

    @property
    def end_finish(self) -> Moment | None:
        """When its end-block ended."""
        return _moment(self.end_finish_at, self.end_finish_steady)


def _moment(at: float | None, steady: Steady | None) -> Moment | None:
    return None if at is None else Moment(at, steady)


@dataclass(slots=True)
class VatRecord:
    """One vat over the slog. `deliveries` and the fields after it do not count replayed
    deliveries.
    """

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
    replay_s: float | None = None
    """Sum over all its replays."""
    page_ins: int = 0
    """How often it was brought online again after its process's startup; evictions before these."""
    evictions: int = 0
    snapshots: int = 0
    """Heap snapshots saved; the size of the last one in bytes, uncompressed."""
    snapshot_bytes: int | None = None
    snapshot_delta_bytes: int | None = None
    """Growth of its heap snapshots by their deltas; negative: shrunk."""
    cleanup_work: int = 0
    """Entries deleted since it was terminated."""

    @property
    def delivery_time_s(self) -> float:
        """Sum over deliveries of deliver-result minus deliver, see `ticks_between`."""
        return self.delivery_ticks / TICKS


@dataclass(slots=True)
class Startup:
    """What happened before the first block. Epoch seconds; None if not seen."""

    kernel_import_at: float | None = None
    bootstrap_started_at: float | None = None
    bootstrap_finished_at: float | None = None
    bootstrap_s: float | None = None
    """If core proposals follow the bootstrap block: until the first block, which runs them, is
    committed.
    """
    bootstrap_block_s: float | None = None
    core_proposals_s: float | None = None
    """Bundling of the core proposals, between the bootstrap block and the first one."""
    core_block_s: float | None = None
    """The first block, which runs them, from its beginning to its commit."""
    bootstrap_deliveries: int = 0
    bootstrap_computrons: int = 0
    replay_started_at: float | None = None
    replay_finished_at: float | None = None
    replay_s: float | None = None
    replayed_deliveries: int = 0
    first_event_at: float | None = None
    last_event_at: float | None = None


@dataclass(slots=True)
class Totals:
    """Totals. `lines` and `types` need the census."""

    bytes: int = 0
    events: int = 0
    lines: int | None = None
    types: Counter[str] = field(default_factory=Counter)
