"""Cycles: only successful ones have durations that count, and missing is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loadgenctl.records.encode import row_bytes
from loadgenctl.roles.loadclient import LoadEvents
from loadgenctl.stats.cycles import cycle_summaries, cycle_summary, cycles_of_events


def cycle(seq: int, start: float, took: float, *, ok: bool = True, late: float = 0.0) -> Any:
    return {
        "task": "faucet",
        "seq": seq,
        "intended_start": start - late,
        "start": start,
        "finish": start + took,
        "duration_s": took,
        "latency_s": took + late,
        "success": ok,
        "error": None if ok else "no",
    }


def test_failed_cycles_count_but_not_their_durations() -> None:
    rows = [cycle(0, 10, 20), cycle(1, 20, 30, late=5), cycle(2, 30, 0.1, ok=False)]
    summary = cycle_summary(rows, missed=2, block_begins=[5, 12, 29, 29.5, 49, 60])
    assert summary is not None
    assert (summary["cycle_count"], summary["succeeded"], summary["failed"]) == (3, 2, 1)
    assert summary["missed"] == 2
    assert summary["success_percentage"] == 66.67
    assert (summary["duration_s"]["avg"], summary["duration_s"]["max"]) == (25, 30)
    assert summary["latency_s"]["max"] == 35
    assert (summary["block_count"]["min"], summary["block_count"]["max"]) == (3, 3)


def test_only_failures_have_no_duration() -> None:
    summary = cycle_summary([cycle(0, 1, 2, ok=False)])
    assert summary is not None
    assert summary["success_percentage"] == 0
    assert "duration_s" not in summary
    assert cycle_summary([]) is None
    assert cycle_summaries([]) == {}


def test_by_task() -> None:
    rows = [cycle(0, 1, 2), {**cycle(0, 1, 4), "task": "amm"}]
    summaries = cycle_summaries(rows, missed={"vault": 1})
    assert list(summaries) == ["all", "amm", "faucet", "vault"]
    assert summaries["amm"]["duration_s"]["avg"] == 4
    assert (summaries["vault"]["cycle_count"], summaries["vault"]["missed"]) == (0, 1)
    assert "success_percentage" not in summaries["vault"]


def test_rows_from_events() -> None:
    events: list[dict[str, Any]] = [
        {"time": 9, "type": "status", "status": {}},
        {"time": 10.5, "type": "start", "task": "faucet", "seq": 1, "intended": 10},
        {"time": 10.6, "type": "start", "task": "faucet", "seq": 1, "intended": 10},
        {"time": 11, "type": "start", "task": "amm", "seq": 1},
        {"time": 12, "type": "missed", "task": "faucet", "count": 2},
        {"time": 12, "type": "missed", "task": "faucet"},
        {"time": 20, "type": "finish", "task": "faucet", "seq": 1, "success": False, "error": "x"},
        {"time": 21, "type": "finish", "task": "faucet", "seq": 99, "success": True},
        {"type": "config", "config": {}},
    ]
    rows, missed = cycles_of_events(events)
    assert missed == {"faucet": 3}
    assert rows[0] == {
        "task": "faucet",
        "seq": 1,
        "intended_start": 10,
        "start": 10.5,
        "finish": 20,
        "duration_s": 9.5,
        "latency_s": 10,
        "success": False,
        "error": "x",
    }
    assert (rows[1]["seq"], rows[1]["start"], rows[1]["duration_s"]) == (99, None, None)
    assert rows[2] == {"task": "amm", "seq": 1, "intended_start": 11, "start": 11}
    summary = cycle_summary(rows)
    assert summary is not None
    assert (summary["cycle_count"], summary["unfinished"]) == (2, 1)


def test_a_new_service_counts_anew(tmp_path: Path) -> None:
    """And rows made of the events afterwards are those that were written while they came."""
    events: list[dict[str, Any]] = [
        {"time": 1.0, "type": "start", "task": "amm", "seq": 0, "intended": 0.5},
        {"time": 1.5, "type": "start", "task": "vault", "seq": 0},
        {
            "time": 3.0,
            "type": "finish",
            "task": "vault",
            "seq": 0,
            "success": True,
            "duration": 1.400001,
            "latency": 1.5,
        },
        {"time": 4.0, "type": "driver", "state": "hello"},
        {"time": 5.0, "type": "start", "task": "amm", "seq": 0},
        {"time": 7.0, "type": "finish", "task": "amm", "seq": 0, "success": False},
        {"time": 8.0, "type": "finish", "task": "amm", "seq": 3, "success": True},
    ]
    rows, _ = cycles_of_events(events)
    assert [(row["task"], row.get("success")) for row in rows] == [
        ("vault", True),
        ("amm", False),
        ("amm", True),
        ("amm", None),
    ]
    assert (rows[0]["duration_s"], rows[0]["latency_s"]) == (1.400001, 1.5)
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    live = LoadEvents(file, 2)
    live.poll()
    written = [row_bytes(row) for row in live.take_cycles()]
    assert written == [row_bytes({"stage": 2, **row}) for row in rows[:3]]
