"""Who owns something: alive, gone, or not for this host to say."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from loadgenctl.owner import Owner, host_id, process_start

ME = Owner(pid=10, start="boot-100", host="here")


def start_of(pid: int) -> str | None:
    """The process table of this test: only pid 10 lives."""
    return {10: "boot-100"}.get(pid)


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (ME, True),
        (replace(ME, pid=11), False),
        (replace(ME, start="boot-99"), False),
        (replace(ME, start="another-100"), False),
        (replace(ME, host="there"), None),
        (replace(ME, pid=11, host="there"), None),
        (replace(ME, start=""), None),
    ],
    ids=["alive", "gone", "pid reused", "rebooted", "elsewhere", "gone elsewhere", "start unknown"],
)
def test_alive(owner: Owner, expected: bool | None) -> None:
    assert owner.alive(host="here", start_of=start_of) is expected


def test_this_process_lives() -> None:
    me = Owner.current()
    assert me.pid == os.getpid()
    assert me.start
    assert me.host == host_id()
    assert me.alive() is True


def test_a_process_has_one_start_and_an_ended_one_has_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        first = process_start(child.pid)
        assert first is not None
        assert first == process_start(child.pid) != process_start(os.getpid())
        owner = Owner(child.pid, first, host_id())
        assert owner.alive() is True
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.alive() is False, "a zombie is no process"
    assert process_start(child.pid) is None
    assert owner.alive() is False


def test_the_host_has_one_name_that_tells_nothing() -> None:
    assert host_id() == host_id()
    assert len(host_id()) == 16
