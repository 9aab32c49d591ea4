"""What every engine promises, tried on each of them. Nothing here knows which one it is."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.contract.behaviours import CHATTY_LINES, behaviours
from tests.docker_support import DockerUnderTest
from tests.fakes import FakeClock, FakeEngine

from loadgenctl.clock import Clock, SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Engine, Handle, LogFollower, RoleState
from loadgenctl.engines.local import LocalEngine
from loadgenctl.engines.local_registry import Registry
from loadgenctl.errors import EngineError
from loadgenctl.model import Command, Mount, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.run.leftovers import sweep

PATIENCE = 20.0
DEAD_PID = 2**22 + 1
"""Above what the kernel ever gives to a process."""


class Harness:
    """An engine under test, and containers of known behaviour on it."""

    def __init__(
        self, engine: Engine, clock: Clock, image: str, mounts: tuple[Mount, ...] = ()
    ) -> None:
        """Everything made carries one run id and is removed by `clean`."""
        self.engine = engine
        self.clock = clock
        self.run = f"contract-{next(_RUNS)}-{Owner.current().pid}"
        self._image = image
        self._mounts = mounts
        self._serial = itertools.count()

    def spec(self, behaviour: str, *, owner: Owner | None = None) -> RoleSpec:
        """A container that behaves so."""
        return RoleSpec(
            name=f"loadgenctl-{self.run}-{behaviour}-{next(self._serial)}",
            role=behaviour,
            image=self._image,
            command=Command(("sh", "-c", behaviours()[behaviour].shell)),
            mounts=self._mounts,
            labels=ownership_labels.make(owner or Owner.current(), self.run, behaviour),
        )

    def started(self, behaviour: str) -> Handle:
        """Such a container, started."""
        handle = self.engine.create(self.spec(behaviour))
        self.engine.start(handle)
        return handle

    def ended(self, behaviour: str) -> tuple[Handle, RoleState]:
        """Such a container, started and ended."""
        handle = self.started(behaviour)
        return handle, self.engine.wait(handle, PATIENCE)

    def eventually(self, condition: Callable[[], bool]) -> None:
        """Poll until it holds."""
        deadline = self.clock.monotonic() + PATIENCE
        while not condition():
            assert self.clock.monotonic() < deadline, "it did not happen in time"
            self.clock.sleep(0.02)

    def read_until(self, follower: LogFollower, wanted: bytes) -> bytes:
        """What the follower brings until `wanted` was in it."""
        seen = bytearray()

        def there() -> bool:
            seen.extend(follower.poll())
            return wanted in seen

        self.eventually(there)
        return bytes(seen)

    def mine(self) -> set[str]:
        """Names of what this test has on the engine."""
        return {
            x.name
            for x in self.engine.leftovers()
            if x.labels.get(ownership_labels.RUN) == self.run
        }

    def clean(self) -> None:
        """Remove what the test left."""
        for item in self.engine.leftovers():
            if item.labels.get(ownership_labels.RUN) == self.run:
                self.engine.remove_leftover(item)
        self.engine.close()


_RUNS = itertools.count()


@pytest.fixture(params=["fake", "local", pytest.param("docker", marks=pytest.mark.docker)])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    if request.param == "fake":
        clock = FakeClock()
        scripts = {name: behaviour.script for name, behaviour in behaviours().items()}
        made = Harness(FakeEngine(clock, scripts), clock, "image")
    elif request.param == "local":
        registry = Registry(tmp_path / "local", python=sys.executable)
        engine = LocalEngine(registry, SystemClock(), os.environ)
        # A folder of their own for what containers write: they have no file system of their own.
        (tmp_path / "scratch").mkdir()
        made = Harness(engine, SystemClock(), "", (Mount(str(tmp_path / "scratch"), "/tmp"),))
    else:
        docker: DockerUnderTest = request.getfixturevalue("docker_under_test")
        made = Harness(docker.engine(), SystemClock(), docker.image)
    yield made
    made.clean()


def test_info_names_the_engine(harness: Harness) -> None:
    info = harness.engine.info()
    assert info.kind
    assert info.version


def test_a_container_goes_from_created_to_exited_with_its_code(harness: Harness) -> None:
    began = harness.clock.wall()
    handle = harness.engine.create(harness.spec("short"))
    assert harness.engine.state(handle) == RoleState("created")

    harness.engine.start(handle)
    state = harness.engine.wait(handle, PATIENCE)

    assert (state.status, state.exit_code, state.oom_killed) == ("exited", 3, False)
    assert state.started_at is not None
    assert began - 5 <= state.started_at <= harness.clock.wall() + 5
    assert harness.engine.state(handle) == state


def test_a_running_container_says_so(harness: Harness) -> None:
    handle = harness.started("sleeper")
    state = harness.engine.state(handle)
    assert state.running
    assert state.exit_code is None


def test_waiting_ends_at_the_timeout(harness: Harness) -> None:
    handle = harness.started("sleeper")
    began = harness.clock.monotonic()
    assert harness.engine.wait(handle, 0.3).running
    assert 0.3 <= harness.clock.monotonic() - began < 5


def test_an_end_is_noticed_by_asking_for_the_state_alone(harness: Harness) -> None:
    handle = harness.started("talker")
    harness.eventually(lambda: harness.engine.state(handle).status == "exited")


def test_a_taken_name_is_an_error(harness: Harness) -> None:
    spec = harness.spec("silent")
    harness.engine.create(spec)
    with pytest.raises(EngineError, match=spec.name):
        harness.engine.create(spec)


def test_environment_and_working_folder_reach_the_command(harness: Harness) -> None:
    spec = harness.spec("greeter")
    command = dataclasses.replace(spec.command, env={"GREETING": "hello"}, workdir="/usr")
    handle = harness.engine.create(dataclasses.replace(spec, command=command))
    harness.engine.start(handle)
    harness.engine.wait(handle, PATIENCE)
    assert harness.engine.tail(handle, 1) == ["hello from /usr"]


def test_a_signal_reaches_the_main_process(harness: Harness) -> None:
    handle = harness.started("interruptible")
    harness.read_until(harness.engine.follow(handle), b"ready\n")
    harness.engine.signal(handle, "SIGINT")
    assert harness.engine.wait(handle, PATIENCE).exit_code == 0
    assert harness.engine.tail(handle, 1) == ["stopping"]


def test_a_container_that_ignores_signals_is_killed(harness: Harness) -> None:
    handle = harness.started("stubborn")
    harness.read_until(harness.engine.follow(handle), b"ready\n")
    harness.engine.signal(handle, "SIGINT")
    harness.engine.signal(handle, "SIGTERM")
    assert harness.engine.wait(handle, 0.3).running
    harness.engine.signal(handle, "SIGKILL")
    assert harness.engine.wait(handle, PATIENCE).exit_code == 137


def test_a_signal_to_an_ended_container_is_no_error(harness: Harness) -> None:
    handle, _ = harness.ended("silent")
    harness.engine.signal(handle, "SIGTERM")
    harness.engine.remove(handle)
    harness.engine.signal(handle, "SIGTERM")


def test_removing_ends_a_running_container_and_may_be_repeated(harness: Harness) -> None:
    handle = harness.started("stubborn")
    harness.engine.remove(handle)
    harness.engine.remove(handle)
    assert harness.engine.state(handle) == RoleState("gone")
    assert harness.engine.wait(handle, PATIENCE) == RoleState("gone")
    assert harness.engine.tail(handle, 5) == []
    assert harness.engine.stats(handle) is None
    assert harness.mine() == set()


def test_a_removed_container_can_neither_start_nor_run_commands(harness: Harness) -> None:
    handle = harness.engine.create(harness.spec("sleeper"))
    harness.engine.remove(handle)
    with pytest.raises(EngineError):
        harness.engine.start(handle)
    with pytest.raises(EngineError):
        harness.engine.exec(handle, ["true"])


def test_an_execution_gives_its_code_and_both_outputs(harness: Harness) -> None:
    handle = harness.started("sleeper")
    result = harness.engine.exec(handle, ["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert result.exit_code == 7
    assert sorted(result.output.splitlines()) == [b"err", b"out"]


def test_an_execution_that_takes_too_long_is_an_error(harness: Harness) -> None:
    handle = harness.started("sleeper")
    began = harness.clock.monotonic()
    with pytest.raises(EngineError, match="sleep did not finish"):
        harness.engine.exec(handle, ["sleep", "30"], timeout=0.3)
    assert harness.clock.monotonic() - began < 5
    assert harness.engine.state(handle).running


def test_an_execution_in_an_ended_container_is_an_error(harness: Harness) -> None:
    handle, _ = harness.ended("silent")
    with pytest.raises(EngineError):
        harness.engine.exec(handle, ["true"])


def test_a_detached_execution_goes_on_by_itself(harness: Harness) -> None:
    handle = harness.started("sleeper")
    harness.engine.exec_detached(handle, ["sh", "-c", "echo made >/tmp/made"])
    harness.eventually(lambda: harness.engine.exec(handle, ["cat", "/tmp/made"]).exit_code == 0)
    assert harness.engine.exec(handle, ["cat", "/tmp/made"]).output == b"made\n"


def test_the_log_holds_both_outputs_whole(harness: Harness) -> None:
    handle, _ = harness.ended("short")
    lines = b"".join(harness.engine.logs(handle)).splitlines()
    assert sorted(lines) == [b"one", b"three", b"two"]


def test_a_log_of_nothing_is_empty(harness: Harness) -> None:
    handle, _ = harness.ended("silent")
    assert b"".join(harness.engine.logs(handle)) == b""
    assert harness.engine.tail(handle, 10) == []


def test_tail_gives_the_last_lines_without_control_characters(harness: Harness) -> None:
    handle, _ = harness.ended("painter")
    assert harness.engine.tail(handle, 10) == ["red", "100%", "bell", "no end"]
    assert harness.engine.tail(handle, 2) == ["bell", "no end"]
    assert harness.engine.tail(handle, 0) == []


def test_following_brings_every_byte_once(harness: Harness) -> None:
    handle = harness.engine.create(harness.spec("chatty"))
    follower = harness.engine.follow(handle)
    assert follower.poll() == b""
    harness.engine.start(handle)
    last = f"line {CHATTY_LINES - 1} of a log that talks a lot\n".encode()
    followed = harness.read_until(follower, last)
    harness.engine.wait(handle, PATIENCE)
    assert followed == b"".join(harness.engine.logs(handle))
    assert follower.poll() == b""


def test_following_an_ended_container_brings_its_whole_log(harness: Harness) -> None:
    handle, _ = harness.ended("talker")
    follower = harness.engine.follow(handle)
    expected = b"".join(b"line %d\n" % n for n in range(1, 6))
    assert harness.read_until(follower, b"line 5\n") == expected


def test_lines_arrive_while_the_container_still_runs(harness: Harness) -> None:
    handle = harness.started("interruptible")
    first, second = harness.engine.follow(handle), harness.engine.follow(handle)
    assert harness.read_until(first, b"ready\n") == b"ready\n"
    assert harness.read_until(second, b"ready\n") == b"ready\n"
    assert harness.engine.state(handle).running


def test_a_follower_of_a_silent_container_closes_at_once(harness: Harness) -> None:
    handle = harness.started("sleeper")
    follower = harness.engine.follow(handle)
    assert follower.poll() == b""
    began = harness.clock.monotonic()
    follower.close()
    follower.close()
    assert follower.poll() == b""
    assert harness.clock.monotonic() - began < 2


def test_statistics_only_of_running_containers(harness: Harness) -> None:
    handle = harness.engine.create(harness.spec("sleeper"))
    assert harness.engine.stats(handle) is None
    harness.engine.start(handle)
    document = harness.engine.stats(handle)
    assert document is None or (isinstance(document, Mapping) and document)
    ended, _ = harness.ended("silent")
    assert harness.engine.stats(ended) is None


def test_everything_made_is_listed_with_its_labels(harness: Harness) -> None:
    spec = harness.spec("silent")
    harness.engine.create(spec)
    found = [item for item in harness.engine.leftovers() if item.name == spec.name]
    assert len(found) == 1
    assert found[0].kind == "container"
    assert set(spec.labels.items()) <= set(found[0].labels.items())
    harness.engine.remove_leftover(found[0])
    harness.engine.remove_leftover(found[0])
    assert harness.mine() == set()


def test_the_sweep_takes_what_the_dead_left_and_nothing_else(harness: Harness) -> None:
    me = Owner.current()
    dead = dataclasses.replace(me, pid=DEAD_PID)
    reused = dataclasses.replace(me, start="another-start")
    elsewhere = dataclasses.replace(dead, host="another-host")
    specs = [harness.spec("sleeper", owner=owner) for owner in (me, dead, reused, elsewhere)]
    for spec in specs:
        harness.engine.start(harness.engine.create(spec))

    removed = sweep(harness.engine).removed

    # What the dead left may have been swept by another loadgenctl on this engine: gone it must be.
    kept = {f"container {specs[place].name}" for place in (0, 3)}
    assert not kept & set(removed)
    assert harness.mine() == {specs[0].name, specs[3].name}
