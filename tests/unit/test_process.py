"""Running processes, with real ones: this module is the seam itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from loadgenctl.errors import Interrupted, LoadgenError, UsageError
from loadgenctl.process import Runner, shut_down

SHELL = ("sh", "-c")


def test_outputs_and_code_are_kept_apart() -> None:
    done = Runner().run([*SHELL, "echo out; echo err >&2; exit 3"])
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert done.text() == "out"
    assert done.last_lines() == "err"


def test_last_lines_are_the_output_s_where_there_are_no_errors() -> None:
    done = Runner().run([*SHELL, "seq 1 30"])
    assert done.last_lines(2) == "29\n30"


def test_folder_environment_and_input_reach_the_command(tmp_path: Path) -> None:
    done = Runner().run(
        [*SHELL, "pwd; echo $GIVEN; cat"], cwd=tmp_path, env={"GIVEN": "value"}, stdin=b"input"
    )
    assert done.stdout.decode() == f"{tmp_path}\nvalue\ninput"


def test_without_input_a_command_that_reads_ends() -> None:
    assert Runner().run(["cat"], timeout=10).stdout == b""


def test_a_missing_program_is_named() -> None:
    with pytest.raises(UsageError, match="no-such-program"):
        Runner().run(["no-such-program"])
    with pytest.raises(UsageError, match="no-such-program"):
        Runner().stream(["no-such-program"], lambda line: None)


def test_a_command_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(LoadgenError, match="sleep did not finish"):
        Runner().run(["sleep", "60"], timeout=0.2)


def test_a_stream_hands_over_every_line_of_both_outputs() -> None:
    lines: list[bytes] = []
    code = Runner().stream([*SHELL, "echo one; echo two >&2; printf three; exit 4"], lines.append)
    assert (code, lines) == (4, [b"one", b"two", b"three"])


def test_an_interrupted_stream_ends_its_whole_group(tmp_path: Path) -> None:
    marker = tmp_path / "ended"
    script = f"trap 'echo x >{marker}; exit 0' INT; echo up; while :; do sleep 0.05; done"

    def interrupt(line: bytes) -> None:
        raise Interrupted("now")

    with pytest.raises(Interrupted):
        Runner().stream([*SHELL, script], interrupt)
    assert marker.exists()


def test_a_command_is_out_of_reach_of_the_terminal_s_ctrl_c() -> None:
    done = Runner().run(["python3", "-c", "import os; print(os.getsid(0) == os.getpid())"])
    assert done.text() == "True"


def test_an_interrupted_command_is_ended_with_its_children(tmp_path: Path) -> None:
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    script = f"trap 'echo x >{ended}; exit 0' INT; echo x >{ready}; while :; do sleep 0.05; done"

    def handler(_number: int, _frame: FrameType | None) -> None:
        if not ready.exists():
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return
        raise Interrupted("now")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            Runner().run([*SHELL, script])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended.exists()


def test_a_process_that_ignores_everything_is_killed() -> None:
    code = (
        "import signal,time\n"
        "for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        assert shut_down(child, grace=0.1) == -9


def test_shutting_down_what_has_ended_gives_its_code() -> None:
    with subprocess.Popen([*SHELL, "exit 5"], start_new_session=True) as child:
        child.wait()
        assert shut_down(child) == 5


def test_a_command_in_the_background_that_went_well_says_nothing() -> None:
    child = Runner().start([*SHELL, "echo ignored"])
    assert child.finish(10.0) is None
    assert not child.running


def test_a_command_in_the_background_gives_its_last_error() -> None:
    assert Runner().start([*SHELL, "echo a >&2; echo b >&2; exit 1"]).finish(10.0) == "b"
    assert Runner().start([*SHELL, "exit 6"]).finish(10.0) == "exit code 6"


def test_a_command_in_the_background_is_ended_when_it_takes_too_long() -> None:
    child = Runner().start(["sleep", "60"])
    assert child.running
    assert child.finish(0.1) == "did not finish within 0 s"
    assert not child.running


def test_a_command_that_is_begun_adds_what_it_says_to_a_file(tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("before\n")
    assert Runner().begin([*SHELL, "echo out; echo err >&2; exit 3"], said).wait() == 3
    assert said.read_text() == "before\nout\nerr\n"


def test_a_command_that_is_begun_is_ended_by_what_is_raised_meanwhile(tmp_path: Path) -> None:
    command = Runner().begin(["sleep", "60"], tmp_path / "said")

    def handler(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted("now")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            command.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert command.wait() == 130


def test_a_command_that_has_ended_may_be_sent_signals(tmp_path: Path) -> None:
    command = Runner().begin(["true"], tmp_path / "said")
    assert command.wait() == 0
    command.signal(signal.SIGTERM)
