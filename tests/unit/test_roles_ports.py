"""A port that is taken is told as that, whichever way the engine words it."""

from __future__ import annotations

import os
import re
import socket

import pytest

from loadgenctl.errors import EngineError
from loadgenctl.roles.pod import _taken_port

START = "cannot start the container loadgenctl-0a1b2c3d4e-holder-0: driver failed programming"


@pytest.mark.parametrize(
    ("ending", "port"),
    [
        ("(9de7650215f1): Bind for 127.0.0.1:26657 failed: port is already allocated", "26657"),
        ("(9de7): listen tcp4 127.0.0.1:3352: bind: address already in use", "3352"),
    ],
)
def test_a_taken_port_is_named(ending: str, port: str) -> None:
    taken = _taken_port(EngineError(f"{START} external connectivity {ending}"))
    assert taken is not None
    assert re.match(rf"the port {port} of 127\.0\.0\.1 is in use( by |$)", taken.message)
    assert taken.exit_code == 2


def test_who_has_a_taken_port_is_named_as_far_as_it_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        taken = _taken_port(
            EngineError(f"{START} Bind for 127.0.0.1:{port} failed: port is already allocated")
        )
    assert taken is not None
    assert f"pid {os.getpid()}" in taken.message
    assert "--port.loadgen" in str(taken.hint)


def test_other_failures_are_left_alone() -> None:
    assert _taken_port(EngineError(f"{START}: no space left on device")) is None
