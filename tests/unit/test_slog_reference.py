"""Slogs of several forms: the numbers of their blocks are those of a second reading."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.reference_slog import blocks_of

from loadgenctl.slog.block_rows import FIGURES, BlockRows
from loadgenctl.slog.scan import SlogScanner, scan_file
from loadgenctl.stats.blocks import block_summaries

DATA = Path(__file__).resolve().parents[1] / "data"
BY_TIME = ("agoric-2021",)
NAMES = sorted(file.name.removesuffix(".slog.gz") for file in DATA.glob("*.slog.gz"))


def reference(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DATA / f"{name}.reference.json").read_text("utf-8"))
    return rows


def rows_of(name: str) -> tuple[SlogScanner, list[dict[str, Any]]]:
    scanner, records = scan_file(DATA / f"{name}.slog.gz", census=True)
    assert scanner.anomalies == {}
    rows = BlockRows()
    return scanner, [rows.row(record) for record in records]


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_every_block_is_that_of_the_reference(name: str) -> None:
    expected, (_, found) = reference(name), rows_of(name)
    assert len(found) == len(expected) > 5
    assert sum(row["deliveries"] for row in expected) > 20
    # By `time`, seconds since the epoch: differences of doubles of that size are not exact.
    micro, hundredth = (0.0, 0.0) if name not in BY_TIME else (2e-6, 0.02)
    for row, values in zip(found, expected, strict=True):
        for figure, value in values.items():
            allowed = hundredth if figure.endswith("Percentage") else micro
            assert row.get(figure) == pytest.approx(value, rel=0, abs=allowed), figure


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_what_its_script_says(name: str) -> None:
    slog = gzip.decompress((DATA / f"{name}.slog.gz").read_bytes())
    assert blocks_of(slog) == reference(name)


def test_the_references_hold_every_figure_that_the_simulated_sdk_tells() -> None:
    told = {name for slog in ("sim", "sim-bootstrap") for row in reference(slog) for name in row}
    assert set(FIGURES) - told <= {"priorityTime", "cleanupWork"}
    assert sum(row["snapshots"] for row in reference("sim")) > 0
    assert sum(row["evictions"] for row in reference("sim")) > 0


def test_the_bootstrap_has_its_parts() -> None:
    scanner, rows = rows_of("sim-bootstrap")
    startup = scanner.startup
    assert [row.get("bootstrap") for row in rows[:2]] == [True, None]
    assert startup.bootstrap_deliveries == 30
    assert startup.bootstrap_s is not None
    assert startup.bootstrap_block_s is not None
    assert startup.core_proposals_s is not None
    assert startup.core_block_s is not None
    parts = startup.bootstrap_block_s + startup.core_proposals_s + startup.core_block_s
    assert 0 <= startup.bootstrap_s - parts < 0.05


def test_the_first_block_of_a_real_bootstrap_belongs_to_it() -> None:
    scanner, rows = rows_of("agoric-2025-bootstrap")
    startup = scanner.startup
    assert [row.get("bootstrap") for row in rows[:2]] == [True, None]
    told = (startup.bootstrap_block_s, startup.core_proposals_s, startup.core_block_s)
    assert [round(seconds or 0.0, 1) for seconds in told] == [214.1, 863.4, 415.4]
    assert round(startup.bootstrap_s or 0.0) == 1498
    assert block_summaries(rows)["all"]["start_block_height"] == 2


def test_the_phases_of_2024_are_those_of_today_by_their_earlier_names() -> None:
    _, rows = rows_of("agoric-2024-wallets")
    (row,) = [row for row in rows if row["blockHeight"] == 15]
    assert (row["deliveries"], row["computrons"], row["pageIns"]) == (77, 6_540_531, 2)
    assert row["inboundTime"] > 0.99 * row["swingsetTime"]
    assert all("queuedTime" not in row for row in rows)


def test_real_vats_are_paged_in_when_they_get_a_delivery_after_a_restart() -> None:
    scanner, rows = rows_of("agoric-2025-wallets")
    (row,) = [row for row in rows if row["pageIns"]]
    assert (row["blockHeight"], row["pageIns"], row["evictions"]) == (12, 2, 0)
    # They take most of the block's time.
    assert row["swingsetTime"] > row["pageInTime"] > 0.7 * row["swingsetTime"]
    paged = [vat for vat in scanner.vats.values() if vat.page_ins]
    assert len(paged) == 2
