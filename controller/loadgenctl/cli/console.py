"""What a person sees while a run goes on: one changing line on a terminal, plain lines elsewhere.

Progress goes to standard error, results to standard output. Text from outside (build output, logs)
has its control characters taken out before it is shown.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live as RichLive
from rich.text import Text

from loadgenctl.errors import LoadgenError
from loadgenctl.reports.words import stage_of
from loadgenctl.run.progress import Live

View = Callable[[str, int, int], Text | None]
"""The progress line, columns and lines of the terminal → what is shown, None: only the line."""
PLAIN_INTERVAL = 30.0
"""Seconds between standing lines where the output is not a terminal."""


def clean(text: str) -> str:
    """`text` without control characters: no escape code reaches the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


class ConsoleProgress:
    """Implements `run.progress.Progress` on a rich console."""

    def __init__(self, console: Console, *, quiet: bool = False, view: View | None = None) -> None:
        """`quiet` leaves only warnings; `view` is shown in place of the line on a terminal."""
        self._console = console
        self._view = view
        self._quiet = quiet
        self._began = time.monotonic()
        self._last_plain = 0.0
        self._last_output: deque[str] = deque(maxlen=1)
        self._live: RichLive | None = None
        self._current = ""

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, text: str) -> None:
        """See `Progress.step`."""
        self._current = clean(text)
        if self._quiet:
            return
        self._print(Text(f"{self._clock()}  {self._current}"))

    def note(self, text: str) -> None:
        """See `Progress.note`."""
        if not self._quiet:
            self._print(Text(f"{self._clock()}  {clean(text)}", style="dim"))

    def warn(self, text: str) -> None:
        """See `Progress.warn`."""
        self._print(Text(f"{self._clock()}  warning: {clean(text)}", style="yellow"))

    def output(self, text: str) -> None:
        """See `Progress.output`."""
        if self._console.is_terminal and not self._quiet and text.strip():
            width = max(20, self._console.width - 12)
            self._show(Text(f"           {clean(text).strip()[:width]}", style="dim"))

    def live(self, live: Live) -> None:
        """See `Progress.live`."""
        if self._quiet:
            return
        line = f"{self._clock()}  {describe(live)}"
        if self._console.is_terminal:
            clock = f"{self._clock()}  "
            line = clock + describe(live, self._console.width - len(clock))
            view = None if self._view is None else self._view(line, *self._console.size)
            self._show(Text(line, style="cyan") if view is None else view)
        elif time.monotonic() - self._last_plain >= PLAIN_INTERVAL:
            self._last_plain = time.monotonic()
            self._print(Text(line))

    def _clock(self) -> str:
        return clock_text(time.monotonic() - self._began)

    def _show(self, line: Text) -> None:
        if self._live is None:
            self._live = RichLive(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        line.no_wrap = True
        line.overflow = "ellipsis"
        self._live.update(line, refresh=True)

    def _print(self, text: Text) -> None:
        self.close()
        self._console.print(text, soft_wrap=True)


_SHORT = {"under load": "load", "chain alone": "chain only"}
"""What a stage does for most of its time, in few words."""


def describe(live: Live, width: int | None = None) -> str:
    """`stage 1/2 load · 3:10 left · block 42 · faucet 12 ok, 1 running`.

    What matters most comes first. Where `width` does not suffice, cycles in flight are left out,
    then the cycles of all tasks are added up, then left out, and so on; time left stays.
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


def clock_text(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:2}:{whole % 60:02}"


def show_error(console: Console, error: LoadgenError) -> None:
    """The error, its evidence and what to do, for a person."""
    console.print(Text(f"error: {clean(error.message)}", style="bold red"), soft_wrap=True)
    if error.detail:
        for line in error.detail.splitlines()[-20:]:
            console.print(Text(f"  | {clean(line)}", style="dim"), soft_wrap=True)
    if error.hint:
        console.print(Text(f"hint: {clean(error.hint)}"), soft_wrap=True)
