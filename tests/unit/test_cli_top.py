"""`loadgenctl top`: which run, once or until it ends, and the terminal given back."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import signal
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from rich.console import Console
from tests.fake_clock import EPOCH, FakeClock
from tests.unit.run_maker import MadeRun, loaded_run
from tests.unit.test_stats_standing import GONE

from loadgenctl.cli.screen import NoKeys, Screen, TerminalKeys
from loadgenctl.cli.top import find_live, show_top
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.owner import Owner

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"


class Tty(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Pressing:
    """Presses q after some looks; remembers that the terminal was given back."""

    help = "q ends this"

    def __init__(self, looks: int) -> None:
        self.left = looks
        self.given_back = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.given_back = True

    def quit_within(self, seconds: float) -> bool:
        self.left -= 1
        return self.left == 0


def terminal(*, height: int = 24) -> tuple[Console, Tty]:
    out = Tty()
    return Console(file=out, force_terminal=True, color_system=None, width=80, height=height), out


def plain(path: Path | str, *, once: bool = False, as_json: bool = False, at: float = 100) -> str:
    """What comes where the output is not a terminal."""
    out = io.StringIO()
    clock = FakeClock(EPOCH + at)
    show_top(str(path), once=once, as_json=as_json, console=Console(file=out), clock=clock)
    assert clock.slept == []
    return out.getvalue()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_one_picture_where_the_output_is_no_terminal(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    text = plain(run.folder)
    assert text == plain(run.folder, once=True)
    assert "\x1b" not in text
    assert text.startswith("run-7: running 1:40\n")
    assert text.endswith("\nlast block 5.0 s ago · storage 90.0 MiB, 10.0 s old\n")
    assert max(map(len, text.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_forced_colours_do_not_make_a_file_a_terminal(tmp_path: Path) -> None:
    run, out = loaded_run(tmp_path), io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor")
    show_top(str(run.folder), console=console, clock=FakeClock(EPOCH + 100))
    assert "\x1b" not in out.getvalue()


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = loaded_run(tmp_path / "run-7")
    assert plain(run.folder, as_json=True) == ""
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        *("as_of", "run", "stage", "blocks", "cycles", "processes", "containers", "storage"),
        "damage",
    }
    assert document["blocks"]["last"][-1]["swingset_time_s"] == 2
    assert document["cycles"]["tasks"]["faucet"]["duration_p95_s"] == 8.75
    assert document["containers"][0]["block_read_bytes"] is None


def test_on_a_terminal_until_q(tmp_path: Path) -> None:
    run, (console, out), keys = loaded_run(tmp_path), terminal(), Pressing(3)
    show_top(str(run.folder), console=console, keys=keys, clock=FakeClock(EPOCH + 100))
    drawn = out.getvalue()
    assert (drawn.count(ALTERNATE), drawn.count(BACK), keys.given_back) == (1, 1, True)
    assert drawn.index(ALTERNATE) < drawn.index("faucet") < drawn.index(BACK)
    assert drawn.count("q ends this") == 3
    assert "\x1b[?25h" in drawn[drawn.index(BACK) - 20 :]
    # Every picture fills the terminal, and no line of it is longer.
    pictures = drawn[: drawn.index(BACK)].split("\x1b[H")[-3:]
    for picture in pictures:
        rows = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row) for row in picture.split("\n")]
        assert (len(rows), max(map(len, rows)) <= 80) == (24, True)


def test_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    run, (console, out), clock = loaded_run(tmp_path), terminal(), FakeClock(EPOCH + 100)
    clock.after(4.5, interrupt)
    show_top(str(run.folder), console=console, keys=NoKeys(clock), clock=clock)
    drawn = out.getvalue()
    assert drawn.count("Ctrl-C ends this") == 5
    assert drawn.count(BACK) == 1
    assert clock.slept == [1.0] * 5


def test_it_goes_on_from_stage_to_stage_until_the_run_has_ended(tmp_path: Path) -> None:
    run, (console, out), clock = MadeRun(tmp_path / "run-7"), terminal(), FakeClock()
    clock.after(1.5, lambda: run.status(step="make the image"))
    clock.after(2.5, lambda: run.status(stage=0, step="stage 0"))
    clock.after(3.5, lambda: run.block(3.5, 1, stage=0))
    clock.after(4.5, lambda: run.raw("blocks.jsonl", b'{"stage":1,"blockHeight":2'))
    clock.after(5.5, lambda: run.raw("blocks.jsonl", b"}\n"))
    clock.after(7.5, lambda: run.status(outcome="passed", finished_at=EPOCH + 7, exit_code=0))
    show_top(str(run.folder), console=console, keys=NoKeys(clock), clock=clock)
    drawn = out.getvalue()
    assert clock.slept == [1.0] * 8
    words = ("not begun", "make the image", "stage 0", "avg 1")
    places = [drawn.index(word) for word in words]
    assert places == sorted(places)
    # How it ended stays to be read on the terminal as it was.
    last = drawn[drawn.index(BACK) :]
    assert "run-7: passed 7.0 s" in last
    assert "ends this" not in last


def test_a_run_that_is_killed_while_it_is_watched(tmp_path: Path) -> None:
    run, (console, out), clock = loaded_run(tmp_path), terminal(), FakeClock(EPOCH + 100)
    clock.after(2.5, lambda: run.status(stage=1, owner=GONE))
    show_top(str(run.folder), console=console, keys=NoKeys(clock), clock=clock)
    assert "its process is gone" in out.getvalue().partition(BACK)[2]


def test_a_folder_that_is_removed_while_it_is_watched(tmp_path: Path) -> None:
    run, (console, out) = loaded_run(tmp_path / "run-7"), terminal()
    clock = FakeClock(EPOCH + 100)
    clock.after(2.5, lambda: shutil.rmtree(run.folder))
    with pytest.raises(OutputFolderError, match="was removed") as caught:
        show_top(str(run.folder), console=console, keys=NoKeys(clock), clock=clock)
    assert caught.value.exit_code == 2
    assert out.getvalue().endswith(BACK) or BACK in out.getvalue()


@pytest.mark.parametrize("owner", [Owner.current(), GONE])
def test_a_run_that_has_ended_is_shown_once(tmp_path: Path, owner: Owner) -> None:
    run, (console, out), keys = loaded_run(tmp_path), terminal(), Pressing(1)
    outcome = {"outcome": "failed"} if owner != GONE else {}
    run.status(stage=1, owner=owner, **outcome)
    show_top(str(run.folder), console=console, keys=keys, clock=FakeClock())
    assert (keys.left, ALTERNATE in out.getvalue()) == (1, False)
    assert ("killed" if owner == GONE else "failed") in out.getvalue()


def test_the_one_that_runs(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(UsageError, match="there is no folder") as caught:
        find_live(results)
    assert caught.value.hint
    ended, killed, other = (MadeRun(results / name) for name in ("ended", "killed", "other"))
    ended.status(outcome="passed")
    killed.status(owner=GONE)
    (results / "empty").mkdir()
    (results / "letter.txt").touch()
    with pytest.raises(UsageError, match="no run is in progress"):
        find_live(results)
    other.status(owner=Owner(1, "boot-1", "elsewhere"))
    with pytest.raises(UsageError, match="no run of this machine") as caught:
        find_live(results)
    assert str(other.folder) in str(caught.value.hint)
    first = MadeRun(results / "first")
    first.status(step="build the SDK")
    (results / "latest").symlink_to("first")
    assert find_live(results) == first.folder
    newer = MadeRun(results / "a-newer-one")
    newer.status(started_at=EPOCH + 50)
    (results / "future").mkdir()
    (results / "future" / "run.json").write_text('{"schema": 99}')
    with pytest.raises(UsageError, match="2 runs are in progress") as caught:
        find_live(results)
    assert f"{newer.folder}, {first.folder}" in caught.value.message
    assert str(newer.folder) in str(caught.value.hint)


def test_live_is_looked_for_where_it_was_said(tmp_path: Path) -> None:
    run, out = loaded_run(tmp_path / "there" / "run-7"), io.StringIO()
    console = Console(file=out)
    show_top("live", tmp_path / "there", console=console, clock=FakeClock(EPOCH + 100))
    assert out.getvalue().startswith("run-7: running")
    with pytest.raises(UsageError, match="--results"):
        show_top(str(run.folder), tmp_path, console=console)


@pytest.fixture
def keyboard() -> tuple[int, int]:
    """Both ends of a terminal: where a person types, and where the program reads."""
    return pty.openpty()


@pytest.mark.parametrize(("typed", "ends"), [(b"q", True), (b"xyzQ", True), (b"x", False)])
def test_keys_of_a_terminal(keyboard: tuple[int, int], typed: bytes, ends: bool) -> None:
    person, program = keyboard
    try:
        before = termios.tcgetattr(program)
        with TerminalKeys(program) as keys:
            mode = termios.tcgetattr(program)
            assert not mode[3] & (termios.ECHO | termios.ICANON)
            # Ctrl-C still interrupts; Ctrl-Z would leave the shell on this screen.
            assert mode[3] & termios.ISIG
            assert mode[6][termios.VSUSP] == b"\0"
            os.write(person, typed)
            assert keys.quit_within(10.0 if ends else 0.05) is ends
        assert termios.tcgetattr(program) == before
    finally:
        os.close(person)
        os.close(program)


def test_sigterm_gives_the_terminal_back() -> None:
    console, out = terminal()
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    drawn = _interrupted(console, end)
    assert drawn
    assert out.getvalue().count(BACK) == 1
    assert signal.getsignal(signal.SIGTERM) == before


def _interrupted(console: Console, what: Callable[[], None]) -> bool:
    try:
        with Screen(console, alternate=True) as screen:
            screen.draw("something")
            what()
            FakeClock().sleep(1.0)
    except KeyboardInterrupt:
        return True
    return False
