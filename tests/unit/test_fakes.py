"""The fakes' own promises, beyond the contract that they share with the real ones."""

from __future__ import annotations

import pytest
from tests.fakes import EPOCH, FakeClock, FakeEngine, FakeRunner, Reaction, Script

from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import Command, RoleSpec


def spec(role: str, name: str | None = None, network: str = "none") -> RoleSpec:
    return RoleSpec(name or role, role, "image", Command(("true",)), network=network)


def test_the_clock_runs_what_is_due_at_its_moment() -> None:
    clock = FakeClock()
    seen: list[tuple[str, float]] = []

    def second() -> None:
        seen.append(("second", clock.monotonic()))

    def first() -> None:
        seen.append(("first", clock.monotonic()))
        clock.after(1.0, second)

    clock.at(2.0, first)
    clock.sleep(5.0)
    assert seen == [("first", 2.0), ("second", 3.0)]
    assert clock.monotonic() == 5.0
    assert clock.wall() == EPOCH + 5.0
    assert clock.slept == [5.0]


def test_scripts_are_used_up_one_container_after_the_other() -> None:
    engine = FakeEngine(FakeClock(), {"chain": [Script(exit_code=1, exit_after=0.0), Script()]})
    first, second, third = (engine.create(spec("chain", name)) for name in "abc")
    for handle in (first, second, third):
        engine.start(handle)
    assert engine.state(first).exit_code == 1
    assert engine.state(second).running
    assert engine.state(third).running
    assert len(engine.made("chain")) == 3


def test_an_oom_kill_is_scripted() -> None:
    clock = FakeClock()
    engine = FakeEngine(clock, {"chain": Script(exit_after=2.0, exit_code=137, oom=True)})
    handle = engine.create(spec("chain"))
    engine.start(handle)
    state = engine.wait(handle, 60.0)
    assert (state.exit_code, state.oom_killed, clock.monotonic()) == (137, True, 2.0)


def test_a_test_may_speak_and_end_for_a_container() -> None:
    clock = FakeClock()
    engine = FakeEngine(clock)
    handle = engine.create(spec("solo"))
    engine.start(handle)
    follower = engine.follow(handle)
    clock.after(1.0, lambda: engine.latest("solo").say("hello"))
    clock.after(2.0, lambda: engine.latest("solo").end(4))
    assert engine.wait(handle, 10.0).exit_code == 4
    assert follower.poll() == b"hello\n"
    assert clock.monotonic() == pytest.approx(2.0, abs=0.11)


def test_a_joined_container_must_be_there() -> None:
    engine = FakeEngine(FakeClock())
    with pytest.raises(EngineError, match="holder"):
        engine.create(spec("chain", network="holder"))
    engine.create(spec("holder"))
    engine.create(spec("chain", network="holder"))


def test_failures_are_scripted() -> None:
    engine = FakeEngine(
        FakeClock(), {"a": Script(create_error="no image"), "b": Script(start_error="no port")}
    )
    with pytest.raises(EngineError, match="no image"):
        engine.create(spec("a"))
    handle = engine.create(spec("b"))
    with pytest.raises(EngineError, match="no port"):
        engine.start(handle)
    engine.available = False
    with pytest.raises(EngineUnavailable):
        engine.state(handle)


def test_the_calls_are_kept_in_order() -> None:
    engine = FakeEngine(FakeClock(), {"chain": Script(on_signal={"SIGINT": Reaction(0, 1.0)})})
    handle = engine.create(spec("chain"))
    engine.start(handle)
    engine.signal(handle, "SIGINT")
    assert engine.wait(handle, 5.0).exit_code == 0
    engine.remove(handle)
    assert engine.calls == [
        ("create", "chain"),
        ("start", "chain"),
        ("SIGINT", "chain"),
        ("remove", "chain"),
    ]


def test_the_runner_answers_by_the_first_arguments() -> None:
    runner = FakeRunner()
    runner.answer("git", stdout=b"any\n")
    runner.answer("git", "fetch", exit_code=1, stderr=b"no\n")
    assert runner.run(["git", "log"]).text() == "any"
    assert runner.run(["git", "fetch", "origin"], env={"A": "b"}).exit_code == 1
    assert runner.calls[1].env == {"A": "b"}
    lines: list[bytes] = []
    assert runner.stream(["git", "fetch"], lines.append) == 1
    assert lines == [b"no"]
    with pytest.raises(AssertionError, match="no answer"):
        runner.run(["tar"])
