"""Runs whose output has no reader: the measuring does not depend on them, nor does the exit code.

Without containers, as `test_local_run.py`. What a run says goes to a pipe or terminal of the test.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import PROGRAM, QUICK, ROOT, SIM, Records
from tests.integration.test_local_run import Bench
from tests.waiting import eventually

SHORT = ("--stages", "1", "--chain-only", "--stage.duration", "0")
LOADED = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--stage.0.duration", "30")
SMALLEST_PIPE = 4096


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for item in made.engine.leftovers():
        made.engine.remove_leftover(item)
    made.engine.close()
    made.assert_nothing_left()


class Speaking:
    """Starts runs whose standard output and error are descriptors of the test."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._serials = itertools.count()

    @contextmanager
    def run(
        self,
        *arguments: str,
        stdout: int,
        stderr: int,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str | None = "out",
        prepare: Callable[[], None] | None = None,
    ) -> Iterator[tuple[subprocess.Popen[bytes], Records]]:
        """`name` of the results folder; None: not given."""
        folder = cwd or self._bench.folder / f"speaking-{next(self._serials)}"
        folder.mkdir(exist_ok=True)
        settings = self._bench.folder / "sim.toml"
        settings.write_text(QUICK)
        ports = [f"--port.{role}={port}" for role, port in self._bench.ports.items()]
        output = () if name is None else ("--output-dir", name)
        words = (*SIM, "--engine", "local", "--sim-config", str(settings), *ports, *output)
        process = subprocess.Popen(
            [*PROGRAM, *words, *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "controller"),
                "LOADGENCTL_CACHE": str(self._bench.cache),
                "DOCKER_HOST": f"unix://{self._bench.folder}/none.sock",
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - there are no threads
        )
        try:
            yield process, Records(folder / (name or "results"))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def speaking(bench: Bench) -> Speaking:
    return Speaking(bench)


def loaded(records: Records) -> None:
    eventually(
        lambda: records.cycles(finished_in=0) > 0, "a cycle finishes", evidence=lambda: str(records)
    )


def assert_ended(
    process: subprocess.Popen[bytes], records: Records, code: int, outcome: str
) -> None:
    assert process.wait(60) == code
    assert records.status["outcome"] == outcome
    assert records.document("summary.json")["run"]["outcome"] == outcome
    assert f": {outcome}, " in (records.folder / "loadgenctl.log").read_text()


def test_ctrl_c_that_ends_the_reader_too_ends_the_stage_gracefully(speaking: Speaking) -> None:
    reading, writing = os.pipe()
    with speaking.run(*LOADED, stdout=writing, stderr=writing) as (process, records):
        os.close(writing)
        loaded(records)
        os.close(reading)
        os.killpg(process.pid, signal.SIGINT)
        assert_ended(process, records, 130, "interrupted")
    assert "stage-finish" in records.perf(0)


@pytest.mark.parametrize("options", [(), ("--quiet",)], ids=["", "quiet"])
def test_a_terminal_that_is_closed_ends_the_stage_gracefully(
    speaking: Speaking, options: tuple[str, ...]
) -> None:
    master, terminal = pty.openpty()

    def control() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with speaking.run(*LOADED, *options, stdout=terminal, stderr=terminal, prepare=control) as (
        process,
        records,
    ):
        os.close(terminal)
        loaded(records)
        os.close(master)
        # A shell that ends sends another one to its jobs.
        os.killpg(process.pid, signal.SIGHUP)
        assert_ended(process, records, 130, "interrupted")
    assert "stage-finish" in records.perf(0)


def test_a_reader_that_had_enough_ends_nothing(speaking: Speaking) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with speaking.run(*SHORT, stdout=writing, stderr=writing) as (process, records):
        os.close(writing)
        assert_ended(process, records, 0, "passed")


def test_a_reader_that_does_not_read_holds_nothing_up(speaking: Speaking) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    os.write(writing, b"x" * SMALLEST_PIPE)
    with speaking.run(*SHORT, stdout=subprocess.DEVNULL, stderr=writing) as (process, records):
        os.close(writing)
        assert_ended(process, records, 0, "passed")
    os.close(reading)


def test_a_terminal_that_was_stopped_holds_nothing_up(speaking: Speaking) -> None:
    master, terminal = pty.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    with speaking.run(*SHORT, stdout=subprocess.DEVNULL, stderr=terminal) as (process, records):
        assert_ended(process, records, 0, "passed")
    termios.tcflow(terminal, termios.TCOON)
    os.close(terminal)
    os.close(master)


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)], ids=str)
def test_descriptors_that_are_closed_change_nothing(
    speaking: Speaking, closed: tuple[int, ...]
) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    null = subprocess.DEVNULL
    with speaking.run(*SHORT, stdout=null, stderr=null, prepare=close) as (process, records):
        assert_ended(process, records, 0, "passed")


