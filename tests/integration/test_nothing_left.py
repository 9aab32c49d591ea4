"""The last test of all: what the other tests of this session made is gone from the engine."""

from __future__ import annotations

import pytest
from tests.docker_support import DockerUnderTest
from tests.integration.loadgenctl_process import Loadgenctl

from loadgenctl.engines import ownership_labels
from loadgenctl.owner import Owner

pytestmark = [pytest.mark.docker, pytest.mark.last]


def test_nothing_of_this_session_is_left(docker_under_test: DockerUnderTest) -> None:
    engine = docker_under_test.engine()
    try:
        items = engine.leftovers()
    finally:
        engine.close()
    ours = {Owner.current(), *Loadgenctl.owners}
    left = [
        f"{item.kind} {item.name}"
        for item in items
        if ownership_labels.owner_of(item.labels) in ours
    ]
    assert left == []
