"""Latencies of wallets' offers: their summary, and whether they fit the times of their blocks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.records.offers import MOST, offers_of
from loadgenctl.stats.cycles import (
    checked,
    cycle_summaries,
    cycles_of_events,
    fits,
    moments,
    offer_summary,
)

BLOCK_TIME = 5.0
BLOCKS = [
    {"blockHeight": height, "beginAt": 100 + 5.0 * height, "endFinishAt": 100.5 + 5.0 * height}
    for height in range(1, 20)
]


def cycle(**fields: Any) -> dict[str, Any]:
    """Two offers from 112 s on: seen in blocks 3 and 5, settled in 4 and 6, soon after."""
    return {
        "task": "amm",
        "seq": 7,
        "success": True,
        "start": 112.0,
        "finish": 130.75,
        "inclusion_s": [3.8, 4.9],
        "settlement_s": [8.7, 10.0],
        "included_height": [3, 5],
        "settled_height": [4, 6],
        "gas": [80_000, 90_000],
        **fields,
    }


def test_latencies_that_fit_their_blocks() -> None:
    assert checked([cycle()], BLOCKS) == {"checked": 4, "mismatched": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        # Blocks too early, too late; seen before the block was there; a clock of another time.
        {"included_height": [1, 5]},
        {"included_height": [4, 5]},
        {"settled_height": [4, 8]},
        {"inclusion_s": [3.3, 4.9]},
        {"start": 162.0, "finish": 180.75},
    ],
)
def test_latencies_that_do_not_fit_are_counted_and_told(wrong: dict[str, Any]) -> None:
    found = checked([cycle(), cycle(**wrong)], BLOCKS)
    assert found is not None
    assert found["checked"] == 8
    assert found["mismatched"] >= 1
    assert "amm cycle 7" in found["examples"][0]


def test_what_is_seen_late_but_before_the_next_block_fits() -> None:
    late = cycle(inclusion_s=[8.5, 4.9])
    assert checked([late], BLOCKS) == {"checked": 4, "mismatched": 0}


def test_without_blocks_offers_or_an_end_nothing_is_checked() -> None:
    assert checked([cycle()], []) is None
    assert checked([], BLOCKS) is None
    assert checked([cycle(inclusion_s=None, settlement_s=None)], BLOCKS) is None
    assert checked([cycle(finish=None)], BLOCKS) is None
    assert checked([cycle(settlement_s=[8.7, None])], BLOCKS) is None
    assert checked([{"task": "faucet", "seq": 0, "start": 1.0, "finish": 2.0}], BLOCKS) is None


def test_a_cycle_that_failed_on_its_way_is_checked_as_far_as_it_came() -> None:
    failed = cycle(
        success=False,
        finish=125.0,
        inclusion_s=[3.6, 4.9],
        settlement_s=[8.7],
        included_height=[3, 5],
        settled_height=[4],
    )
    assert checked([failed], BLOCKS) == {"checked": 2, "mismatched": 0}


@given(
    sent=st.floats(100, 150, allow_nan=False),
    waits=st.lists(st.integers(0, 2), min_size=1, max_size=4),
    seen=st.floats(0.0, 0.5, allow_nan=False),
    signing=st.floats(0.0, 0.4, allow_nan=False),
)
def test_whatever_a_right_clock_tells_fits(
    sent: float, waits: list[int], seen: float, signing: float
) -> None:
    """Offers on a chain of even blocks, seen a little after their blocks, some settled later."""
    blocks = {height: 95 + BLOCK_TIME * height for height in range(60)}
    at, row = sent, cycle(start=sent)
    names = ("inclusion_s", "settlement_s", "included_height", "settled_height")
    for name in names:
        row[name] = []
    for wait in waits:
        at += signing
        included = next(height for height, end in blocks.items() if end > at)
        settled = included + wait
        row["included_height"].append(included)
        row["settled_height"].append(settled)
        row["inclusion_s"].append(blocks[included] + seen - at)
        row["settlement_s"].append(blocks[settled] + seen - at)
        at = blocks[settled] + seen
    row["finish"] = at
    found = list(moments([row]))
    assert len(found) == 2 * len(waits)
    assert all(fits(moment, blocks) for moment in found)


def test_the_summary_is_of_successful_cycles() -> None:
    rows = [cycle(), cycle(success=False, inclusion_s=[99.0], settlement_s=[99.0])]
    summary = offer_summary(rows)
    assert summary is not None
    assert summary["count"] == 2
    assert summary["inclusion_s"]["max"] == 4.9
    assert summary["settlement_s"]["p50"] == 9.35
    assert summary["gas"]["avg"] == 85_000
    assert offer_summary([cycle(success=False)]) is None


def test_cycles_without_offers_have_no_summary_of_them() -> None:
    rows = [{"task": "faucet", "success": True, "start": 1.0, "finish": 2.0}]
    assert "offers" not in cycle_summaries(rows)["faucet"]
    assert cycle_summaries([cycle()])["amm"]["offers"]["count"] == 2


@pytest.mark.parametrize(
    "detail",
    [
        None,
        "text",
        [],
        {},
        {"inclusionSeconds": 3},
        {"inclusionSeconds": ["3"]},
        {"includedHeight": [1.5]},
        {"gas": [True]},
        {"settlementSeconds": [1e300]},
    ],
)
def test_a_detail_that_is_none_is_left_out(detail: object) -> None:
    assert offers_of(detail) == {}


def test_a_detail_s_lists_are_taken_and_nothing_else() -> None:
    detail = {"inclusionSeconds": [1.5, None], "gas": [7] * (MOST + 5), "wallet": "agoric1x"}
    assert offers_of(detail) == {"inclusion_s": [1.5, None], "gas": [7] * MOST}


def test_rows_made_of_events_have_the_offers() -> None:
    events: list[dict[str, Any]] = [
        {"time": 10, "type": "start", "task": "faucet", "seq": 0},
        {
            "time": 12,
            "type": "finish",
            "task": "faucet",
            "seq": 0,
            "success": True,
            "detail": {"inclusionSeconds": [1.0], "includedHeight": [4]},
        },
    ]
    (row,), _ = cycles_of_events(events, 0)
    assert (row["inclusion_s"], row["included_height"]) == ([1.0], [4])
