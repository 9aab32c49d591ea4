"""Fixtures of the tests that run whole commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.docker_support import DockerUnderTest
from tests.integration.loadgenctl_process import (
    SIM,
    Desk,
    EngineView,
    Loadgenctl,
    Records,
)


@pytest.fixture(scope="session")
def desk(
    docker_under_test: DockerUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    client = docker_under_test.client()
    yield Desk(tmp_path_factory.mktemp("runs"), EngineView(client))
    client.close()


@pytest.fixture
def under_load(desk: Desk) -> Iterator[Callable[..., tuple[Loadgenctl, Records]]]:
    """Starts a run and waits until its load's first cycle has finished."""
    started: list[Loadgenctl] = []

    def start(*options: str, settings: tuple[str, str]) -> tuple[Loadgenctl, Records]:
        load = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1")
        command, records = desk.start(*SIM, *load, "--stage.0.duration", "30", *options, *settings)
        started.append(command)
        command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        return command, records

    yield start
    for command in started:
        with command:
            pass
