"""Owners and the sweep, on a fake engine."""

from __future__ import annotations

import pytest
from tests.fakes import FakeClock, FakeEngine

from loadgenctl.engines import labels
from loadgenctl.engines.base import Leftover
from loadgenctl.engines.labels import make, owned_by_dead_process
from loadgenctl.errors import EngineError
from loadgenctl.model import Command, RoleSpec
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


@pytest.mark.parametrize("missing", [labels.OWNER_PID, labels.OWNER_START, labels.HOST])
def test_incomplete_labels_say_nothing(missing: str) -> None:
    owned = make(DEAD, "run", "chain")
    del owned[missing]
    assert not dead(owned)


@pytest.mark.parametrize("pid", ["", "x", "-1", "1.5"])
def test_a_pid_that_is_none_says_nothing(pid: str) -> None:
    assert not dead({**make(DEAD, "run", "chain"), labels.OWNER_PID: pid})


def test_all_labels_are_in_one_namespace() -> None:
    assert all(name.startswith("io.loadgenctl.") for name in make(LIVE, "run", "chain"))


def test_an_owner_is_read_back() -> None:
    assert labels.owner_of(make(DEAD, "run", "chain")) == DEAD
    assert labels.owner_of({}) is None
    assert labels.owned_by(make(LIVE, "run", "chain"), LIVE)
    assert not labels.owned_by(make(DEAD, "run", "chain"), LIVE)


def test_this_process_is_not_dead() -> None:
    assert not owned_by_dead_process(make(Owner.current(), "run", "chain"))


def spec(name: str, owner: Owner) -> RoleSpec:
    return RoleSpec(name, "chain", "image", Command(("true",)), labels=make(owner, "run", "chain"))


def leftover(kind: str, owner: Owner) -> Leftover:
    name = f"{kind}-{owner.start}"
    return Leftover(kind, name, name, make(owner, "run", kind))


def test_the_sweep_removes_containers_before_networks_and_volumes() -> None:
    engine = FakeEngine(FakeClock())
    for owner in (LIVE, DEAD, ELSEWHERE, REUSED):
        engine.create(spec(f"c-{owner.host}-{owner.start}", owner))
    for owner in (DEAD, LIVE):
        engine.other_leftovers += [leftover("volume", owner), leftover("network", owner)]

    removed = labels.sweep(engine, host="here", start_of=start_of)

    assert [(item.kind, item.name) for item in removed] == [
        ("container", "c-here-boot-101"),
        ("container", "c-here-boot-99"),
        ("network", "network-boot-101"),
        ("volume", "volume-boot-101"),
    ]
    kept = {item.name for item in engine.leftovers()}
    assert kept == {
        "c-here-boot-100",
        "c-there-boot-101",
        "network-boot-100",
        "volume-boot-100",
    }


def test_volumes_without_an_owner_are_kept() -> None:
    engine = FakeEngine(FakeClock())
    engine.other_leftovers.append(Leftover("volume", "v", "cache", {labels.ROLE: "cache"}))
    assert labels.sweep(engine) == []
    assert len(engine.leftovers()) == 1


class StubbornEngine(FakeEngine):
    """One container cannot be removed."""

    def remove_leftover(self, item: Leftover) -> None:
        if item.name == "stuck":
            raise EngineError("stuck")
        super().remove_leftover(item)


def test_what_cannot_be_removed_does_not_keep_the_others() -> None:
    engine = StubbornEngine(FakeClock())
    for name in ("stuck", "other"):
        engine.create(spec(name, DEAD))
    with pytest.raises(EngineError, match="stuck"):
        labels.sweep(engine, host="here", start_of=start_of)
    assert [item.name for item in engine.leftovers()] == ["stuck"]
