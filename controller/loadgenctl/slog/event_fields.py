"""What is kept of an event's fields, by type, and checks of values: a slog may contain anything.

Values that should be numbers and are not are left out. Most names are those of a block's figures
(`slog.block_rows.FIGURES`), the others are the event's own. Sources: SwingSet's `kernel.js` and
`vat-warehouse.js`, cosmic-swingset's `launch-chain.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from loadgenctl.slog import events as ev
from loadgenctl.slog.events import Stamp

TIME_LIMIT: Final = 1e12
"""Seconds; larger values are not times."""
WHOLE_LIMIT: Final = 1 << 53
"""The chain writes integers as JavaScript does: they are exact up to this one."""
_SIMPLE: Final = frozenset({str, int, float, bool})


def stamp_in(fields: Mapping[str, Any]) -> Stamp | None:
    """The times of an event; None without a valid `time`."""
    try:
        return as_time(fields["time"]), as_mono(fields.get("monotime"))
    except (KeyError, TypeError):
        return None


def vat_in(fields: Mapping[str, Any]) -> str | None:
    """The vat of an event; None if it does not have one."""
    vat_id = fields.get("vatID")
    return vat_id if isinstance(vat_id, str) else None


def is_plain(value: object) -> bool:
    """True for strings, numbers and booleans: nested lists may be too deep to serialise."""
    return type(value) in _SIMPLE


def as_mono(value: object) -> float | None:
    """The value if it is a time of a clock that begins at 0, else None."""
    if (type(value) is float or type(value) is int) and 0 <= value < TIME_LIMIT:
        return value
    return None


def as_time(value: object) -> float:
    """The value if it is a time. Raises `TypeError`."""
    # `isinstance` with two classes and without bool would cost more.
    if (type(value) is float or type(value) is int) and -TIME_LIMIT < value < TIME_LIMIT:
        return value
    raise TypeError(value)


def as_whole(value: object) -> int:
    """The value if it is an exact integer in JavaScript. Raises `TypeError`."""
    if type(value) is int and -WHOLE_LIMIT < value < WHOLE_LIMIT:
        return value
    raise TypeError(value)


Fields = dict[str, Any]

_KEPT: Final = ("vatID", "blockHeight", "blockTime")
_QUEUE: Final = (("queuedAtEnd", "cosmic_swingset_inbound_queue_length"),)
_BEANS: Final = (("usedBeans", "usedBeans"), ("startBeans", "startBeans"))
_GC: Final = (("gcTime", "forcedGc"),)
_PHASES: Final[Mapping[str, str]] = {
    "leftover": "leftoverTime",
    "forced": "forcedTime",
    "priority": "priorityTime",
    "high-priority": "priorityTime",
    "timer": "timerTime",
    "inbound": "inboundTime",
    "queued": "inboundTime",
    "cleanup": "cleanupTime",
}
"""Phase of a run → the figure of its time. `high-priority` and `queued`: until January 2025."""


_BEGIN_BLOCK: Final = (
    ("interBlockTime", "interBlockSeconds"),
    ("hangoverTime", "afterCommitHangoverSeconds"),
    ("blockLag", "blockLagSeconds"),
)
"""Seconds; since February 2025, null in a process's first block."""
_KERNEL_STATS: Final = (
    ("runQueue", "runQueueLength"),
    ("kernelObjects", "kernelObjects"),
    ("kernelPromises", "kernelPromises"),
    ("clistEntries", "clistEntries"),
)
"""The kernel's counts after a run, since October 2022."""
_COMMIT: Final = (
    ("chainSaveTime", "chainTime"),
    ("kernelSaveTime", "saveTime"),
    ("cosmosCommitTime", "cosmosCommitSeconds"),
    ("fullSaveTime", "fullSaveTime"),
)
"""Seconds: since April 2023, of cosmos since February 2025."""
_MEMORY: Final = (
    ("kernelHeap", "heapUsed"),
    ("kernelHeapTotal", "heapTotal"),
    ("kernelMemory", "rss"),
)
"""Bytes of V8's heap and of the chain's process, since June 2022."""
_SNAPSHOT: Final = (
    ("size", "rawByteCount"),
    ("packed", "compressedByteCount"),
    ("size", "uncompressedSize"),
    ("packed", "compressedSize"),
    ("delta", "uncompressedSizeDelta"),
)
"""Bytes: in 2022 by the first two names, not in summer 2022; the delta since February 2025."""
_SNAPSHOT_TIMES: Final = ("rawSaveSeconds", "compressSeconds", "dbSaveSeconds")


