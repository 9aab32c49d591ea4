"""`run --top`: the view of `top` below the progress line; the line alone where there is none."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from tests.fake_clock import EPOCH, FakeClock
from tests.unit.run_maker import loaded_run

from loadgenctl.cli.console import ConsoleProgress
from loadgenctl.cli.top import RunView
from loadgenctl.run.progress import Live

LIVE = Live(stage=1, stages=3, doing="under load", elapsed=10.0, remaining=60.0, block=42)


def view_of(folder: Path) -> RunView:
    return RunView(folder, FakeClock(EPOCH + 104))


def progress_on(view: RunView, *, terminal: bool = True) -> tuple[ConsoleProgress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, height=24, color_system=None)
    progress = ConsoleProgress(console)
    progress.view = view
    return progress, out


def test_the_line_stands_above_the_view_and_both_fit_the_terminal(tmp_path: Path) -> None:
    shown = view_of(loaded_run(tmp_path / "run-7").folder)(" 1:44  stage 1/2 load", 80, 24)
    assert shown is not None
    lines = shown.plain.split("\n")
    assert lines[:2] == [" 1:44  stage 1/2 load", "run-7: running 1:44"]
    assert len(lines) <= 24 - 4
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("faucet") for line in lines)


def test_it_follows_what_is_appended(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    view = view_of(run.folder)
    view("", 80, 24)
    run.block(103, 77)
    assert "77 " in str(view("", 80, 24))


def test_where_there_is_no_run_yet_or_no_space_only_the_line_is_shown(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    assert view_of(tmp_path / "none")("line", 80, 24) is None
    assert view_of(run.folder)("line", 80, 11) is None
    (run.folder / "run.json").write_text('{"schema": 999}', encoding="utf-8")
    assert view_of(run.folder)("line", 80, 24) is None


def test_progress_shows_it_on_a_terminal_and_lines_elsewhere(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    for terminal in (True, False):
        progress, out = progress_on(view_of(run.folder), terminal=terminal)
        progress.live(LIVE)
        progress.warn("look at this")
        progress.close()
        assert "stage 1/2 load · 1:00 left · block 42" in out.getvalue()
        assert "warning: look at this" in out.getvalue()
        assert ("faucet" in out.getvalue()) is terminal


def test_no_number_is_cut_in_80_columns(tmp_path: Path) -> None:
    progress, out = progress_on(view_of(loaded_run(tmp_path / "run-7").folder))
    progress.live(LIVE)
    progress.close()
    shown = out.getvalue()
    assert "123 456\n" in shown
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert max(len(line) for line in shown.splitlines() if "123 456" in line) < 80


def test_without_a_view_the_line_is_shown() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    progress = ConsoleProgress(console)
    progress.view = lambda line, width, height: None
    progress.live(LIVE)
    progress.close()
    assert "stage 1/2 load" in out.getvalue()
