"""A container's statistics document, as Docker's API gives it, turned into values with units.

Pure. Both generations of control groups are understood; what a document does not say is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

Value = int | float | None

COUNTERS: Final = frozenset(
    {
        "cpu_total_s",
        "cpu_user_s",
        "cpu_system_s",
        "cpu_periods",
        "cpu_throttled_periods",
        "cpu_throttled_s",
        "network_rx_bytes",
        "network_tx_bytes",
        "block_read_bytes",
        "block_write_bytes",
    }
)
"""Columns that only grow while a container lives; the others are momentary."""

COLUMNS: Final = (
    "cpu_total_s",
    "cpu_user_s",
    "cpu_system_s",
    "cpu_periods",
    "cpu_throttled_periods",
    "cpu_throttled_s",
    "memory_bytes",
    "memory_usage_bytes",
    "memory_cache_bytes",
    "memory_peak_bytes",
    "memory_limit_bytes",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
    "pids",
)
"""Every column, in the order of a row."""

_NANO = 1e9


def parse(document: Mapping[str, object]) -> dict[str, Value]:
    """All `COLUMNS` of a statistics document."""
    values: dict[str, Value] = dict.fromkeys(COLUMNS)
    if not _alive(document):
        return values
    values.update(_cpu(_mapping(document.get("cpu_stats"))))
    values.update(_memory(_mapping(document.get("memory_stats"))))
    values.update(_network(document.get("networks")))
    values.update(_block(_mapping(document.get("blkio_stats"))))
    values["pids"] = _number(_mapping(document.get("pids_stats")).get("current"))
    return values


def missing() -> dict[str, Value]:
    """All columns of a reading that failed."""
    return dict.fromkeys(COLUMNS)


def _alive(document: Mapping[str, object]) -> bool:
    """False for what Docker answers of a container that does not run: zeros and empty objects."""
    used = _mapping(_mapping(document.get("cpu_stats")).get("cpu_usage")).get("total_usage")
    return bool(used) or bool(_mapping(document.get("memory_stats")).get("usage"))


def _cpu(cpu: Mapping[str, Any]) -> dict[str, Value]:
    usage = _mapping(cpu.get("cpu_usage"))
    throttling = _mapping(cpu.get("throttling_data"))
    return {
        "cpu_total_s": _seconds(usage.get("total_usage")),
        "cpu_user_s": _seconds(usage.get("usage_in_usermode")),
        "cpu_system_s": _seconds(usage.get("usage_in_kernelmode")),
        "cpu_periods": _number(throttling.get("periods")),
        "cpu_throttled_periods": _number(throttling.get("throttled_periods")),
        "cpu_throttled_s": _seconds(throttling.get("throttled_time")),
    }


def _memory(memory: Mapping[str, Any]) -> dict[str, Value]:
    """Memory in use without the part of the page cache that the kernel may drop at any time.

    That part is the inactive file pages, which is what `docker stats` leaves out as well. Version 1
    counts it over the whole subtree in `total_inactive_file`; version 2 in `inactive_file`.
    """
    details = _mapping(memory.get("stats"))
    usage = _number(memory.get("usage"))
    inactive = _first(details, "total_inactive_file", "inactive_file")
    used = None
    if usage is not None and inactive is not None:
        used = max(0, usage - inactive)
    return {
        "memory_bytes": used,
        "memory_usage_bytes": usage,
        "memory_cache_bytes": _first(details, "total_cache", "cache", "file"),
        "memory_peak_bytes": _number(memory.get("max_usage")),
        "memory_limit_bytes": _number(memory.get("limit")),
    }


def _network(networks: object) -> dict[str, Value]:
    interfaces = [_mapping(each) for each in _mapping(networks).values()]
    return {
        "network_rx_bytes": _sum(each.get("rx_bytes") for each in interfaces),
        "network_tx_bytes": _sum(each.get("tx_bytes") for each in interfaces),
    }


def _block(block: Mapping[str, Any]) -> dict[str, Value]:
    """Bytes read and written over all devices.

    The list is null, or empty, where nothing went to a device or where the kernel does not count;
    the two cannot be told apart, so it is missing.
    """
    entries = block.get("io_service_bytes_recursive")
    listed = [_mapping(each) for each in entries] if isinstance(entries, list) else []
    return {
        f"block_{operation}_bytes": _sum(
            each.get("value") for each in listed if str(each.get("op", "")).lower() == operation
        )
        for operation in ("read", "write")
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _seconds(value: object) -> float | None:
    number = _number(value)
    return None if number is None else number / _NANO


def _first(values: Mapping[str, Any], *names: str) -> int | float | None:
    return next((found for name in names if (found := _number(values.get(name))) is not None), None)


def _sum(values: Iterable[object]) -> int | float | None:
    numbers = [found for value in values if (found := _number(value)) is not None]
    return sum(numbers) if numbers else None
