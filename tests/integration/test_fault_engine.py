"""An engine that fails in mid-run: a call refused, statistics that hang, a socket that is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.engine_proxy import EngineProxy, Rule
from tests.integration.faulty import Observed, assert_whole, crowd, observe
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records

pytestmark = pytest.mark.docker

LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 2 --sample-interval 1"


@dataclass(frozen=True, slots=True)
class Refused:
    """Calls that the engine refuses in the course of a run, and whether the run survives that."""

    name: str
    pattern: str
    survives: bool
    times: int = 1

    def observe(self, desk: Desk) -> Observed:
        """See `Case.observe`."""
        with EngineProxy(desk.folder / f"{self.name}.sock") as proxy:
            rule = Rule(self.pattern, "refuse", self.times)
            proxy.rules.append(rule)
            # As many cycles rather than so many seconds: all of these run at the same time.
            words = (*SIM, *LOAD.split(), "--stage.0.loadgen.cycles", "3", *desk.settings())
            run = observe(desk, *words, DOCKER_HOST=proxy.url)
        assert rule.hit == self.times, "the call was made"
        return run

    def __str__(self) -> str:
        """Names the test."""
        return self.name


REFUSED = (
    Refused("create", r"POST .*/containers/create\?name=\S*-chain-", survives=False),
    Refused("start", r"POST .*/containers/\w+/start", survives=False),
    Refused("inspect", r"GET .*/containers/\w+/json", survives=True),
    Refused("events", r"GET .*/events", survives=True),
    Refused("list", r"GET .*/containers/json", survives=True),
    Refused("log", r"GET .*/logs\?.*follow=1", survives=True),
    Refused("statistics", r"GET .*/stats", survives=True, times=3),
    Refused("remove", r"DELETE .*/containers/", survives=True),
    Refused("signal", r"POST .*/kill", survives=False),
)


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Refused], Observed]]:
    with crowd(request, desk) as become:
        yield become


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_one_refused_call_is_survived_or_ends_the_run_cleanly(
    case: Refused, observed: Callable[[Refused], Observed], desk: Desk
) -> None:
    run = observed(case)
    assert run.left == []
    assert run.ended.exit_code == (0 if case.survives else 4), run.ended.stderr
    assert run.status["outcome"] == ("passed" if case.survives else "failed")
    if not case.survives:
        assert "the test refuses this" in run.status["reason"]
        assert "the test refuses this" in run.ended.stderr
    assert "Traceback" not in run.ended.stderr
    assert_whole(desk, run.records)


def test_statistics_that_hang_are_missing_and_the_run_goes_on(desk: Desk) -> None:
    with EngineProxy(desk.folder / "hang.sock") as proxy:
        proxy.rules.append(Rule(r"GET .*/stats", "hang", 1))
        words = (*SIM, *LOAD.split(), "--stage.0.duration", "0.25", *desk.settings())
        run = observe(desk, *words, DOCKER_HOST=proxy.url)
        assert proxy.rules[0].hit == 1
    assert run.ended.exit_code == 0, run.ended.stderr
    assert run.left == []
    rows = [row for row in run.records.rows("samples.jsonl") if row["kind"] == "container"]
    missing = [row for row in rows if row["reason"] and "no answer" in row["reason"]]
    assert missing
    assert {row["cpu_total_s"] for row in missing} == {None}
    assert [row for row in rows if row["cpu_total_s"] is not None], "others are not held up"
    assert_whole(desk, run.records)


def test_a_socket_that_is_gone_ends_the_run_and_the_next_command_sweeps(desk: Desk) -> None:
    with EngineProxy(desk.folder / "gone.sock") as proxy:

        def vanish(command: Loadgenctl, records: Records) -> None:
            command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
            proxy.closed_gate = True
            proxy.cut()

        words = (*SIM, *LOAD.split(), "--stage.0.duration", "5", *desk.settings())
        run = observe(desk, *words, strike=vanish, DOCKER_HOST=proxy.url)
    assert run.ended.exit_code == 4, run.ended.stderr
    assert run.status["outcome"] == "failed"
    assert "the Docker engine does not answer" in run.status["reason"]
    assert "containers may be left" in run.ended.stderr
    assert run.records.cycles(finished_in=0) > 0, "what was measured is kept"
    assert_whole(desk, run.records)
    swept, _ = desk.do("clean")
    assert swept.exit_code == 0, swept.stderr
    names = [name.lstrip("/") for name in run.left]
    api = desk.engine.client.api
    assert [name for name in names if api.containers(all=True, filters={"name": name})] == []
