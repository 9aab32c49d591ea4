"""What only the local engine does: keepers, orphans, private files, refusals, bounded logs."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import eventually

from loadgenctl.clock import SystemClock
from loadgenctl.engines import local_log_file, local_processes, ownership_labels
from loadgenctl.engines.base import Handle
from loadgenctl.engines.local import LocalEngine
from loadgenctl.engines.local_processes import punch_hole
from loadgenctl.engines.local_registry import Folder, Process, Registry
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import Command, Limits, Mount, RoleSpec
from loadgenctl.monitor import docker_stats
from loadgenctl.owner import Owner, process_start

PATIENCE = 20.0
DAEMON = (
    "import os, sys, time\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "os.environ.clear() if 'forget' in sys.argv else None\n"
    "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
    "os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)'],"
    " dict(os.environ))\n"
)
"""A process that leaves its session, its parent and, if told so, its environment behind."""


class Bench:
    """A local engine in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(folder / "engine", python=sys.executable)
        self.engine = LocalEngine(self.registry, SystemClock(), dict(os.environ))
        self._serial = itertools.count()

    def spec(self, *argv: str, env: dict[str, str] | None = None) -> RoleSpec:
        name = f"test-{next(self._serial)}"
        made = ownership_labels.make(Owner.current(), "test", "tested")
        return RoleSpec(name, "tested", "", Command(argv, env=env or {}), labels=made)

    def started(self, *argv: str) -> Handle:
        handle = self.engine.create(self.spec(*argv))
        self.engine.start(handle)
        return handle

    def daemon(self, *options: str) -> tuple[Handle, int]:
        """A container whose main process waits, and a daemon that it made."""
        note = self.folder / "daemon"
        program = self.folder / "daemon.py"
        program.write_text(DAEMON)
        words = " ".join((str(program), str(note), *options))
        handle = self.started("sh", "-c", f"python3 {words}; exec sleep 600")
        eventually(lambda: note.exists() and note.read_text() != "")
        return handle, int(note.read_text())

    def folder_of(self, handle: Handle) -> Folder:
        found = self.registry.find(handle.name, handle.id)
        assert found is not None
        return found[0]

    def keeper(self, handle: Handle) -> int:
        state = self.folder_of(handle).state()
        assert state is not None
        assert state.keeper is not None
        return state.keeper.pid


def lives(pid: int) -> bool:
    seen = local_processes.read_process(pid)
    return seen is not None and seen.lives


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for item in made.engine.leftovers():
        made.engine.remove_leftover(item)
    made.engine.close()


@pytest.mark.parametrize("options", [(), ("forget",)])
def test_removal_ends_daemons_in_sessions_of_their_own(
    bench: Bench, options: tuple[str, ...]
) -> None:
    handle, pid = bench.daemon(*options)
    keeper = bench.keeper(handle)
    assert os.getsid(pid) != os.getsid(keeper)
    bench.engine.remove(handle)
    assert not lives(pid)
    assert not lives(keeper)


def test_the_end_of_the_main_process_is_the_end_of_all(bench: Bench) -> None:
    handle, pid = bench.daemon()
    bench.engine.signal(handle, "SIGTERM")
    assert bench.engine.wait(handle, PATIENCE).exit_code == 128 + signal.SIGTERM
    assert not lives(pid)


def test_a_killed_keeper_takes_the_main_process_along_and_removal_finds_the_rest(
    bench: Bench,
) -> None:
    handle, pid = bench.daemon()
    main = bench.engine.root_pid(handle)
    os.kill(bench.keeper(handle), signal.SIGKILL)
    state = bench.engine.wait(handle, PATIENCE)
    assert (state.status, state.exit_code, state.error) == ("exited", 137, "its keeper was killed")
    eventually(lambda: not lives(main))
    assert lives(pid), "an orphan that nobody adopted"
    bench.engine.remove(handle)
    assert not lives(pid)
    assert bench.engine.leftovers() == []


