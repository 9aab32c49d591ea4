"""Turns lines of the agent into samples, and into perf events in the original's shape. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadgenctl.records import columns
from loadgenctl.records.schema import sample_row

Row = Mapping[str, Any]

SMALLEST_FILE: Final = 5
"""KiB below which the original leaves a file out of its storage event."""
FULL_COLUMNS: Final = columns.names(columns.PROCESS)
_LIGHT_COLUMNS: Final = columns.names(columns.PROCESS, mark="*")
_VATS_COLUMNS: Final = columns.names(columns.VATS)
_AGENT_COLUMNS: Final = columns.names(columns.AGENT)


def samples(line: Row, stage: int, names: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """The samples of one line of the agent; `names` are vat names from elsewhere (the slog)."""
    kind = line.get("kind")
    when = float(line.get("time") or 0.0)
    errors = line.get("errors") or {}

    def process(
        subject: str,
        wanted: tuple[str, ...],
        read: Row | None,
        reason: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        found = {column: None if read is None else read.get(column) for column in wanted}
        why = reason if None in found.values() else None
        return sample_row(when, stage, "agent", "process", subject, found, name=name, reason=why)

    if kind == "gap":
        yield process("kernel", _LIGHT_COLUMNS, None, line.get("reason"))
    if kind not in ("light", "full"):
        return
    wanted = FULL_COLUMNS if kind == "full" else _LIGHT_COLUMNS
    refused = _refusals(errors)
    yield process("kernel", wanted, line.get("kernel"), errors.get("kernel") or refused)
    yield process("vats", _VATS_COLUMNS, line.get("totals"))
    yield process("agent", _AGENT_COLUMNS, line.get("agent"))
    for vat in line.get("vats") or ():
        name = vat.get("name") or names.get(vat["vat"])
        yield process(vat["vat"], FULL_COLUMNS, vat, refused, name)
    if kind == "full" and "storage_total_kib" in line:
        files = {".": line["storage_total_kib"], **(line.get("storage") or {})}
        for file, kib in files.items():
            reason = errors.get("storage") if file == "." else None
            disk = {"disk_kib": _whole(kib)}
            yield sample_row(when, stage, "agent", "storage", file, disk, reason=reason)


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
    return {column.name: process.get(column.mark) for column in columns.USAGE}


def _refusals(errors: Row) -> str | None:
    """What could not be read of processes, in words."""
    kinds = [f"{kind}: {errors[kind]}" for kind in ("memory", "fds", "io") if kind in errors]
    return "; ".join(kinds) or None


def _whole(kib: float | None) -> float | int | None:
    """512-byte blocks make halves of KiB; whole numbers are written without `.0`."""
    return int(kib) if kib is not None and kib == int(kib) else kib
