"""Counters over restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.monitor.counters import Counter, CounterSet

READINGS = st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=40)


@given(READINGS)
def test_a_counter_never_goes_back_whatever_is_read(readings: list[int | None]) -> None:
    counter = Counter()
    corrected = [counter.update(reading) for reading in readings]
    seen = [value for value in corrected if value is not None]
    assert seen == sorted(seen)
    assert [value is None for value in corrected] == [reading is None for reading in readings]


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=10), min_size=1, max_size=6))
def test_lives_add_up_to_the_sum_of_their_last_readings(lives: list[list[int]]) -> None:
    counters = CounterSet(["cpu"])
    last: float | int | None = 0
    for life, increments in enumerate(lives):
        reading = 0
        for increment in increments:
            reading += increment
            last = counters.update({"cpu": reading, "pids": 3}, life)["cpu"]
    assert last == sum(sum(increments) for increments in lives)
    assert counters.epoch == len(lives) - 1


LIFE = st.lists(st.none() | st.integers(0, 50), max_size=8)


@given(st.lists(st.tuples(LIFE, LIFE), max_size=6), st.booleans())
def test_readings_that_are_missed_lose_nothing_but_themselves(
    lives: list[tuple[list[int | None], list[int | None]]], announced: bool
) -> None:
    """Two counters with gaps of their own: each is the sum over its lives of what was last read."""
    counters = CounterSet(["cpu", "rx"])
    seen: dict[str, list[float]] = {"cpu": [], "rx": []}
    earlier, last = {"cpu": 0, "rx": 0}, {"cpu": 0, "rx": 0}
    for life, both in enumerate(lives):
        at = {"cpu": 0, "rx": 0}
        for name in last:
            earlier[name] += last[name]
            last[name] = 0
        for increments in zip(*both, strict=False):
            readings: dict[str, int | None] = {}
            for name, increment in zip(at, increments, strict=True):
                at[name] += increment or 0
                readings[name] = None if increment is None else at[name]
            corrected = counters.update(readings, life if announced else "same")
            for name, reading in readings.items():
                value = corrected[name]
                assert (value is None) == (reading is None)
                if reading is not None and value is not None:
                    last[name] = reading
                    seen[name].append(value)
                    # Unannounced, a life that is already further than the one before hides it.
                    assert value == earlier[name] + reading or not announced
    for values in seen.values():
        assert values == sorted(values)


def test_a_new_life_counts_even_when_it_is_already_further_than_the_old_one() -> None:
    counters = CounterSet(["cpu"])
    assert counters.update({"cpu": 5.0}, "a")["cpu"] == 5.0
    assert counters.update({"cpu": 7.0}, "b")["cpu"] == 12.0


def test_a_reading_missed_at_the_restart_loses_nothing() -> None:
    counters = CounterSet(["cpu", "rx"])
    counters.update({"cpu": 5, "rx": 100}, "a")
    assert counters.update({"cpu": None, "rx": None}, "b") == {"cpu": None, "rx": None}
    assert counters.update({"cpu": 1, "rx": 1}, "b") == {"cpu": 6, "rx": 101}
    assert counters.epoch == 1


def test_a_counter_that_goes_back_alone_starts_anew_alone() -> None:
    counters = CounterSet(["cpu", "block"])
    counters.update({"cpu": 5, "block": 100}, "a")
    assert counters.update({"cpu": 6, "block": 10}, "a") == {"cpu": 6, "block": 110}
    assert counters.epoch == 1


def test_what_is_no_counter_stays_as_read() -> None:
    counters = CounterSet(["cpu"])
    counters.update({"cpu": 5, "memory": 50}, "a")
    assert counters.update({"cpu": 1, "memory": 10}, "b")["memory"] == 10
