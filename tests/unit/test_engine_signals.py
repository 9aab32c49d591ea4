"""Ctrl-C raises wherever the main thread is: the engine's locks must survive that."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import cast

import pytest
from docker import DockerClient

from loadgenctl.clock import SystemClock
from loadgenctl.engines.base import RoleState
from loadgenctl.engines.docker_states import StateWatch
from loadgenctl.engines.log_text import Buffer
from loadgenctl.errors import Interrupted

ROUNDS = 400
LATEST = 4e-4
"""Seconds after which a round's signal has come."""


@pytest.fixture
def raising() -> Iterator[None]:
    """SIGALRM raises, as `Interrupts` does."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted("by the test")

    before = signal.signal(signal.SIGALRM, handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def free_for_others(lock: threading.RLock) -> bool:
    """True if another thread gets the lock."""
    got: list[bool] = []

    def take() -> None:
        taken = lock.acquire(timeout=1.0)
        got.append(taken)

    other = threading.Thread(target=take)
    other.start()
    other.join()
    return got == [True]


@pytest.mark.usefixtures("raising")
def test_a_signal_leaves_the_watch_unlocked() -> None:
    moments = random.Random(3352)
    for _ in range(ROUNDS):
        no_client = cast("DockerClient", None)
        watch = StateWatch(no_client, SystemClock(), lambda container: RoleState("running"))
        watch._thread = threading.current_thread()  # it would listen to an engine
        with contextlib.suppress(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, LATEST))
            while True:
                watch.mark("id")
                watch.state("id")
                watch.change_count("id")
        assert free_for_others(watch._lock)


@pytest.mark.usefixtures("raising")
def test_a_signal_leaves_a_log_s_buffer_unlocked() -> None:
    moments = random.Random(3352)
    for _ in range(ROUNDS):
        buffer = Buffer()
        with contextlib.suppress(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, LATEST))
            while True:
                buffer.put(b"line\n")
                buffer.take()
        assert free_for_others(buffer._lock)
