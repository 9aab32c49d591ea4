"""What a person sees of a run: words, clocks, and nothing that could drive the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from loadgenctl.cli.console import ConsoleProgress, describe, show_error
from loadgenctl.errors import LoadgenError
from loadgenctl.formatting import clock_text, harmless_lines
from loadgenctl.run.progress import Live

LIVE = Live(stage=1, stages=3, doing="under load", elapsed=10.0)
BUSY = replace(
    LIVE,
    remaining=190.4,
    block=42,
    cycles={"vault": (0, 2, 0), "faucet": (12, 0, 1), "amm": (4, 0, 0)},
)
ESCAPES = ("\x1b", "\x07", "\x9b", "\r", "\x08", "\x7f", "\u202e")


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=80, color_system=None), out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, " 0:00"), (59.9, " 0:59"), (61, " 1:01"), (3599, "59:59"), (3723, "1:02:03")],
)
def test_clock_text(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_a_stage_without_anything_to_count() -> None:
    assert describe(LIVE) == "stage 1/2 load"


def test_a_stage_under_load() -> None:
    assert describe(BUSY) == (
        "stage 1/2 load · 3:10 left · block 42 · amm 4 ok · faucet 12 ok, 1 running"
        " · vault 0 ok, 2 FAILED"
    )


@pytest.mark.parametrize("width", range(21, 120))
def test_the_stage_and_the_time_left_stay_in_a_line_of_any_width(width: int) -> None:
    line = describe(BUSY, width)
    assert len(line) <= width
    assert line.startswith("stage 1/2")
    assert "3:10 left" in line


def test_a_long_line_loses_what_matters_least_first() -> None:
    assert describe(BUSY, 90).endswith("left · 2 FAILED · block 42 · ok: amm 4, faucet 12, vault 0")
    assert describe(BUSY, 74).endswith("left · 2 FAILED · block 42 · 16 cycles ok")
    assert describe(BUSY, 60).endswith("left · 2 FAILED · block 42")
    assert describe(BUSY, 40).endswith("left · 2 FAILED")
    assert describe(BUSY, 21) == "stage 1/2 · 3:10 left"


def test_three_tasks_fit_80_columns_with_the_clock_in_front() -> None:
    cycles = {"vault": (3, 0, 1), "faucet": (12, 0, 1), "amm": (4, 0, 1)}
    live = replace(BUSY, block=12345, cycles=cycles)
    told = "stage 1/2 load · 3:10 left · block 12345 · ok: amm 4, faucet 12, vault 3"
    assert describe(live, 80 - len(" 0:41  ")) == told


def test_a_single_stage_has_no_number_of_stages() -> None:
    assert describe(replace(LIVE, stage=0, stages=1)) == "stage 0 load"


def test_harmless_lines_keep_lines_and_nothing_that_controls_a_terminal() -> None:
    dirty = "a\x1b[31mred\x1b]0;title\x07 b\r\x08\x7f\x9b2J\u202e c\nnext ä"
    text = harmless_lines(dirty)
    assert not any(escape in text for escape in ESCAPES)
    assert text == "ared b     c\nnext ä"


def test_an_error_shows_its_evidence_and_what_to_do() -> None:
    screen, out = console(terminal=False)
    lines = "\n".join(f"line {number}\x1b[2J" for number in range(30))
    show_error(screen, LoadgenError("it broke [bold]here[/bold]", hint="mend it", detail=lines))
    said = out.getvalue().splitlines()
    assert said[0] == "error: it broke [bold]here[/bold]"
    assert said[1].startswith("  | line 10")
    assert said[-2].startswith("  | line 29")
    assert said[-1] == "hint: mend it"
    assert "\x1b" not in out.getvalue()


def test_without_a_terminal_lines_stand_and_come_seldom() -> None:
    screen, out = console(terminal=False)
    progress = ConsoleProgress(screen)
    progress.step("making the image")
    progress.output("Step 1/9 : FROM scratch")
    for _ in range(5):
        progress.live(LIVE)
    progress.note("a note")
    progress.warn("a warning\x1b[2J")
    progress.close()
    lines = out.getvalue().splitlines()
    assert [line.split(None, 1)[1] for line in lines] == [
        "making the image",
        "stage 1/2 load",
        "a note",
        "warning: a warning",
    ]
    assert "\x1b" not in out.getvalue()


def test_long_lines_are_not_broken_where_they_may_be_copied() -> None:
    screen, out = console(terminal=False)
    ConsoleProgress(screen).note("results in /" + "long/" * 40)
    assert len(out.getvalue().splitlines()) == 1


def test_on_a_terminal_one_line_changes() -> None:
    screen, out = console(terminal=True)
    progress = ConsoleProgress(screen)
    progress.output("compiling\x1b[31m everything " + "x" * 200)
    progress.live(LIVE)
    progress.close()
    shown = out.getvalue()
    assert "compiling" in shown
    assert "stage 1/2 load" in shown
    assert "\x1b[31m" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor is shown again"


def test_quiet_leaves_warnings() -> None:
    screen, out = console(terminal=True)
    progress = ConsoleProgress(screen, quiet=True)
    progress.step("a step")
    progress.note("a note")
    progress.output("some output")
    progress.live(LIVE)
    progress.warn("look at this")
    progress.close()
    assert out.getvalue().strip().endswith("warning: look at this")
    assert len(out.getvalue().splitlines()) == 1


def test_everything_goes_to_the_log_too_also_what_is_not_shown() -> None:
    screen, out = console(terminal=True)
    progress = ConsoleProgress(screen, quiet=True)
    progress.step("before there is a folder")
    log: list[str] = []
    progress.keep_in(log.append)
    progress.note("a note")
    for _ in range(5):
        progress.live(LIVE)
    progress.warn("look at this")
    progress.output("lines of a build are in build.log")
    progress.say(Text("results in x"))
    assert log == [
        "before there is a folder",
        "a note",
        "stage 1/2 load",
        "warning: look at this",
        "results in x",
    ]
    assert "a note" not in out.getvalue()


def test_what_a_shell_or_a_key_writes_is_not_written_into_the_line_that_changes() -> None:
    screen, out = console(terminal=True)
    progress = ConsoleProgress(screen)
    progress.live(LIVE)
    assert out.getvalue().endswith("stage 1/2 load\n"), "the cursor is at the start of a line"
    out.truncate(0)
    progress.clear_line()
    # The line with a `^C` is erased, and then the one above.
    assert out.getvalue().lstrip("\0") == "\x1b[1G\x1b[2K\x1b[1A\x1b[2K"


def test_on_a_terminal_that_cannot_erase_lines_stand() -> None:
    out = io.StringIO()
    dumb = Console(file=out, force_terminal=True, width=80, _environ={"TERM": "dumb"})
    progress = ConsoleProgress(dumb)
    progress.live(LIVE)
    progress.step("stopping")
    progress.close()
    assert "\x1b" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2
