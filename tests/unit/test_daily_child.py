"""Runs as processes of their own, with real ones: scripts in the place of `loadgenctl run`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from tests.fakes import FakeClock

from loadgenctl.daily.make_attempt import CONSOLE, RunRequest
from loadgenctl.daily.run_process import ChildRuns
from loadgenctl.errors import Interrupted
from loadgenctl.process import Runner
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.sources.locks import exclusive, try_exclusive

STOPPED_TWICE = """
import os, signal, sys
got = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: got.append(signal.Signals(number).name))
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
for number in (signal.SIGTERM, signal.SIGINT):
    os.kill(os.getppid(), number)       # as a person, or a service manager, does
    got.append(signal.Signals(signal.sigwait((signal.SIGINT, signal.SIGTERM))).name)
print(*got)
sys.exit(130)
"""


def run(script: str, folder: Path, interrupts: Interrupts | None = None) -> int:
    runs = ChildRuns(Runner(), interrupts or Interrupts(), (sys.executable, "-c", script), ())
    return runs(RunRequest("queue-abc", "abc", ("--stages", "1")), folder)


def test_it_is_given_options_revision_and_folder_and_its_words_are_kept(tmp_path: Path) -> None:
    script = "import sys; print(*sys.argv[1:]); print('oops', file=sys.stderr); sys.exit(4)"
    assert run(script, tmp_path) == 4
    said = (tmp_path / CONSOLE).read_text()
    assert f"--stages 1 --revision abc --output-dir {tmp_path}\n" in said
    assert "oops" in said


def test_one_that_a_signal_ended_has_the_shell_s_code(tmp_path: Path) -> None:
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path) == 137


def test_it_is_out_of_reach_of_the_terminal(tmp_path: Path) -> None:
    assert run("import os, sys; sys.exit(os.getsid(0) != os.getpid())", tmp_path) == 0


def test_every_request_to_stop_is_handed_on_and_its_end_is_waited_for(tmp_path: Path) -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        assert run(STOPPED_TWICE, tmp_path, interrupts) == 130
    assert (tmp_path / CONSOLE).read_text() == "SIGTERM SIGINT\n"
    assert interrupts.count == 2
    with pytest.raises(Interrupted):
        interrupts.check()


def test_what_it_inherits_holds_the_lock_after_the_service(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = "import signal; signal.pause()"
    with exclusive(lock, FakeClock()) as descriptor:
        argv = [sys.executable, "-c", script]
        left = Runner().begin(argv, tmp_path / "said", keep_open=[descriptor])
    with try_exclusive(lock) as free:
        assert not free
    left.signal(signal.SIGKILL)
    assert left.wait() == 137
    with try_exclusive(lock) as free:
        assert free
