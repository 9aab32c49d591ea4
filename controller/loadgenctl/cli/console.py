"""Progress of a run for a person: one changing line on a terminal, plain lines elsewhere.

Progress goes to standard error, results to standard output. Control characters are removed from
text from outside (build output, logs) before it is shown.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from loadgenctl.errors import LoadgenError
from loadgenctl.formatting import clock_text, harmless, harmless_lines, stage_of
from loadgenctl.run.progress import Live, Progress

View = Callable[[str, int, int], Text | None]
"""The progress line, its maximum width, lines of the terminal → what is shown; None: the line."""
PLAIN_INTERVAL = 30.0
"""Seconds between lines about a stage's progress in the log, and where there is no terminal."""
_ERASE = Control((ControlType.CURSOR_MOVE_TO_COLUMN, 0), (ControlType.ERASE_IN_LINE, 2))
"""Also removes the `^C` with which a terminal shows that Ctrl-C was pressed."""
_ERASE_ABOVE = Control((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))


class ConsoleProgress(Progress):
    """Shows a run's progress on a rich console.

    Every line also goes to the run's log, even those of a quiet run.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """`quiet` shows only warnings."""
        self.view: View | None = None
        """What is shown in place of the changing line."""
        self._console = console
        self._quiet = quiet
        self._changes = console.is_terminal and not console.is_dumb_terminal
        """Whether the terminal can show a changing line."""
        self._began = time.monotonic()
        self._last_line = {"shown": 0.0, "logged": 0.0}
        self._shown = 0
        """Number of changing lines above the cursor."""
        self._early: deque[str] = deque(maxlen=1000)
        self._log: Callable[[str], None] = self._early.append

    def keep_in(self, log: Callable[[str], None]) -> None:
        """See `Progress.keep_in`."""
        self._log = log
        while self._early:
            log(self._early.popleft())

    def close(self) -> None:
        """Erase the changing lines."""
        if self._shown:
            self.clear_line()

    def clear_line(self) -> None:
        """The same, and also erase the line that is written next."""
        if self._changes:
            self._console.control(_ERASE)
        for _ in range(self._shown):
            self._console.control(_ERASE_ABOVE)
        self._shown = 0

    def step(self, text: str) -> None:
        """See `Progress.step`."""
        self._report(text, "", quiet=self._quiet)

    def note(self, text: str) -> None:
        """See `Progress.note`."""
        self._report(text, "dim", quiet=self._quiet)

    def warn(self, text: str) -> None:
        """See `Progress.warn`."""
        self._report(f"warning: {text}", "yellow", quiet=False)

    def output(self, text: str) -> None:
        """See `Progress.output`."""
        if self._changes and not self._quiet and text.strip():
            width = max(20, self._console.width - 12)
            self._show(Text(f"           {harmless_lines(text).strip()[:width]}", style="dim"))

    def live(self, live: Live) -> None:
        """See `Progress.live`."""
        words = describe(live)
        if self._due("logged"):
            self._log(words)
        if self._quiet:
            return
        clock = f"{self._clock()}  "
        if self._changes:
            width, height = self._columns(), self._console.height
            line = clock + describe(live, width - len(clock))
            view = None if self.view is None else self.view(line, width, height)
            self._show(Text(line, style="cyan") if view is None else view)
        elif self._due("shown"):
            self._print(Text(clock + words))

    def say(self, line: Text) -> None:
        """Print a line without the time, even in a quiet run."""
        self._log(line.plain)
        self._print(line)

    def log(self, text: str) -> None:
        """Write to the log only, line by line."""
        for line in text.splitlines():
            self._log(harmless(line))

    def _report(self, text: str, style: str, *, quiet: bool) -> None:
        words = harmless_lines(text)
        self._log(words)
        if not quiet:
            self._print(Text(f"{self._clock()}  {words}", style=style))

    def _due(self, where: str) -> bool:
        now = time.monotonic()
        due = now - self._last_line[where] >= PLAIN_INTERVAL
        if due:
            self._last_line[where] = now
        return due

    def _clock(self) -> str:
        return clock_text(time.monotonic() - self._began)

    def _show(self, shown: Text) -> None:
        """Show the changing lines. The cursor is below them, so that a shell's message about a
        killed run, or a key that the terminal echoes, is not written into one of them.
        """
        self.clear_line()
        lines = shown.split("\n", allow_blank=True)
        for line in lines:
            line.truncate(self._columns(), overflow="ellipsis")
            self._console.print(line, no_wrap=True, crop=True)
        self._shown = len(lines)

    def _columns(self) -> int:
        """Width of a changing line: some terminals begin a new line after their last column."""
        return max(1, self._console.width - 1)

    def _print(self, text: Text) -> None:
        self.clear_line()
        self._console.print(text, soft_wrap=True)


_SHORT = {"under load": "load", "chain alone": "chain only"}
"""Short words for what a stage does most of the time."""


def describe(live: Live, width: int | None = None) -> str:
    """`stage 1/2 load · 3:10 left · block 42 · faucet 12 ok, 1 running`.

    The most important part is first. If `width` does not suffice, cycles in flight are left out,
    then the cycles of all tasks are added up, then left out, and so on; the remaining time stays.
    """
    stage = stage_of(live.stage, live.stages)
    doing = [f"{stage} {_SHORT.get(live.doing, live.doing)}"]
    left = [] if live.remaining is None else [f"{clock_text(live.remaining).strip()} left"]
    block = [] if live.block is None else [f"block {live.block}"]
    counts = sorted(live.cycles.items())
    tasks = [_task_words(task, *numbers) for task, numbers in counts]
    brief = [f"ok: {', '.join(f'{task} {good}' for task, (good, _, _) in counts)}"] * bool(counts)
    total = [f"{sum(good for _, (good, _, _) in counts)} cycles ok"] * bool(counts)
    failures = sum(failed for _, (_, failed, _) in counts)
    failed = [f"{failures} FAILED"] * bool(failures)
    line = ""
    for parts in (
        [*doing, *left, *block, *tasks],
        [*doing, *left, *failed, *block, *brief],
        [*doing, *left, *failed, *block, *total],
        [*doing, *left, *failed, *block],
        [*doing, *left, *failed],
        [*doing, *left],
        [stage, *left],
    ):
        line = " · ".join(parts)
        if width is None or cell_len(line) <= width:
            break
    return line


def _task_words(task: str, good: int, failed: int, active: int) -> str:
    """`faucet 12 ok, 2 FAILED, 1 running`."""
    words = f"{task} {good} ok"
    words += f", {failed} FAILED" if failed else ""
    return words + (f", {active} running" if active else "")


def show_error(console: Console, error: LoadgenError) -> None:
    """The error, its evidence and what to do, for a person."""
    for line in error_lines(error):
        console.print(line, soft_wrap=True)


def error_lines(error: LoadgenError) -> Iterator[Text]:
    """The same line by line."""
    yield Text(f"error: {harmless_lines(error.message)}", style="bold red")
    for line in error.evidence:
        yield Text(f"  | {harmless_lines(line)}", style="dim")
    if error.hint:
        yield Text(f"hint: {harmless_lines(error.hint)}")
