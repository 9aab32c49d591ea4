"""The engine itself goes away in mid-run: one of the test's own, not the machine's."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from tests.integration.faulty import NOTICED, assert_whole, now
from tests.integration.loadgenctl_process import (
    SIM,
    Desk,
    EngineView,
    Loadgenctl,
    Records,
)
from tests.second_engine import SecondEngine
from tests.waiting import eventually

pytestmark = pytest.mark.docker

ALONE = "--stages 1 --chain-only --stage.0.duration 5"
LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5"


@pytest.fixture(scope="module")
def second(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    """An engine that has the simulated SDK's image."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker engine")
    made, _ = desk.do("image", "build", "--sdk", "sim")
    assert made.exit_code == 0, made.stderr
    with SecondEngine(tmp_path_factory.mktemp("engine")) as engine:
        engine.take_images(desk.engine.client, made.stdout.strip())
        yield engine


def left_by(second: SecondEngine, command: Loadgenctl) -> list[str]:
    client = second.client()
    try:
        return EngineView(client).left(command.pid)
    finally:
        client.close()


def named(command: Loadgenctl, records: Records) -> float:
    """Wait until status.json tells why; when that was."""
    eventually(
        lambda: records.status.get("reason") is not None,
        "it tells why",
        evidence=lambda: command.stderr,
    )
    return now()


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGTERM, LOAD), (signal.SIGKILL, ALONE)], ids=["TERM", "KILL"]
)
def test_an_engine_that_is_restarted_ends_the_run_and_is_named(
    desk: Desk, second: SecondEngine, number: signal.Signals, options: str
) -> None:
    command, records = desk.start(*SIM, *options.split(), *desk.settings(), DOCKER_HOST=second.url)
    with command:
        if options is LOAD:
            command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
        second.end(number)
        second.start()
        back_at = now()
        noticed_at = named(command, records)
        ended = command.end()
    assert noticed_at - back_at < NOTICED
    assert ended.exit_code == 4, ended.stderr
    assert "Traceback" not in ended.stderr
    status = records.status
    # Not the chain, which did nothing but end with its engine.
    assert (status["outcome"], status["role"]) == ("failed", None)
    assert "the Docker engine does not answer" in status["reason"] or (
        "the engine has ended all containers of the run" in status["reason"]
    )
    assert left_by(second, command) == []
    assert records.rows("blocks.jsonl")
    assert_whole(desk, records)


def test_what_an_engine_keeps_that_went_away_is_swept_when_it_is_back(
    desk: Desk, second: SecondEngine
) -> None:
    command, records = desk.start(*SIM, *ALONE.split(), *desk.settings(), DOCKER_HOST=second.url)
    with command:
        command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
        second.end(signal.SIGKILL)
        gone_at = now()
        noticed_at = named(command, records)
        ended = command.end()
    second.start()
    assert noticed_at - gone_at < NOTICED
    assert ended.exit_code == 4, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "containers may be left" in ended.stderr
    assert records.status["outcome"] == "failed"
    assert "the Docker engine does not answer" in records.status["reason"]
    assert_whole(desk, records)

    names = left_by(second, command)
    assert len(names) == 2, "holder and chain"
    swept, _ = desk.do("clean", "--engine", "docker", DOCKER_HOST=second.url)
    assert swept.exit_code == 0, swept.stderr
    assert all(f"removed container {name.lstrip('/')}" in swept.stdout for name in names)
    assert left_by(second, command) == []
