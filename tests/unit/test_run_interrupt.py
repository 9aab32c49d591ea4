"""Requests to stop."""

from __future__ import annotations

import os
import signal

import pytest

from loadgenctl.errors import Interrupted
from loadgenctl.run.interrupt import Interrupts


def test_outside_graceful_the_first_request_raises() -> None:
    interrupts = Interrupts()
    with pytest.raises(Interrupted, match="SIGTERM"):
        interrupts.request("SIGTERM")
    assert interrupts.requested


def test_inside_graceful_the_first_sets_a_flag_and_the_second_raises() -> None:
    interrupts = Interrupts()
    with interrupts.graceful():
        interrupts.request()
        assert interrupts.requested
        assert not interrupts.at_once
        with pytest.raises(Interrupted):
            interrupts.check()
        with pytest.raises(Interrupted):
            interrupts.request()
    assert interrupts.at_once


def test_while_held_requests_are_only_counted() -> None:
    interrupts = Interrupts()
    with interrupts.held():
        interrupts.request()
        interrupts.request()
    assert interrupts.count == 2
    with pytest.raises(Interrupted):
        interrupts.check()


def test_held_inside_graceful_and_back() -> None:
    interrupts = Interrupts()
    with interrupts.graceful():
        with interrupts.held():
            interrupts.request()
        with pytest.raises(Interrupted):
            interrupts.request()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_requests_while_installed(number: signal.Signals) -> None:
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with interrupts.installed(), interrupts.graceful():
        os.kill(os.getpid(), number)
        assert interrupts.count == 1
        assert interrupts.name == number.name
    assert signal.getsignal(number) is before


def test_what_is_handed_on_is_counted_and_raises_nothing() -> None:
    interrupts = Interrupts()
    taken: list[str] = []
    with interrupts.handed_on(taken.append):
        interrupts.request("SIGTERM")
        interrupts.request("SIGINT")
    assert taken == ["SIGTERM", "SIGINT"]
    assert (interrupts.count, interrupts.name) == (2, "SIGINT")
    with pytest.raises(Interrupted):
        interrupts.request()
    assert len(taken) == 2


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with interrupts.installed():
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.count == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_closed_sends_several_hang_ups_and_asks_once() -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.graceful():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.count == 1
        assert not interrupts.at_once


def test_a_hang_up_after_ctrl_c_asks_for_no_haste() -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.graceful():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        assert (interrupts.count, interrupts.name) == (1, "SIGINT")


def test_after_a_hang_up_another_signal_stops_at_once() -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.graceful():
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.at_once