def fields_of(kind: str, event: Mapping[str, Any]) -> Fields:
    """The fields of an event that are used."""
    fields = {name: event[name] for name in _KEPT if is_plain(event.get(name))}
    more = _MORE.get(kind)
    if more is not None:
        more(event, fields)
    return fields


def _begin_block(event: Mapping[str, Any], fields: Fields) -> None:
    _numbers(event, _BEGIN_BLOCK, fields)


def _end_block_finish(event: Mapping[str, Any], fields: Fields) -> None:
    """Lengths of the queue of actions: `queuedAtEnd` since April 2023, the others March 2025."""
    _numbers(_dict(event, "inboundQueueStats"), _QUEUE, fields)
    lengths = event.get("inboundQueueStartLengths")
    if isinstance(lengths, dict):
        fields["queuedAtStart"] = _sum(lengths.values())
    counts = event.get("processedActionCounts")
    if isinstance(counts, list):
        fields["actions"] = _sum(row.get("count") for row in counts if isinstance(row, dict))


def _run(event: Mapping[str, Any], fields: Fields) -> None:
    """Beans since September 2022, at the start since August 2023; the phase, as the figure of its
    time, since December 2024.
    """
    _numbers(event, _BEANS, fields)
    phase = event.get("phase")
    if isinstance(phase, str):
        fields["phase"] = _PHASES.get(phase, "")


def _kernel_stats(event: Mapping[str, Any], fields: Fields) -> None:
    _numbers(_dict(event, "stats"), _KERNEL_STATS, fields)


def _commit_finish(event: Mapping[str, Any], fields: Fields) -> None:
    _numbers(event, _COMMIT, fields)


def _after_commit(event: Mapping[str, Any], fields: Fields) -> None:
    """`gcTime` in seconds; the event has milliseconds."""
    _numbers(_dict(event, "memoryUsage"), _MEMORY, fields)
    _numbers(_dict(event, "statsTime"), _GC, fields)
    if "gcTime" in fields:
        fields["gcTime"] /= 1000


def _snapshot_save(event: Mapping[str, Any], fields: Fields) -> None:
    _numbers(event, _SNAPSHOT, fields)
    spent = [event[name] for name in _SNAPSHOT_TIMES if name in event]
    if spent:
        fields["seconds"] = _sum(spent)


def _cleanup(event: Mapping[str, Any], fields: Fields) -> None:
    """How many entries of a terminated vat were deleted, of all kinds; since August 2024."""
    fields["cleanupWork"] = _sum(_dict(event, "work").values())


_MORE: Final[Mapping[str, Callable[[Mapping[str, Any], Fields], None]]] = {
    ev.BEGIN_BLOCK: _begin_block,
    ev.END_BLOCK_FINISH: _end_block_finish,
    ev.RUN_FINISH: _run,
    ev.KERNEL_STATS: _kernel_stats,
    ev.COMMIT_FINISH: _commit_finish,
    ev.AFTER_COMMIT_BLOCK: _after_commit,
    ev.AFTER_COMMIT_STATS: _after_commit,
    ev.SNAPSHOT_SAVE: _snapshot_save,
    ev.VAT_CLEANUP: _cleanup,
}


def _numbers(found: Mapping[str, Any], names: tuple[tuple[str, str], ...], fields: Fields) -> None:
    """Put the numbers that exist into `fields`, by our names."""
    # Written for speed: there are several such events in each block.
    for ours, theirs in names:
        value = found.get(theirs)
        if (type(value) is int or type(value) is float) and -WHOLE_LIMIT < value < WHOLE_LIMIT:
            fields[ours] = value


def _sum(values: Iterable[object]) -> float | int:
    """The sum of the values that are numbers."""
    total: float | int = 0
    for value in values:
        if (type(value) is int or type(value) is float) and -WHOLE_LIMIT < value < WHOLE_LIMIT:
            total += value
    return total


def _dict(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}
