"""Rows of blocks and their summaries."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.slog.block_rows import BlockRows, percentage, round_half_up, round_seconds
from loadgenctl.slog.scan import BlockRecord
from loadgenctl.stats.blocks import block_summaries, block_summary
from loadgenctl.stats.numbers import percentile, rounded, spread


def block(height: int, begin: float, **fields: Any) -> BlockRecord:
    whole: dict[str, Any] = {
        "end_start_at": begin + 0.1,
        "end_finish_at": begin + 1.1,
        "slog_lines": 3,
    }
    return BlockRecord(height, begin - 6, begin, **{**whole, **fields})


def test_rounding_is_half_up_as_in_javascript() -> None:
    assert [round_half_up(value) for value in (0.5, 1.5, 2.5, -0.5, -1.5)] == [1, 2, 3, 0, -1]
    assert round_half_up(0.49999999999999994) == 0
    assert round_half_up(2.0**53 - 1) == 2.0**53 - 1
    assert round_seconds(1.0000005) == 1.000001
    assert percentage(0.123456) == 12.35


def test_durations_need_the_block_before() -> None:
    rows = BlockRows(stage=4)
    first, second = rows.row(block(10, 100.0)), rows.row(block(11, 105.0))
    assert list(first)[:3] == ["stage", "blockHeight", "blockTime"]
    assert not {"blockDuration", "chainBlockDuration", "idleTime", "swingsetPercentage"} & set(
        first
    )
    assert (first["swingsetTime"], first["lag"]) == (1, 6)
    assert second["blockDuration"] == 5
    assert second["chainBlockDuration"] == 5
    assert second["idleTime"] == 3.9
    assert second["swingsetPercentage"] == 20
    assert "blockDuration" not in rows.row(block(13, 120.0))


def test_an_unfinished_block_has_what_happened() -> None:
    row = BlockRows().row(BlockRecord(3, 94, 100.0))
    assert row == {
        "blockHeight": 3,
        "blockTime": 94,
        "beginAt": 100.0,
        "deliveries": 0,
        "computrons": 0,
        "lag": 6,
    }


def test_across_a_clock_that_was_set_back_nobody_knows_durations() -> None:
    rows = BlockRows()
    rows.row(block(1, 5000.0))
    back, after = rows.row(block(2, 1405.0)), rows.row(block(3, 1410.0))
    assert not {"blockDuration", "idleTime", "swingsetPercentage"} & set(back)
    assert back["swingsetTime"] == 1
    assert (after["blockDuration"], after["idleTime"]) == (5, 3.9)


def test_two_blocks_at_one_time_have_a_share_of_nothing() -> None:
    rows = BlockRows()
    rows.row(block(1, 100.0))
    still = block(2, 101.1, end_start_at=101.1, end_finish_at=101.1)
    row = rows.row(still)
    assert (row["blockDuration"], row["swingsetPercentage"], row["processingPercentage"]) == (
        0,
    ) * 3


def test_live_and_before_shutdown_by_the_begin_of_end_block() -> None:
    rows = BlockRows()
    when = {"chain_ready_at": 105.1, "shutdown_at": 110.1}
    modes = [
        (row["liveMode"], row["beforeShutdown"])
        for row in (rows.row(block(n, 100.0 + 5 * n), **when) for n in range(4))
    ]
    assert modes == [(False, True), (True, True), (True, False), (True, False)]


def test_groups_and_absent_quantities() -> None:
    rows = BlockRows()
    made = [rows.row(block(n, 5.0 * n), chain_ready_at=20.0, shutdown_at=900.0) for n in range(200)]
    summaries = block_summaries(made)
    assert summaries["all"]["block_count"] == 200
    assert summaries["catch_up"]["block_count"] == 4
    assert summaries["live"]["start_block_height"] == 4
    assert (summaries["last100"]["start_block_height"], summaries["last100"]["block_count"]) == (
        80,
        100,
    )
    assert summaries["all"]["block_duration_s"]["count"] == 199
    assert "block_duration_s" not in (block_summary(made[:1]) or {})
    assert block_summary([]) is None
    assert block_summaries([]) == {}


def test_a_percentile_of_percentages_is_rounded_once() -> None:
    rows = [
        {"blockHeight": n, "blockDuration": 3, "swingsetTime": time, "swingsetPercentage": share}
        for n, (time, share) in enumerate(((0.735112, 24.5), (0.735441, 24.51)))
    ]
    shares = [100 * row["swingsetTime"] / 3 for row in rows]
    summary = block_summary(rows)
    assert summary is not None
    spread_of = summary["swingset_percentage"]
    assert spread_of["p95"] == round(percentile(shares, 95), 2)
    assert (spread_of["min"], spread_of["max"]) == (24.5, 24.51)


def test_a_percentage_stays_what_its_block_s_row_says_where_times_are_too_coarse() -> None:
    row = {"blockHeight": 1, "blockDuration": 2e-6, "swingsetTime": 1e-6}
    for share in (0, 12.34, 66.67):
        summary = block_summary([{**row, "swingsetPercentage": share}]) or {}
        assert summary["swingset_percentage"]["avg"] == share
    assert "swingset_percentage" not in (block_summary([row]) or {})


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60))
def test_percentiles_interpolate(values: list[float]) -> None:
    values.sort()
    assert percentile(values, 0) == values[0]
    assert percentile(values, 100) == values[-1]
    expected = statistics.quantiles(values, n=20, method="inclusive")
    assert math.isclose(percentile(values, 95), expected[18], rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(percentile(values, 50), expected[9], rel_tol=1e-9, abs_tol=1e-6)


def test_missing_values_are_left_out_and_nothing_is_absent() -> None:
    assert spread([None, math.nan, math.inf, "x", True]) is None
    assert spread([None, 1, 3]) == {"count": 2, "avg": 2, "p50": 2, "p95": 2.9, "min": 1, "max": 3}
    assert rounded(1.23456789) == 1.234568
    assert rounded(2.0) == 2
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
