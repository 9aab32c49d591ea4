"""Durations by `monotime`, and the machine's clock that is set meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from loadgenctl.slog.block_rows import BlockRows, Row
from loadgenctl.slog.scan import SlogScanner

PARTS = ("begin-block", "end-block-start", "end-block-finish")


def lines(
    height: int, mono: float, offset: float, steps: Sequence[float] = (0.0, 0.0, 0.0)
) -> bytes:
    """A block of 0.1 s and 0.4 s at `mono`; `time` is that and `offset`, and steps in between."""
    content, now = b"", offset
    for part, step, at in zip(PARTS, steps, (mono, mono + 0.1, mono + 0.5), strict=True):
        now += step
        fields = {"type": f"cosmic-swingset-{part}", "blockHeight": height, "blockTime": 1000}
        content += json.dumps({**fields, "time": at + now, "monotime": at}).encode() + b"\n"
    return content.replace(b": ", b":").replace(b", ", b",")


def rows_of(content: bytes) -> tuple[SlogScanner, list[Row]]:
    scanner, rows = SlogScanner(), BlockRows()
    scanner.feed(content)
    scanner.finish()
    return scanner, [rows.row(block) for block in scanner.take_blocks()]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 1.0, -1.0])
def test_a_clock_that_is_set_within_a_block_changes_no_duration(seconds: float) -> None:
    content = lines(1, 5.0, 2000.0) + lines(2, 10.0, 2000.0, (0.0, 0.0, seconds))
    scanner, rows = rows_of(content + lines(3, 15.0, 2000.0 + seconds))
    assert [row["swingsetTime"] for row in rows] == [0.4] * 3
    assert [row.get("blockDuration") for row in rows] == [None, 5, 5]
    [step] = scanner.clock_steps
    assert (round(step.seconds, 6), step.block_height) == (seconds, 2)
    assert scanner.anomalies["clock-step"] == 1


def test_times_of_day_stay_as_logged() -> None:
    _, rows = rows_of(lines(1, 5.0, 2000.0, (0.0, 0.0, 60.0)))
    assert (rows[0]["beginAt"], rows[0]["endFinishAt"]) == (2005.0, 2065.5)


def test_monotime_that_begins_again_is_another_process_and_no_step() -> None:
    # The second process begins 7 s after the first one's last line, by `time`.
    scanner, rows = rows_of(lines(1, 5.0, 2000.0) + lines(2, 1.0, 2011.5))
    assert rows[1]["blockDuration"] == 7.5
    assert rows[1]["swingsetTime"] == 0.4
    assert scanner.clock_steps == []
    assert scanner.anomalies == {}


def test_two_clocks_that_differ_by_a_little_are_no_step() -> None:
    scanner, _ = rows_of(lines(1, 5.0, 2000.0, (0.0, 0.05, -0.05)))
    assert scanner.clock_steps == []


def test_the_time_of_a_delivery_is_that_of_monotime() -> None:
    content = b'{"type":"deliver","crankNum":1,"vatID":"v1","time":1000.5,"monotime":5}\n'
    content += b'{"type":"deliver-result","crankNum":1,"vatID":"v1","dr":["ok",null,null],'
    scanner, _ = rows_of(content + b'"time":4600.5,"monotime":5.25}\n')
    assert scanner.vats["v1"].delivery_time_s == 0.25
