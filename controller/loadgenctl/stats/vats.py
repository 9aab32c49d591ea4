"""Numbers per vat, and of the startup, from a scanned slog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loadgenctl.slog.scan import Startup, VatRecord
from loadgenctl.stats.numbers import rounded


def vat_rows(vats: Iterable[VatRecord]) -> list[dict[str, Any]]:
    """One row per vat, the busiest first.

    `delivery_time_s` is the sum of deliver to deliver-result; `replay_s` from the replay's start to
    its end. Replayed deliveries count only in `replayed_deliveries`. Unknown is None.
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
            "replay_s": _span(vat.replay_started_at, vat.replay_finished_at),
            "created_at": vat.created_at,
            "terminated_at": vat.terminated_at,
        }
        for vat in vats
    ]
    rows.sort(key=lambda row: (-row["delivery_time_s"], -row["deliveries"], row["vat_id"]))
    return rows


def startup_row(startup: Startup) -> dict[str, Any]:
    """Bootstrap and replay of the kernel; what did not happen is absent."""
    row: dict[str, Any] = {}
    bootstrap = _span(startup.bootstrap_started_at, startup.bootstrap_finished_at)
    if bootstrap is not None:
        row["bootstrap_s"] = bootstrap
        row["bootstrap_deliveries"] = startup.bootstrap_deliveries
        row["bootstrap_computrons"] = startup.bootstrap_computrons
    replay = _span(startup.replay_started_at, startup.replay_finished_at)
    if replay is not None:
        row["replay_s"] = replay
        row["replayed_deliveries"] = startup.replayed_deliveries
    return row


def _span(start: float | None, end: float | None) -> float | int | None:
    return None if start is None or end is None else rounded(end - start)
