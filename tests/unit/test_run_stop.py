"""How roles end when a stage stops them: an orderly end, and what is reported of another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import FakeEngine, Reaction
from tests.worlds import World, names

from loadgenctl.engines.base import Handle
from loadgenctl.errors import EngineError, Interrupted, RoleDied, RunError
from loadgenctl.run.run_folders import read_mark
from loadgenctl.stats.summary import summarize

LOADED = "--stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5"
ROLES = {"chain": "SIGINT", "solo": "SIGTERM", "loadgen": "SIGTERM"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def reacts(world: World, role: str, *reactions: Reaction) -> None:
    """How the role's containers react to their stop signal; the last reaction is repeated."""
    script = getattr(world, role)
    scripts = [
        replace(script, on_signal={ROLES[role]: reaction, "SIGKILL": Reaction(137)})
        for reaction in reactions
    ]
    base = world.make_engine

    class Reacting(base):  # type: ignore[misc, valid-type]
        def __init__(self, clock: object, made: dict[str, object]) -> None:
            super().__init__(clock, {**made, role: scripts})

    world.make_engine = Reacting


def mark(world: World) -> str | None:
    found = read_mark(world.folder / "out" / "state")
    return None if found is None else found.standing


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("reaction", "words", "outcome"),
    [
        (Reaction(139, 0.2, "free(): invalid pointer"), "crashed while it stopped", "died"),
        (Reaction(1, 0.2, "free(): invalid pointer"), "crashed while it stopped", "died"),
        (
            Reaction(137, 0.2, "free(): invalid pointer", oom=True),
            "ran out of memory while it stopped",
            "out-of-memory",
        ),
        (
            Reaction(137, 0.2, "free(): invalid pointer"),
            "was killed while it stopped, and not by loadgenctl",
            "died",
        ),
        (
            Reaction(0, 0.2, "free(): invalid pointer", oom=True),
            "ran out of memory while it stopped",
            "out-of-memory",
        ),
    ],
    ids=["SIGSEGV", "exit code 1", "out of memory", "killed by somebody", "a child out of memory"],
)
def test_a_role_that_crashes_while_it_stops_fails_the_run(
    world: World, role: str, reaction: Reaction, words: str, outcome: str
) -> None:
    reacts(world, role, reaction)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.exit_code == 4
    assert ending.error.message.startswith(f"{role} {words}")
    assert ROLES[role] in ending.error.message
    assert "free(): invalid pointer" in str(ending.error.detail)
    status = world.status()
    assert (status["outcome"], status["role"], status["step"]) == (outcome, role, "stop")
    assert status["role_exit_code"] == reaction.exit_code
    assert mark(world) == "begun"
    assert world.engine.leftovers() == []


def test_the_signal_of_a_crash_is_named(world: World) -> None:
    reacts(world, "chain", Reaction(139))
    ending = world.run("--stages 1")
    assert ending.error is not None
    assert ending.error.message == "chain crashed while it stopped: killed by SIGSEGV after SIGINT"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_must_be_killed_fails_the_run_by_the_seconds_it_had(
    world: World, role: str
) -> None:
    reacts(world, role, Reaction(None))
    ending = world.run(LOADED)
    assert type(ending.error) is RunError
    wanted = f"{role} did not stop within 30 s of {ROLES[role]} and was killed"
    assert ending.error.message == wanted
    assert mark(world) == "begun"


def test_a_role_that_ends_just_as_it_is_killed_stopped_in_order(world: World) -> None:
    reacts(world, "chain", Reaction(0, 30.0))
    assert world.run("--stages 1").error is None


@pytest.mark.parametrize("code", [0, 130, 143])
def test_the_usual_codes_of_a_signal_are_no_crash(world: World, code: int) -> None:
    for role in ROLES:
        reacts(world, role, Reaction(code, 0.2))
    assert world.run(LOADED).error is None
    assert world.progress.warnings == [
        text for text in world.progress.warnings if "stop" not in text
    ]


def test_a_chain_that_ends_by_itself_while_the_client_stops_is_dead(world: World) -> None:
    reacts(world, "solo", Reaction(0, 10.0))

    class Ending(world.make_engine):  # type: ignore[name-defined, misc]
        def signal(self, handle: Handle, name: str) -> None:
            super().signal(handle, name)
            if handle.role == "solo" and len(self.made("chain")) == 2:
                chain = self.latest("chain")
                chain.end_at(self._clock.monotonic() + 1.0, 0)

    world.make_engine = Ending
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    assert ending.error.message == "chain ended unexpectedly: exit code 0"
    assert mark(world) == "begun"


