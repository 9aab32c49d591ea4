"""Owners as labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.ownership_labels import make, owned_by_dead_process
from loadgenctl.owner import Owner

LIVE = Owner(pid=10, start="boot-100", host="here")
DEAD = Owner(pid=11, start="boot-101", host="here")
REUSED = Owner(pid=10, start="boot-99", host="here")
ELSEWHERE = Owner(pid=11, start="boot-101", host="there")


def start_of(pid: int) -> str | None:
    """The process table of this test: only pid 10 lives."""
    return {10: "boot-100"}.get(pid)


def dead(owned: dict[str, str]) -> bool:
    return owned_by_dead_process(owned, host="here", start_of=start_of)


@pytest.mark.parametrize(
    ("owner", "expected"), [(LIVE, False), (DEAD, True), (REUSED, True), (ELSEWHERE, False)]
)
def test_only_a_dead_owner_of_this_host_is_dead(owner: Owner, expected: bool) -> None:
    assert dead(make(owner, "run", "chain")) is expected


@pytest.mark.parametrize(
    "missing", [ownership_labels.OWNER_PID, ownership_labels.OWNER_START, ownership_labels.HOST]
)
def test_incomplete_labels_say_nothing(missing: str) -> None:
    owned = make(DEAD, "run", "chain")
    del owned[missing]
    assert not dead(owned)


@pytest.mark.parametrize("pid", ["", "x", "-1", "1.5", "9" * 5000])
def test_a_pid_that_is_none_says_nothing(pid: str) -> None:
    assert not dead({**make(DEAD, "run", "chain"), ownership_labels.OWNER_PID: pid})


def test_all_labels_are_in_one_namespace() -> None:
    assert all(name.startswith("io.loadgenctl.") for name in make(LIVE, "run", "chain"))


def test_an_owner_is_read_back() -> None:
    assert ownership_labels.owner_of(make(DEAD, "run", "chain")) == DEAD
    assert ownership_labels.owner_of({}) is None


def test_this_process_is_not_dead() -> None:
    assert not owned_by_dead_process(make(Owner.current(), "run", "chain"))


def test_the_results_folder_goes_along_where_there_is_one() -> None:
    assert make(DEAD, "run", "chain", Path("/out"))[ownership_labels.RESULTS] == "/out"
    assert ownership_labels.RESULTS not in make(DEAD, "build", "builder")
