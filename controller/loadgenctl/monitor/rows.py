"""What the agent's lines become: samples, and perf events in the original's shape. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadgenctl.records.schema import Sample

Row = Mapping[str, Any]

SMALLEST_FILE: Final = 5
"""KiB below which the original leaves a file out of its storage event."""

LIGHT_COLUMNS: Final = (
    "pid",
    "created_at",
    "age_s",
    "threads",
    "cpu_user_s",
    "cpu_system_s",
    "cpu_children_user_s",
    "cpu_children_system_s",
    "io_wait_s",
    "memory_rss_kib",
)
FULL_COLUMNS: Final = (
    *LIGHT_COLUMNS,
    "memory_peak_rss_kib",
    "memory_vms_kib",
    "memory_peak_vms_kib",
    "memory_anon_kib",
    "memory_file_kib",
    "memory_shmem_kib",
    "memory_data_kib",
    "memory_stack_kib",
    "memory_code_kib",
    "memory_libraries_kib",
    "memory_page_tables_kib",
    "memory_swap_kib",
    "fds",
    "io_read_bytes",
    "io_write_bytes",
)
TOTALS_COLUMNS: Final = ("workers", "cpu_user_s", "cpu_system_s", "memory_rss_kib")
AGENT_COLUMNS: Final = ("cpu_s", "memory_rss_kib", "took_s")

_USAGE_FIELDS: Final = {
    "real": "age_s",
    "blockIo": "io_wait_s",
    "childGuest": "cpu_children_guest_s",
    "childKernel": "cpu_children_system_s",
    "childUser": "cpu_children_user_s",
    "guest": "cpu_guest_s",
    "kernel": "cpu_system_s",
    "user": "cpu_user_s",
    "vmData": "memory_data_kib",
    "vmExe": "memory_code_kib",
    "vmHwm": "memory_peak_rss_kib",
    "vmLib": "memory_libraries_kib",
    "vmLocked": "memory_locked_kib",
    "vmPeak": "memory_peak_vms_kib",
    "vmPinned": "memory_pinned_kib",
    "vmPte": "memory_page_tables_kib",
    "vmRss": "memory_rss_kib",
    "vmSize": "memory_vms_kib",
    "vmStack": "memory_stack_kib",
    "vmSwap": "memory_swap_kib",
    "rssAnon": "memory_anon_kib",
    "rssFile": "memory_file_kib",
    "rssShmem": "memory_shmem_kib",
}
"""The original's field → ours, in the original's order."""


def samples(line: Row, stage: int, names: Mapping[str, str | None]) -> Iterator[Sample]:
    """The samples of one line of the agent; `names` are vat names from elsewhere (the slog)."""
    kind = line.get("kind")
    when = float(line.get("time") or 0.0)
    errors = line.get("errors") or {}
    if kind == "gap":
        yield _process(when, stage, "kernel", None, LIGHT_COLUMNS, None, line.get("reason"))
    if kind not in ("light", "full"):
        return
    columns = FULL_COLUMNS if kind == "full" else LIGHT_COLUMNS
    kernel = line.get("kernel")
    kernel_reason = errors.get("kernel") or _refusals(errors)
    yield _process(when, stage, "kernel", None, columns, kernel, kernel_reason)
    yield _process(when, stage, "vats", None, TOTALS_COLUMNS, line.get("totals"), None)
    yield _process(when, stage, "agent", None, AGENT_COLUMNS, line.get("agent"), None)
    for vat in line.get("vats") or ():
        name = vat.get("name") or names.get(vat["vat"])
        yield _process(when, stage, vat["vat"], name, FULL_COLUMNS, vat, _refusals(errors))
    if kind == "full" and "storage_total_kib" in line:
        yield from _storage(when, stage, line, errors.get("storage"))


def usage_events(line: Row, names: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """The fields of the `perf-chain-process-usage` events of a full line."""
    if line.get("kind") != "full":
        return
    kernel = line.get("kernel")
    if kernel is not None:
        yield {"processType": "kernel", **_usage(kernel)}
    for vat in line.get("vats") or ():
        identity = {"processType": "vat", "vatID": vat["vat"]}
        name = vat.get("name") or names.get(vat["vat"])
        if name is not None:
            identity["name"] = name
        yield {**identity, **_usage(vat)}


def storage_event(line: Row) -> dict[str, Any] | None:
    """The `chain` field of a `perf-chain-storage-usage` event; None if storage was not read."""
    storage = line.get("storage")
    if not isinstance(storage, Mapping):
        return None
    return {file: _whole(kib) for file, kib in storage.items() if kib >= SMALLEST_FILE}


def _usage(process: Row) -> dict[str, Any]:
    return {field: process.get(ours) for field, ours in _USAGE_FIELDS.items()}


def _storage(when: float, stage: int, line: Row, reason: str | None) -> Iterator[Sample]:
    total = {"disk_kib": _whole(line.get("storage_total_kib"))}
    yield Sample(when, stage, "agent", "storage", "chain", ".", None, total, reason)
    for file, kib in (line.get("storage") or {}).items():
        values = {"disk_kib": _whole(kib)}
        yield Sample(when, stage, "agent", "storage", "chain", file, None, values)


def _process(
    when: float,
    stage: int,
    subject: str,
    name: str | None,
    columns: tuple[str, ...],
    values: Row | None,
    reason: str | None,
) -> Sample:
    found = {column: None if values is None else values.get(column) for column in columns}
    lacks = any(value is None for value in found.values())
    why = reason if lacks else None
    return Sample(when, stage, "agent", "process", "chain", subject, name, found, why)


def _refusals(errors: Row) -> str | None:
    """What could not be read of processes, in words."""
    kinds = [f"{kind}: {errors[kind]}" for kind in ("memory", "fds", "io") if kind in errors]
    return "; ".join(kinds) or None


def _whole(kib: float | None) -> float | int | None:
    """512-byte blocks make halves of KiB; whole numbers are written without `.0`, as before."""
    return int(kib) if kib is not None and kib == int(kib) else kib