def test_a_pod_that_ends_while_a_role_stops_is_the_engine_s_end(world: World) -> None:
    class Restarting(FakeEngine):
        def signal(self, handle: Handle, name: str) -> None:
            if handle.role == "chain":
                self.latest("holder").end(137)
                self.latest("chain").end(137)
            super().signal(handle, name)

    world.make_engine = Restarting
    ending = world.run("--stages 1")
    assert type(ending.error) is EngineError
    assert "the engine has ended all containers" in ending.error.message


def test_the_chain_is_stopped_in_order_though_the_client_crashed(world: World) -> None:
    reacts(world, "solo", Reaction(0, 0.2), Reaction(139))
    world.run(LOADED)
    assert len(world.engine.made("chain")) == 2
    assert world.engine.latest("chain").signals == ["SIGINT"]
    assert "perf-chain-stopped" in names(world.rows("perf.jsonl"))


def test_of_two_roles_that_crash_the_first_is_the_reason_and_the_other_is_told(
    world: World,
) -> None:
    reacts(world, "solo", Reaction(139))
    reacts(world, "chain", Reaction(1))
    ending = world.run(LOADED + " --stage.0.loadgen.faucet.interval 5")
    assert isinstance(ending.error, RoleDied)
    assert ending.error.role == "solo"
    assert "stage 0: chain crashed while it stopped: exit code 1 after SIGINT" in (
        world.progress.warnings
    )


def test_an_interrupted_run_whose_chain_then_crashes_stays_interrupted_and_tells_it(
    world: World,
) -> None:
    reacts(world, "chain", Reaction(0, 0.2), Reaction(139))
    world.clock.after(40.0, lambda: world.interrupts.request("SIGINT"))
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert any("chain crashed while it stopped" in text for text in world.progress.warnings)
    assert mark(world) == "begun"


def test_by_hand_a_crash_at_the_good_end_fails(world: World) -> None:
    reacts(world, "chain", Reaction(139))
    world.clock.after(60.0, lambda: world.interrupts.request("SIGINT"))
    ending = world.up()
    assert isinstance(ending.error, RoleDied)
    assert ending.exit_code == 4


def test_what_is_stopped_because_the_stage_failed_only_warns(world: World) -> None:
    reacts(world, "solo", Reaction(139))
    world.chain = replace(world.chain, exit_after=40.0, exit_code=1)
    ending = world.run(LOADED.replace("--stages 3", "--stages 2 --stage.0.loadgen"))
    assert isinstance(ending.error, RoleDied)
    assert ending.error.message.startswith("chain ended unexpectedly")
    assert "solo crashed while it stopped: killed by SIGSEGV after SIGTERM" in (
        world.progress.warnings
    )


def test_a_load_driver_is_not_waited_for_once_the_chain_is_dead(world: World) -> None:
    """It finishes its cycles in flight first, which nothing can finish any more."""
    world.loadgen = replace(
        world.loadgen, on_signal={"SIGTERM": Reaction(0, 15.0), "SIGINT": Reaction(0, 0.1)}
    )
    world.chain = replace(world.chain, exit_after=40.0, exit_code=1)
    ending = world.run("--stages 1 --stage.0.loadgen.faucet.interval 5 --stage.duration 2")
    assert isinstance(ending.error, RoleDied)
    assert world.engine.latest("loadgen").signals == ["SIGTERM", "SIGINT"]
    assert "stage 0: stopping what still runs" in world.progress.steps
    assert world.clock.monotonic() < 48.0


def test_the_chain_s_stop_is_measured_from_its_signal(world: World) -> None:
    """The shutdown also stops load generator and client, which may take far longer."""
    reacts(world, "solo", Reaction(0, 20.0))
    reacts(world, "chain", Reaction(0, 2.0))
    ending = world.run(LOADED)
    assert ending.error is None
    spans = summarize(ending.folder)["stages"][1]["durations"]
    assert spans["chain_stop_s"] == pytest.approx(2.0, abs=0.3)
    # And 3 s in which the agent does not answer.
    assert spans["shutdown_s"] == pytest.approx(25.2, abs=0.5)
