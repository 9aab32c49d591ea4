"""Cycles: only successful ones have durations that count, and missing is absent."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.records.encode import row_bytes
from loadgenctl.records.load_cycles import COUNTS, LoadCycles, TaskCounts
from loadgenctl.roles.load_client import LoadEvents
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
    rows, missed = cycles_of_events(events, 3)
    assert missed == {"faucet": 3}
    assert rows[0] == {
        "stage": 3,
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
    assert {name: value for name, value in rows[2].items() if value is not None} == {
        "stage": 3,
        "task": "amm",
        "seq": 1,
        "intended_start": 11,
        "start": 11,
    }
    summary = cycle_summary(rows)
    assert summary is not None
    assert (summary["cycle_count"], summary["unfinished"]) == (2, 1)


def test_a_service_that_starts_again_counts_from_0() -> None:
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
    rows, _ = cycles_of_events(events, 2)
    assert [(row["task"], row.get("success")) for row in rows] == [
        ("vault", True),
        ("amm", False),
        ("amm", True),
        ("amm", None),
    ]
    assert (rows[0]["duration_s"], rows[0]["latency_s"]) == (1.400001, 1.5)


NUMBERS = st.one_of(st.none(), st.integers(-3, 9), st.floats(0, 1e9), st.just(1e300), st.text())
EVENTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["start", "finish", "missed", "prepare", "driver", "status", 7])},
        optional={
            "time": NUMBERS,
            "task": st.sampled_from(["amm", "vault", None, ["amm"]]),
            "seq": st.one_of(st.integers(0, 3), NUMBERS),
            "intended": NUMBERS,
            "duration": NUMBERS,
            "latency": NUMBERS,
            "count": NUMBERS,
            "success": st.sampled_from([True, False, None, "yes"]),
            "error": st.one_of(st.none(), st.text()),
            "state": st.sampled_from(["hello", "exit", None]),
            "status": st.just({"amm": {"active": 7, "state": "on"}, "vault": 7}),
            "detail": st.sampled_from([None, {"gas": [1, None]}, {"gas": "x"}, 3]),
        },
    ),
    max_size=30,
)


@given(EVENTS, st.lists(st.integers(1, 40), max_size=8))
def test_cycles_of_any_events_are_the_same_live_and_offline(
    events: list[dict[str, Any]], pieces: list[int]
) -> None:
    """Live: lines that arrive in pieces of any size. Offline: the rows that the run recorded."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "events-stage-2.jsonl")
        live, recorded, written = LoadEvents(file, 2), [], []
        left = b"".join(row_bytes(event) for event in events)
        with file.open("ab", buffering=0) as out:
            for size in (*pieces, len(left)):
                out.write(left[:size])
                left = left[size:]
                recorded += live.poll()
                written += live.take_cycles()
    rows, missed = cycles_of_events(recorded, 2)
    assert [row_bytes(row) for row in rows[: len(written)]] == [row_bytes(row) for row in written]
    assert all(row["success"] is None for row in rows[len(written) :])
    in_flight = live.unfinished()
    assert rows[len(rows) - len(in_flight) :] == in_flight
    assert missed == {task: told.missed for task, told in live.tasks.items() if told.missed}


@given(EVENTS, st.integers(0, 30))
def test_counters_of_a_file_s_end_are_those_of_all_of_it_once_the_service_has_reported_them(
    events: list[dict[str, Any]], skipped: int
) -> None:
    all_of_it, end = LoadCycles(2), LoadCycles(2, tail=True)
    for event in events:
        all_of_it.take(event)
    for event in events[skipped:]:
        end.take(event)
    status = {
        task: {name: getattr(all_of_it.tasks.get(task, TaskCounts()), name) for name in COUNTS}
        for task in ("amm", "vault")
    }
    end.take({"type": "status", "status": status})
    more: list[dict[str, Any]] = [
        *({"type": "finish", "task": task, "seq": seq} for task, seq in all_of_it.in_flight),
        {"type": "start", "task": "amm", "seq": 100},
    ]
    for event in more:
        all_of_it.take(event)
        end.take(event)
    for task, counts in all_of_it.tasks.items():
        for name in COUNTS:
            assert getattr(end.tasks[task], name) == getattr(counts, name)
