"""The load scheduler on a clock that the test tells it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from images.loadgen.service.loadservice.config import check_config
from images.loadgen.service.loadservice.scheduler import Scheduler

TASKS = ("faucet", "amm", "vault")


def configure(scheduler: Scheduler, config: Mapping[str, Any], now: float) -> list[str]:
    return scheduler.configure(check_config(config, TASKS), now)


def scheduler_with(config: Mapping[str, Any], now: float = 0.0) -> Scheduler:
    """A scheduler whose tasks were prepared at once."""
    scheduler = Scheduler(TASKS)
    for task in configure(scheduler, config, now):
        scheduler.prepared(task, True, now)
    return scheduler


def starts(scheduler: Scheduler, now: float) -> list[tuple[str, int, float]]:
    return [(start.task, start.seq, start.intended) for start in scheduler.advance(now)]


def counters(scheduler: Scheduler, task: str = "faucet") -> dict[str, object]:
    return scheduler.status()[task]


def test_a_start_falls_due_every_interval_from_the_time_it_was_turned_on() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}}, now=100)
    for number, now in enumerate((100, 110, 120, 130)):
        assert scheduler.next_due() == now
        assert starts(scheduler, now - 0.001) == []
        assert starts(scheduler, now) == [("faucet", number, now)]
        scheduler.finished("faucet", True, now + 1)


def test_the_grid_does_not_drift_when_the_loop_is_late() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10, "limit": 9}})
    assert starts(scheduler, 0.7) == [("faucet", 0, 0)]
    assert starts(scheduler, 13.9) == [("faucet", 1, 10)]
    assert scheduler.next_due() == 20


def test_wait_delays_only_the_first_start() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10, "wait": 25, "limit": 5}})
    assert starts(scheduler, 24.9) == []
    assert starts(scheduler, 25) == [("faucet", 0, 25)]
    assert scheduler.next_due() == 35


def test_nothing_is_due_while_all_is_off() -> None:
    scheduler = Scheduler(TASKS)
    assert scheduler.next_due() is None
    assert scheduler.advance(1e9) == []
    assert counters(scheduler)["state"] == "off"


def test_tasks_run_side_by_side_earliest_due_first() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 7}, "amm": {"interval": 5, "wait": 1}})
    assert starts(scheduler, 1) == [("faucet", 0, 0), ("amm", 0, 1)]
    scheduler.finished("faucet", True, 2)
    scheduler.finished("amm", True, 2)
    assert starts(scheduler, 8) == [("amm", 1, 6), ("faucet", 1, 7)]


def test_as_many_cycles_as_the_limit_are_in_flight() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 1, "limit": 3}})
    assert [len(scheduler.advance(now)) for now in range(5)] == [1, 1, 1, 0, 0]
    assert counters(scheduler)["active"] == 3
    assert counters(scheduler)["pending"] == 2


def test_a_pending_start_begins_when_a_cycle_ends_and_keeps_its_intended_time() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    assert starts(scheduler, 10) == []
    scheduler.finished("faucet", True, 17)
    assert starts(scheduler, 17) == [("faucet", 1, 10)]
    assert scheduler.next_due() == 20


def test_what_does_not_fit_into_pending_is_missed_and_told_once() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    for now in (0, 10, 20, 30):
        scheduler.advance(now)
    assert counters(scheduler)["missed"] == 2
    assert scheduler.take_missed() == {"faucet": 2}
    assert scheduler.take_missed() == {}
    scheduler.finished("faucet", True, 31)
    assert starts(scheduler, 31) == [("faucet", 1, 10)]


def test_a_long_pause_is_missed_starts_not_a_burst() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 1, "limit": 2}})
    assert starts(scheduler, 1_000_000.5) == [("faucet", 0, 0), ("faucet", 1, 1)]
    state = counters(scheduler)
    assert (state["pending"], state["missed"]) == (2, 1_000_001 - 4)
    assert scheduler.next_due() == 1_000_001


def test_starts_that_fell_due_before_a_cycle_ended_do_not_use_its_slot() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    scheduler.finished("faucet", True, 35)
    assert starts(scheduler, 35) == [("faucet", 1, 10)]
    assert counters(scheduler)["missed"] == 2


def test_outcomes_are_counted() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 1, "limit": 2}})
    scheduler.advance(0)
    scheduler.advance(1)
    scheduler.finished("faucet", True, 1.5)
    scheduler.finished("faucet", False, 1.6)
    state = counters(scheduler)
    assert (state["active"], state["succeeded"], state["failed"], state["next"]) == (0, 1, 1, 2)


def test_a_faster_rate_holds_at_once() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 600, "limit": 5}})
    scheduler.advance(0)
    configure(scheduler, {"faucet": {"interval": 10, "limit": 5}}, 300)
    assert starts(scheduler, 300) == [("faucet", 1, 300)]
    assert scheduler.next_due() == 310


def test_a_slower_rate_counts_from_the_last_due_time() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10, "limit": 5}})
    scheduler.advance(0)
    scheduler.advance(10)
    configure(scheduler, {"faucet": {"interval": 60, "limit": 5}}, 13)
    assert scheduler.next_due() == 70
    configure(scheduler, {"faucet": {"interval": 20, "limit": 5}}, 14)
    assert scheduler.next_due() == 30


def test_an_unchanged_task_keeps_its_grid_when_another_changes() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    assert configure(scheduler, {"faucet": {"interval": 10}, "amm": {}}, 4) == ["amm"]
    assert scheduler.next_due() == 10


def test_a_new_wait_matters_only_before_the_first_start() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10, "wait": 100}})
    configure(scheduler, {"faucet": {"interval": 10, "wait": 50}}, 20)
    assert scheduler.next_due() == 50
    configure(scheduler, {"faucet": {"interval": 10, "wait": 5}}, 30)
    assert starts(scheduler, 30) == [("faucet", 0, 30)]
    configure(scheduler, {"faucet": {"interval": 10, "wait": 500}}, 31)
    assert scheduler.next_due() == 40


def test_a_higher_limit_starts_what_is_pending() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    scheduler.advance(10)
    configure(scheduler, {"faucet": {"interval": 10, "limit": 2}}, 12)
    assert starts(scheduler, 12) == [("faucet", 1, 10)]


def test_a_lower_limit_drops_pending_starts_as_missed_and_lets_cycles_end() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 1, "limit": 3}})
    for now in range(6):
        scheduler.advance(now)
    configure(scheduler, {"faucet": {"interval": 1, "limit": 1}}, 5.5)
    state = counters(scheduler)
    assert (state["active"], state["pending"], state["missed"]) == (3, 1, 2)
    scheduler.finished("faucet", True, 5.6)
    assert starts(scheduler, 5.6) == []
    scheduler.finished("faucet", True, 5.7)
    scheduler.finished("faucet", True, 5.8)
    assert starts(scheduler, 5.8) == [("faucet", 3, 3)]


def test_off_drops_pending_starts_as_missed_and_schedules_nothing() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    scheduler.advance(10)
    configure(scheduler, {"faucet": None}, 12)
    assert scheduler.next_due() is None
    assert scheduler.take_missed() == {"faucet": 1}
    scheduler.finished("faucet", True, 14)
    assert starts(scheduler, 1000) == []


def test_on_again_waits_again_counts_on_and_needs_no_new_preparation() -> None:
    scheduler = scheduler_with({"faucet": {"interval": 10}})
    scheduler.advance(0)
    scheduler.finished("faucet", True, 1)
    configure(scheduler, {}, 2)
    assert configure(scheduler, {"faucet": {"interval": 10, "wait": 3}}, 50) == []
    assert starts(scheduler, 52.9) == []
    assert starts(scheduler, 53) == [("faucet", 1, 53)]


def test_nothing_starts_before_the_preparation_succeeded() -> None:
    scheduler = Scheduler(TASKS)
    assert configure(scheduler, {"faucet": {"interval": 10, "wait": 5}}, 0) == ["faucet"]
    assert counters(scheduler)["state"] == "preparing"
    assert starts(scheduler, 60) == []
    scheduler.prepared("faucet", True, 60)
    assert counters(scheduler)["state"] == "on"
    assert starts(scheduler, 65) == [("faucet", 0, 65)]


def test_a_failed_preparation_is_tried_again_when_the_task_is_turned_on_again() -> None:
    scheduler = Scheduler(TASKS)
    configure(scheduler, {"faucet": {}}, 0)
    scheduler.prepared("faucet", False, 1)
    assert counters(scheduler)["state"] == "failed"
    assert scheduler.next_due() is None
    assert configure(scheduler, {"faucet": {"interval": 2}}, 2) == []
    configure(scheduler, {}, 3)
    assert configure(scheduler, {"faucet": {}}, 4) == ["faucet"]


def test_a_task_turned_off_while_it_is_prepared_stays_off() -> None:
    scheduler = Scheduler(TASKS)
    configure(scheduler, {"faucet": {}}, 0)
    configure(scheduler, {}, 1)
    scheduler.prepared("faucet", True, 2)
    assert starts(scheduler, 100) == []
    assert configure(scheduler, {"faucet": {"interval": 7}}, 200) == []
    assert starts(scheduler, 200) == [("faucet", 0, 200)]


def test_a_task_reconfigured_while_it_is_prepared_takes_the_newest_config() -> None:
    scheduler = Scheduler(TASKS)
    configure(scheduler, {"faucet": {"interval": 60}}, 0)
    assert configure(scheduler, {"faucet": {"interval": 5}}, 1) == []
    scheduler.prepared("faucet", True, 2)
    assert starts(scheduler, 2) == [("faucet", 0, 2)]
    assert scheduler.next_due() == 7


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 400)),
        st.tuples(st.just("finish"), st.integers(0, 1)),
        st.tuples(st.just("limit"), st.integers(1, 4)),
        st.tuples(st.just("interval"), st.integers(1, 20)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_every_due_start_is_started_pending_or_missed(steps: list[tuple[str, int]]) -> None:
    """Whatever happens: bounds hold, nothing is lost, seq numbers have no gap."""
    now, setting = 0.0, {"interval": 10, "limit": 1}
    scheduler = scheduler_with({"faucet": setting})
    task = scheduler._tasks["faucet"]
    begun = scheduler.advance(now)
    for kind, value in steps:
        active_before = task.active
        if kind == "pass":
            now += value / 8  # exact in binary, so that no rounding blurs the bounds
        elif kind == "finish" and task.active:
            scheduler.finished("faucet", bool(value), now)
        elif kind in setting:
            setting = {**setting, kind: value}
            configure(scheduler, {"faucet": setting}, now)
        begun += scheduler.advance(now)
        assert task.active <= max(setting["limit"], active_before)
        assert len(task.pending) <= setting["limit"]
        assert not task.pending or task.active >= setting["limit"]
        due = scheduler.next_due()
        assert due is not None
        assert now < due <= now + setting["interval"]
    assert [start.seq for start in begun] == list(range(len(begun)))
    assert all(one.intended < other.intended for one, other in pairwise(begun))
    assert task.succeeded + task.failed + task.active == len(begun)