def test_another_engine_finds_and_ends_what_one_has_made(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    main = bench.engine.root_pid(handle)
    other = LocalEngine(bench.registry, SystemClock(), {})
    assert other.state(handle).running
    (item,) = other.leftovers()
    other.remove_leftover(item)
    assert not lives(main)
    assert bench.engine.state(handle).status == "gone"


def test_who_got_the_pid_since_is_left_alone() -> None:
    mine = process_start(os.getpid())
    assert mine is not None
    assert Process(os.getpid(), mine).lives
    taken = Process(os.getpid(), "another-start")
    assert not taken.lives
    taken.send(signal.SIGKILL)
    seen = local_processes.read_process(os.getpid())
    assert seen is not None
    local_processes.kill(seen._replace(start=seen.start - 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limits": Limits(pids=100)}, "cannot be limited"),
        ({"limits": Limits(memory_bytes=2**30)}, "cannot be limited"),
        ({"limits": Limits(cpus=1.0)}, "cannot be limited"),
        ({"publish": {8000: 8000}}, "own ports already"),
        ({"user": "54321:54321"}, "run as you"),
        ({"mounts": (Mount("/not/there", "/src"),)}, "there is no /not/there"),
        ({"mounts": (Mount("volume", "/cache"),)}, "there is no volume"),
        ({"name": "../elsewhere"}, "is no name for a process"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    bench: Bench, changes: dict[str, object], words: str
) -> None:
    spec = dataclasses.replace(bench.spec("true"), **changes)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=words):
        bench.engine.create(spec)
    assert bench.engine.leftovers() == []


def test_the_caller_may_be_named_as_the_user(bench: Bench) -> None:
    spec = dataclasses.replace(bench.spec("true"), user=f"{os.getuid()}:{os.getgid()}")
    bench.engine.start(bench.engine.create(spec))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(("no-such-program",)), "no-such-program: No such file"),
        (Command(("true",), workdir="/no/such/folder"), "/no/such/folder: No such file"),
        (Command(("/etc/passwd",)), "Permission denied"),
    ],
)
def test_what_cannot_be_started_says_why(bench: Bench, command: Command, words: str) -> None:
    handle = bench.engine.create(dataclasses.replace(bench.spec("true"), command=command))
    with pytest.raises(EngineError, match=words):
        bench.engine.start(handle)
    assert bench.engine.state(handle).status == "created"
    bench.engine.remove(handle)


