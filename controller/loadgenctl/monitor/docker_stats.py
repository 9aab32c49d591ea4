"""Turns a container's statistics, as Docker's API returns them, into values with units.

Pure. Reads control groups of version 1 and 2; what a document does not have is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from loadgenctl.records import columns
from loadgenctl.records.shape import mapping_of

Value = int | float | None

COUNTERS: Final = frozenset(columns.names(columns.CONTAINER, mark="C"))
"""Columns that only grow while a container lives; the others are momentary."""

COLUMNS: Final = columns.names(columns.CONTAINER)[1:]
"""The columns that are read, in the order of a row; `epoch` is counted here."""

_NANO = 1e9


def parse(document: Mapping[str, object]) -> dict[str, Value]:
    """All `COLUMNS` of a statistics document."""
    values: dict[str, Value] = dict.fromkeys(COLUMNS)
    if not _alive(document):
        return values
    values.update(_cpu(mapping_of(document.get("cpu_stats"))))
    values.update(_memory(mapping_of(document.get("memory_stats"))))
    values.update(_network(document.get("networks")))
    values.update(_block(mapping_of(document.get("blkio_stats"))))
    values["pids"] = _number(mapping_of(document.get("pids_stats")).get("current"))
    return values


def missing() -> dict[str, Value]:
    """All columns of a reading that failed."""
    return dict.fromkeys(COLUMNS)


def _alive(document: Mapping[str, object]) -> bool:
    """False for Docker's answer for a container that does not run: zeros and empty objects."""
    used = mapping_of(mapping_of(document.get("cpu_stats")).get("cpu_usage")).get("total_usage")
    return bool(used) or bool(mapping_of(document.get("memory_stats")).get("usage"))


def _cpu(cpu: Mapping[str, Any]) -> dict[str, Value]:
    usage = mapping_of(cpu.get("cpu_usage"))
    throttling = mapping_of(cpu.get("throttling_data"))
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

    That part is the inactive file pages, which `docker stats` leaves out, too. Version 1 counts it
    over the complete subtree in `total_inactive_file`; version 2 in `inactive_file`.
    """
    details = mapping_of(memory.get("stats"))
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
    interfaces = [mapping_of(each) for each in mapping_of(networks).values()]
    return {
        "network_rx_bytes": _sum(each.get("rx_bytes") for each in interfaces),
        "network_tx_bytes": _sum(each.get("tx_bytes") for each in interfaces),
    }


def _block(block: Mapping[str, Any]) -> dict[str, Value]:
    """Bytes read and written over all devices.

    The list is null, or empty, if nothing went to a device or if the kernel does not count. These
    two cannot be distinguished, so the value is missing.
    """
    entries = block.get("io_service_bytes_recursive")
    listed = [mapping_of(each) for each in entries] if isinstance(entries, list) else []
    return {
        f"block_{operation}_bytes": _sum(
            each.get("value") for each in listed if str(each.get("op", "")).lower() == operation
        )
        for operation in ("read", "write")
    }


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
