"""Fixtures for all tests. Docker tests fail where no engine answers, and leave nothing on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.docker_support import SUITE, DockerUnderTest

from loadgenctl.building.site import SiteSettings
from loadgenctl.clock import SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Leftover
from loadgenctl.engines.docker_connection import connect
from loadgenctl.errors import EngineUnavailable
from loadgenctl.images import ImageStore
from loadgenctl.owner import Owner
from loadgenctl.process import Runner
from loadgenctl.resources import cache_dir

# The same examples everywhere and always; `--hypothesis-profile=wide` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("wide", deadline=None, database=None, max_examples=2000)
settings.load_profile("fixed")

# Under nohup a hangup is ignored by this process and by all that it starts; tests send some.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# So is an interrupt in the background of a shell script, where bin/test-pythons runs them.
signal.signal(signal.SIGINT, signal.default_int_handler)

WITHOUT_DOCKER = "LOADGENCTL_WITHOUT_DOCKER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the Docker tests only where somebody said that there is no Docker; order the last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    if os.environ.get(WITHOUT_DOCKER) != "1":
        return
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.skip(reason=f"{WITHOUT_DOCKER}=1"))


@pytest.fixture(autouse=True)
def _docker_where_marked(request: pytest.FixtureRequest) -> None:
    """Every test marked `docker` has the engine, and is watched for what it leaves."""
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("docker_under_test")


@pytest.fixture(scope="session")
def cache_folder() -> Path:
    """The folder of loadgenctl's own cache: its locks are shared with real runs."""
    return cache_dir()


@pytest.fixture(scope="session")
def docker_under_test(cache_folder: Path) -> Iterator[DockerUnderTest]:
    """The machine's Docker engine, with a base image on it."""
    try:
        client = connect()
    except EngineUnavailable as error:
        pytest.fail(f"{error.message}; {error.hint}; or set {WITHOUT_DOCKER}=1", pytrace=False)
    store = ImageStore(client, Runner(), SiteSettings(), SystemClock(), cache_folder)
    image = store.ensure_base(SUITE, print)
    client.close()
    made = DockerUnderTest(image)
    before = set(_on_engine(made))
    yield made
    left = [item for item in _on_engine(made).items() if item[0] not in before and _ours(item[1])]
    assert not left, f"the tests left on the engine: {left}"


def _on_engine(made: DockerUnderTest) -> dict[tuple[str, str], Leftover]:
    engine = made.engine()
    try:
        return {(item.kind, item.id): item for item in engine.leftovers()}
    finally:
        engine.close()


def _ours(item: Leftover) -> bool:
    """True if this process or one that has ended made it: others may be at work on the engine."""
    return ownership_labels.owner_of(
        item.labels
    ) == Owner.current() or ownership_labels.owned_by_dead_process(item.labels)