def test_a_missing_program_is_an_executions_own_matter(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    answer = bench.engine.exec(handle, ["no-such-program"])
    assert answer.exit_code == 127
    assert b"no-such-program" in answer.output


def test_an_execution_that_is_given_up_leaves_nothing(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    note = bench.folder / "pid"
    script = f"sh -c 'echo $$ >{note}; sleep 600'; true"
    with pytest.raises(EngineError, match="sh did not finish within"):
        bench.engine.exec(handle, ["sh", "-c", script], timeout=0.5)
    eventually(lambda: not lives(int(note.read_text())))
    assert bench.engine.state(handle).running


def test_an_execution_ends_with_its_container(bench: Bench) -> None:
    handle = bench.started("sleep", "0.5")
    assert bench.engine.exec(handle, ["sleep", "600"], timeout=PATIENCE).exit_code == 137


def test_an_execution_whose_keeper_is_killed_is_an_error(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    kill = f"kill -9 {bench.keeper(handle)}; sleep 600"
    with pytest.raises(EngineError, match="ended while sh ran in it"):
        bench.engine.exec(handle, ["sh", "-c", kill], timeout=PATIENCE)


def test_mounts_are_where_commands_look_for_them(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    spec = dataclasses.replace(
        bench.spec("sh", "-c", "pwd; echo $FILE; exec sleep 600"),
        mounts=(Mount(str(tmp_path / "shared"), "/out"),),
    )
    command = dataclasses.replace(spec.command, env={"FILE": "/out/x"}, workdir="/out")
    handle = bench.engine.create(dataclasses.replace(spec, command=command))
    bench.engine.start(handle)
    shared = str(tmp_path / "shared")
    eventually(lambda: bench.engine.tail(handle, 2) == [shared, f"{shared}/x"])
    assert bench.engine.exec(handle, ["sh", "-c", "pwd; echo $FILE /out/y"]).output == (
        f"{shared}\n{shared}/x {shared}/y\n".encode()
    )


def test_python_is_loadgenctls_own(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    answer = bench.engine.exec(handle, ["python3", "-c", "import psutil, sys; print(sys.prefix)"])
    assert answer.output.decode().strip() == sys.prefix


def test_a_container_can_be_started_again(bench: Bench) -> None:
    handle = bench.started("sh", "-c", "echo once")
    bench.engine.wait(handle, PATIENCE)
    bench.engine.start(handle)
    bench.engine.wait(handle, PATIENCE)
    assert bench.engine.tail(handle, 5) == ["once", "once"]


def test_a_long_log_keeps_its_newest_part(bench: Bench) -> None:
    last = 199_999
    limit = 1024 * 1024
    spec = dataclasses.replace(bench.spec("seq", str(last)), log_max_bytes=limit)
    handle = bench.engine.create(spec)
    follower = bench.engine.follow(handle)
    bench.engine.start(handle)
    bench.engine.wait(handle, PATIENCE)
    log = bench.folder_of(handle).log
    assert log.stat().st_size > limit
    assert log.stat().st_blocks * 512 <= limit
    lines = b"".join(bench.engine.logs(handle)).split()
    assert [int(line) for line in lines] == list(range(int(lines[0]), last + 1))
    assert bench.engine.tail(handle, 2) == [str(last - 1), str(last)]
    assert follower.poll().split() == lines, "who comes late begins with the first whole line"
    follower.close()


def test_statistics_count_what_has_ended_and_not_the_keeper(bench: Bench) -> None:
    burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    handle = bench.started("sh", "-c", f"sh -c '{burn}'; echo done; exec sleep 600")
    eventually(lambda: bench.engine.tail(handle, 1) == ["done"])
    document = bench.engine.stats(handle)
    assert document is not None
    values = docker_stats.parse(document)
    used = values["cpu_total_s"]
    assert used is not None
    assert used >= 0.1
    assert used == pytest.approx((values["cpu_user_s"] or 0) + (values["cpu_system_s"] or 0))
    memory, usage, cache = (values[f"memory_{name}bytes"] for name in ("", "usage_", "cache_"))
    assert memory is not None
    assert usage is not None
    assert cache is not None
    assert 0 < memory < 8 * 2**20, "one sleeping program, and no Python"
    assert memory == usage - cache
    assert values["pids"] == 1
    unknown = {name for name, value in values.items() if value is None}
    assert unknown == {
        *("cpu_periods", "cpu_throttled_periods", "cpu_throttled_s"),
        *("memory_peak_bytes", "memory_limit_bytes"),
        *("network_rx_bytes", "network_tx_bytes"),
    }


def test_others_may_not_look(bench: Bench) -> None:
    bench.engine.info()
    root = bench.registry.root
    assert root.stat().st_mode & 0o777 == 0o700
    root.chmod(0o755)
    with pytest.raises(EngineUnavailable, match="other users may enter"):
        bench.engine.info()


def test_what_was_cut_while_it_was_made_or_removed_is_cleared_away(bench: Bench) -> None:
    bench.engine.info()
    gone, mine = (
        bench.registry.root / ".new-4194304-0",
        bench.registry.root / f".new-{os.getpid()}-7",
    )
    for folder in (bench.registry.root / ".old-x", gone, mine):
        folder.mkdir()
    assert bench.engine.leftovers() == []
    assert [path.name for path in bench.registry.root.iterdir()] == [mine.name]
    mine.rmdir()


def test_a_damaged_registry_is_told(bench: Bench) -> None:
    handle = bench.engine.create(bench.spec("true"))
    state = bench.folder_of(handle).path / "state.json"
    before = state.read_text()
    state.write_text("{")
    with pytest.raises(EngineError, match="is not what the local engine wrote"):
        bench.engine.state(handle)
    state.write_text(before)


@pytest.mark.parametrize(
    "text",
    ['{"id": 1}', '{"id": "x", "keeper": "y"}', '{"id": "x", "exit_code": "0"}', "[" * 9000, "7"],
)
def test_a_state_of_another_shape_is_told_as_damage(bench: Bench, text: str) -> None:
    handle = bench.engine.create(bench.spec("true"))
    state = bench.folder_of(handle).path / "state.json"
    before = state.read_text()
    state.write_text(text)
    with pytest.raises(EngineError, match="is not what the local engine wrote"):
        bench.engine.state(handle)
    state.write_text(before)


def test_a_detached_execution_that_does_not_start_in_time_is_an_error(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    bench.engine.start_within = 0.2
    os.kill(bench.keeper(handle), signal.SIGSTOP)
    with pytest.raises(EngineError, match=r"true did not start within 0\.2 s"):
        bench.engine.exec_detached(handle, ["true"])
    os.kill(bench.keeper(handle), signal.SIGCONT)


def test_a_detached_execution_of_a_missing_program_is_an_error(bench: Bench) -> None:
    handle = bench.started("sleep", "600")
    with pytest.raises(EngineError, match="cannot start no-such-program"):
        bench.engine.exec_detached(handle, ["no-such-program"])


def test_a_name_is_free_again_after_a_removal_and_means_another_container(bench: Bench) -> None:
    spec = bench.spec("sleep", "600")
    first = bench.engine.create(spec)
    bench.engine.remove(first)
    second = bench.engine.create(spec)
    assert bench.engine.state(first).status == "gone"
    assert bench.engine.state(second).status == "created"
    bench.engine.remove(first)
    assert bench.engine.state(second).status == "created"


def test_what_is_kept_of_a_container_holds_no_variable_of_the_caller(bench: Bench) -> None:
    engine = LocalEngine(bench.registry, SystemClock(), {**os.environ, "TOKEN": "secret-word"})
    handle = engine.create(bench.spec("sh", "-c", "test ${#TOKEN} = 11 && exec sleep 600"))
    engine.start(handle)
    assert engine.state(handle).running
    folder = bench.folder_of(handle)
    container = folder.container()
    assert container is not None
    kept = [path for path in folder.path.rglob("*") if path.is_file()]
    assert all("secret-word" not in path.read_text() for path in kept)


def test_reading_on_skips_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 8000 + b"\nsecond line\n")
    with path.open("r+b") as stream:
        punch_hole(stream.fileno(), 0, 4096)
        data, offset = local_log_file.read_on(stream.fileno(), 0, 65536)
        assert data == b"second line\n"
        assert local_log_file.read_on(stream.fileno(), offset, 65536) == (b"", offset)
