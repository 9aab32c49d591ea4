"""Which rows count where a run was resumed, read at once and while they grow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fake_clock import EPOCH, FakeClock
from tests.unit.run_maker import MadeRun

from loadgenctl.owner import Owner
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.status import Status, another
from loadgenctl.records.store import RunStore
from loadgenctl.records.superseded import Counting
from loadgenctl.stats.live_state import LiveRun

TRIES = ({"attempt": 1}, {"attempt": 2, "stage": 1})


def began(stage: int, attempt: int = 1) -> dict[str, Any]:
    row = {"type": "perf-stage-start", "stage": stage, "timestamp": 1.0, "elapsed": 0.0}
    return row if attempt == 1 else {**row, "attempt": attempt}


def resumed(folder: Path) -> MadeRun:
    """Stage 1 was begun twice."""
    run = MadeRun(folder)
    run.plan()
    run.status(stage=1, attempts=TRIES)
    run.write("perf.jsonl", began(0), began(1), {"type": "perf-finish", "stage": -1})
    for height, stage in ((1, 0), (2, 1), (3, 1)):
        run.block(height, height, stage=stage)
    return run


def test_a_stage_counts_as_the_last_attempt_made_it(tmp_path: Path) -> None:
    run = resumed(tmp_path)
    # The second attempt has not come so far: what there is of the stage counts.
    assert [row["blockHeight"] for row in RunFolder(tmp_path).blocks()] == [1, 2, 3]
    run.write("perf.jsonl", began(1, 2))
    assert [row["blockHeight"] for row in RunFolder(tmp_path).blocks()] == [1]
    run.block(10, 2, stage=1, attempt=2)
    rows = list(RunFolder(tmp_path).blocks())
    assert [row["blockHeight"] for row in rows] == [1, 2]
    assert rows[1]["endFinishAt"] == EPOCH + 10
    assert "attempt" not in rows[1]
    kinds = [row["type"] for row in RunFolder(tmp_path).perf()]
    assert kinds == ["perf-stage-start", "perf-stage-start"], "an end that was none is left out"


def test_without_attempts_an_attempt_in_a_row_means_nothing(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.status()
    run.write("perf.jsonl", began(1))
    run.event(1, "start", attempt=7)
    assert [row["attempt"] for row in RunFolder(tmp_path).events()] == [7]


def test_top_forgets_what_an_attempt_did_when_another_one_begins_the_stage(tmp_path: Path) -> None:
    run = resumed(tmp_path)
    run.cycle(1, 2)
    live = LiveRun(tmp_path)
    first = live.poll(EPOCH + 20)
    assert first["run"]["attempt"] == 2
    assert [row["block_height"] for row in first["blocks"]["last"]] == [2, 3]
    assert first["cycles"]["tasks"]["faucet"]["succeeded"] == 1
    run.write("perf.jsonl", began(1, 2))
    second = live.poll(EPOCH + 30)
    assert second["blocks"]["last"][-1]["block_height"] == 1
    assert second["cycles"] is None
    run.block(31, 2, stage=1, attempt=2)
    third = live.poll(EPOCH + 32)
    assert [row["block_height"] for row in third["blocks"]["last"]] == [2]
    assert LiveRun(tmp_path).poll(EPOCH + 32) == third, "as seen by who comes now"


def test_the_store_goes_on_where_the_run_was_and_marks_its_rows(tmp_path: Path) -> None:
    clock = FakeClock()
    with RunStore.create(tmp_path, clock) as first:
        first.perf_start()
        first.set_status(outcome="failed", exit_code=4, reason="full")
        clock.advance(50)
        first.perf("setup")
    (tmp_path / "blocks.jsonl").write_bytes(b'{"torn": ')
    (tmp_path / "summary.json").write_text("{}")
    # Another boot: its monotonic clock begins again, and its wall clock is a day on.
    later = FakeClock(EPOCH + 86400)
    tries = another(
        first.status, stage=1, state="x", options={}, began_at=later.wall(), heard_at=EPOCH + 50
    )
    status = Status(started_at=first.status.started_at, attempts=tries)
    with RunStore.resume(tmp_path, later, status, latest=50.0) as second:
        later.advance(5)
        second.perf("stage-start")
        second.append("blocks.jsonl", {"stage": 1})
    rows = [json.loads(line) for line in (tmp_path / "perf.jsonl").read_bytes().splitlines()]
    assert [row["timestamp"] for row in rows] == [0, 50, 86405]
    assert [row.get("attempt") for row in rows] == [None, None, 2]
    assert (tmp_path / "blocks.jsonl").read_bytes() == b'{"torn": \n{"stage":1,"attempt":2}\n'
    assert not (tmp_path / "summary.json").exists()
    found = RunFolder(tmp_path).status
    assert found is not None
    assert (found.outcome, found.reason, found.exit_code) == ("running", None, None)
    assert found.owner == Owner.current()
    assert found.attempts[0]["outcome"] == "failed"
    assert found.paused_s == 86400


def test_a_clock_that_was_set_back_does_not_turn_times_round(tmp_path: Path) -> None:
    (tmp_path / "perf.jsonl").write_bytes(b"")
    status = Status(started_at=EPOCH, attempts=TRIES)
    clock = FakeClock(EPOCH - 1000)
    with RunStore.resume(tmp_path, clock, status, latest=70.0) as store:
        clock.advance(1)
        assert store.timestamp() == 71


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=12))
def test_of_every_stage_exactly_one_attempt_counts(begun: list[tuple[int, int]]) -> None:
    begun.sort(key=lambda each: each[1])
    counting = Counting()
    for stage, attempt in begun:
        counting.note(began(stage, attempt))
    last = dict(begun)
    for stage, attempt in begun:
        row = {"stage": stage} if attempt == 1 else {"stage": stage, "attempt": attempt}
        assert counting.counts(row) == (attempt == last[stage])
        assert counting.attempt(stage) == last[stage]


@given(
    st.dictionaries(
        st.sampled_from(["stage", "attempt", "type"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_rows_of_wrong_types_do_no_harm(row: dict[str, Any]) -> None:
    counting = Counting()
    counting.note(row)
    assert counting.counts(row) in {True, False}
