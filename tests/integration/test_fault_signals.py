"""Every way to end the controller, at each step of a run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.faulty import Observed, assert_whole, crowd, observe
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records
from tests.integration.sim_repository import slow_repository
from tests.waiting import eventually

pytestmark = pytest.mark.docker

Reached = Callable[[Desk, Loadgenctl, Records], None]

ONE = "--stages 1 --chain-only"
LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5"
SIZE = 1 << 36
"""Bytes of the sparse file that keeps the packing of storage busy; it takes no room."""


def _running(role: str) -> Reached:
    def reached(desk: Desk, command: Loadgenctl, records: Records) -> None:
        del records
        command.until(lambda: desk.engine.owned(command.pid).get(role) == "running", f"{role} runs")

    return reached


def _said(text: str) -> Reached:
    return lambda desk, command, records: command.until_said(text)


def _client_starts(desk: Desk, command: Loadgenctl, records: Records) -> None:
    command.until_said("starting the client")
    _running("solo")(desk, command, records)


def _under_load(desk: Desk, command: Loadgenctl, records: Records) -> None:
    command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")


def _packing(desk: Desk, command: Loadgenctl, records: Records) -> None:
    command.until(lambda: records.reached("chain-ready", 0), "the chain is ready")
    with (records.folder / "state" / "project" / "chain" / "sparse").open("wb") as sparse:
        sparse.truncate(SIZE)
    command.until_said("packing the saved storage")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run that takes long enough to be ended in it."""

    reached: Reached
    options: str
    fault: str = ""
    builds: bool = False


STEPS = {
    "build": Step(_running("builder"), ONE, builds=True),
    "chain-start": Step(_running("chain"), ONE, 'kind = "slow-start"\nseconds = 300'),
    "readiness": Step(
        _said("waiting for the chain's first block"), ONE, 'kind = "chain-stall"\nat_block = 1'
    ),
    "client-start": Step(_client_starts, LOAD, 'kind = "solo-never-ready"'),
    "load": Step(_under_load, LOAD),
    "wind-down": Step(
        _said("winding down"),
        f"{LOAD} --stage.0.loadgen.cycles 1 --stage.0.loadgen.faucet.limit 2",
        'kind = "driver-hang"\nat_cycle = 1',
    ),
    "packing": Step(_packing, f"{ONE} --stage.0.duration 0.05 --stage.0.save-storage"),
    "finish": Step(_said("removing the containers"), ONE),
}
ENDS = {
    "INT": (signal.SIGINT,),
    "INT-INT": (signal.SIGINT, signal.SIGINT),
    "TERM": (signal.SIGTERM,),
    "HUP": (signal.SIGHUP,),
    "KILL": (signal.SIGKILL,),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """A way to end it, at a step."""

    step: str
    end: str

    @property
    def name(self) -> str:
        """See `Case.name`."""
        return f"{self.step}-{self.end}"

    @property
    def killed(self) -> bool:
        """True where the controller could do nothing any more."""
        return self.end == "KILL"

    def observe(self, desk: Desk) -> Observed:
        """See `Case.observe`."""
        step = STEPS[self.step]
        words = [*SIM, *step.options.split(), *desk.settings(*([step.fault] if step.fault else []))]
        env: dict[str, Any] = {}
        if step.builds:
            repository = slow_repository(desk.folder / self.name)
            words += ["--sdk-repo", str(repository), "--revision", "slow"]
            env["LOADGENCTL_CACHE"] = str(desk.folder / self.name / "cache")

        def strike(command: Loadgenctl, records: Records) -> None:
            step.reached(desk, command, records)
            first, *second = ENDS[self.end]
            command.signal(first)
            if second and self.step in {"load", "wind-down"}:
                # Two of a kind at once are one to the system.
                command.until_said("press Ctrl-C again to stop immediately")
                command.signal(second[0])

        return observe(desk, *words, strike=strike, **env)

    def __str__(self) -> str:
        """Names the test."""
        return self.name


# Elsewhere the first one ends it at once, and there is nothing to end by a second.
CASES = [
    Ending(step, end)
    for step in STEPS
    for end in ENDS
    if end != "INT-INT" or step in {"load", "wind-down"}
]


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Ending], Observed]]:
    with crowd(request, desk) as become:
        yield become


@pytest.mark.parametrize("case", [case for case in CASES if not case.killed], ids=str)
def test_a_signal_ends_the_run_at_its_step(
    case: Ending, observed: Callable[[Ending], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.left == []
    status = run.status
    assert "Traceback" not in run.ended.stderr
    assert run.ended.exit_code == status["exit_code"], run.ended.stderr
    if case.step == "finish":
        # The run is over: that it has passed is not taken back, nor is its summary left out.
        assert status["outcome"] == "passed"
    else:
        assert (status["outcome"], status["exit_code"]) == ("interrupted", 130)
        assert f"SIG{case.end.partition('-')[0]}" in status["reason"]
    assert run.records.document("summary.json")["run"]["outcome"] == status["outcome"]
    assert not list(run.records.folder.glob("*.partial")), "half an archive is none"
    assert (run.records.folder / "copies").exists() == (case.step == "packing")
    assert_whole(desk, run.records)


@pytest.mark.parametrize("case", [case for case in CASES if case.killed], ids=str)
def test_what_a_kill_leaves_is_swept_by_the_next_command(
    case: Ending, observed: Callable[[Ending], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.ended.exit_code == -signal.SIGKILL
    swept, _ = desk.do("clean")
    assert swept.exit_code == 0, swept.stderr
    # The pid of the one that was killed is nobody's now.
    left = [name for name in run.left if _is_there(desk, name)]
    assert left == []
    if case.step != "finish":
        # Another run's sweep may have been faster, and be about to mark it.
        eventually(
            lambda: run.status["outcome"] != "running",
            "it is marked",
            evidence=lambda: swept.stdout,
        )
        assert (run.status["outcome"], run.status["exit_code"]) == ("interrupted", None)
        assert "its process is gone" in run.status["reason"]
    else:
        # What the engine was removing may be gone before anyone looks, and nobody marks it then.
        assert run.status["outcome"] in {"running", "interrupted"}
    assert_whole(desk, run.records, killed=True)


def _is_there(desk: Desk, name: str) -> bool:
    found = desk.engine.client.api.containers(all=True, filters={"name": name.lstrip("/")})
    return bool(found)
