"""Rows of vats, of the startup and of steps of the clock, from a scanned slog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loadgenctl.slog.model import ClockStep, Startup, VatRecord
from loadgenctl.stats.numbers import rounded


def vat_rows(vats: Iterable[VatRecord]) -> list[dict[str, Any]]:
    """One row per vat, the busiest first.

    `delivery_time_s` is the total time from deliver to deliver-result, `replay_s` that of its
    replays. Replayed deliveries count only in `replayed_deliveries`. `page_ins` are those after
    the process's startup, `evictions` were before them. `snapshot_bytes` is the uncompressed size
    of the last heap snapshot, `snapshot_delta_bytes` the sum of the differences in size between
    each snapshot and the one before. Unknown is None.
    """
    rows: list[dict[str, Any]] = [
        {
            "vat_id": vat.vat_id,
            "name": vat.name,
            "dynamic": vat.dynamic,
            "manager_type": vat.manager_type,
            "deliveries": vat.deliveries,
            "failed_deliveries": vat.failed_deliveries,
            "computrons": vat.computrons,
            "delivery_time_s": rounded(vat.delivery_time_s),
            "replayed_deliveries": vat.replayed_deliveries,
            "replay_s": _seconds(vat.replay_s),
            "page_ins": vat.page_ins,
            "evictions": vat.evictions,
            "snapshots": vat.snapshots,
            "snapshot_bytes": vat.snapshot_bytes,
            "snapshot_delta_bytes": vat.snapshot_delta_bytes,
            "cleanup_work": vat.cleanup_work,
            "created_at": vat.created_at,
            "terminated_at": vat.terminated_at,
        }
        for vat in vats
    ]
    rows.sort(key=lambda row: (-row["delivery_time_s"], -row["deliveries"], row["vat_id"]))
    return rows


def startup_row(startup: Startup) -> dict[str, Any]:
    """Bootstrap and replay of the kernel; fields of what did not happen are absent."""
    row: dict[str, Any] = {}
    bootstrap = _seconds(startup.bootstrap_s)
    if bootstrap is not None:
        row["bootstrap_s"] = bootstrap
        row["bootstrap_deliveries"] = startup.bootstrap_deliveries
        row["bootstrap_computrons"] = startup.bootstrap_computrons
    if startup.core_proposals_s is not None:
        parts = (
            ("bootstrap_block_s", startup.bootstrap_block_s),
            ("core_proposals_s", startup.core_proposals_s),
            ("core_block_s", startup.core_block_s),
        )
        row |= {name: rounded(value) for name, value in parts if value is not None}
    replay = _seconds(startup.replay_s)
    if replay is not None and startup.replayed_deliveries:
        row["replay_s"] = replay
        row["replayed_deliveries"] = startup.replayed_deliveries
    return row


def step_rows(steps: Iterable[ClockStep]) -> list[dict[str, Any]]:
    """One row per step of the machine's clock.

    `at` is the log's `time` after the step, `seconds` how far the clock was set (negative: back),
    `block` the height of the open block, None between blocks.
    """
    return [
        {"at": step.at, "seconds": rounded(step.seconds), "block": step.block_height}
        for step in steps
    ]


def _seconds(duration: float | None) -> float | int | None:
    return None if duration is None else rounded(duration)