def test_a_full_disk_under_the_output_does_not_change_the_exit_code(speaking: Speaking) -> None:
    reading, writing = os.pipe()
    with Path("/dev/full").open("wb") as full:
        ran = speaking.run(*SHORT, "--json", stdout=full.fileno(), stderr=writing)
        with ran as (process, records):
            os.close(writing)
            with os.fdopen(reading, "rb") as said:
                words = said.read().decode()
            assert_ended(process, records, 0, "passed")
    assert "warning: standard output cannot be written: No space left on device" in words


def test_sigpipe_from_outside_is_ignored(speaking: Speaking) -> None:
    null = subprocess.DEVNULL
    with speaking.run(*SHORT, stdout=null, stderr=null) as (process, records):
        eventually(lambda: bool(records.status), "it has begun", evidence=lambda: str(records))
        process.send_signal(signal.SIGPIPE)
        assert_ended(process, records, 0, "passed")


@pytest.mark.parametrize("charset", ["ascii", "latin-1"])
def test_folders_that_the_charset_has_no_name_for(speaking: Speaking, charset: str) -> None:
    reading, writing = os.pipe()
    ran = speaking.run(
        *(*SHORT, "--json", "--stage.save-storage"),
        stdout=writing,
        stderr=subprocess.DEVNULL,
        env={"PYTHONIOENCODING": charset},
        name="日ü",
    )
    with ran as (process, records):
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            summary = json.loads(said.read().decode(charset))
        assert_ended(process, records, 0, "passed")
    assert summary["run"]["outcome"] == "passed"
    assert Path(records.folder / "chain-storage-stage-0.tar.zst").exists()


def test_files_in_the_current_folder_that_have_names_of_modules_do_not_matter(
    speaking: Speaking, bench: Bench, tmp_path: Path
) -> None:
    trap, null = bench.folder / "trap", subprocess.DEVNULL
    (trap / "loadgenctl").mkdir(parents=True)
    for name in ("json.py", "typing.py", "tarfile.py", "loadgenctl/__init__.py"):
        (trap / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})\n")
    ran = speaking.run(
        *(*SHORT, "--stage.save-storage"),
        stdout=null,
        stderr=null,
        cwd=trap,
        # As the program is started: by its script, whose folder is the first that is searched.
        env={"PYTHONPATH": str(ROOT / "controller"), "PYTHONSAFEPATH": "1"},
    )
    with ran as (process, records):
        assert_ended(process, records, 0, "passed")
    assert (records.folder / "chain-storage-stage-0.tar.zst").exists()
    assert not (tmp_path / "executed").exists()


def test_runs_at_the_same_time_take_folders_of_their_own(tmp_path: Path) -> None:
    cwd, null = tmp_path / "cwd", subprocess.DEVNULL
    cwd.mkdir()
    benches = [Bench(tmp_path / name) for name in ("a", "b", "c")]
    for bench in benches:
        bench.folder.mkdir()
    runs = [
        Speaking(bench).run(*SHORT, stdout=null, stderr=null, cwd=cwd, name=None)
        for bench in benches
    ]
    with runs[0] as (first, _), runs[1] as (second, _), runs[2] as (third, _):
        assert [run.wait(60) for run in (first, second, third)] == [0, 0, 0]
    folders = sorted((cwd / "results").iterdir())
    assert len(folders) == 3
    for folder in folders:
        assert Records(folder).status["outcome"] == "passed"
        assert Records(folder).document("run.json")["plan"]["output_dir"] == str(folder)


def test_a_run_that_is_refused_leaves_no_folder_and_prints_why_as_json(
    tmp_path: Path,
) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*PROGRAM, *SIM, *SHORT, "--json"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "controller"),
            "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
        },
        stdout=writing,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        document = json.loads(said.read())
    assert process.wait(60) == document["exit_code"] == 2
    assert document["outcome"] == "failed"
    assert "no Docker engine answers" in document["error"]["message"]
    assert document["error"]["hint"]
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_goes_on_with_its_log(bench: Bench, speaking: Speaking) -> None:
    null = subprocess.DEVNULL
    stages = ("--stages", "2", "--chain-only", "--stage.duration", "0")
    with speaking.run(*stages, stdout=null, stderr=null) as (process, records):
        eventually(
            lambda: records.reached("stage-start", 1), "stage 1", evidence=lambda: str(records)
        )
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    log = records.folder / "loadgenctl.log"
    before = log.read_text()
    again = bench.do("run", "--resume", str(records.folder))
    assert again.exit_code == 0, again.stderr
    assert log.read_text().startswith(before)
    assert ": passed, " in log.read_text()[len(before) :]
