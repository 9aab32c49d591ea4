"""`loadgenctl top` and `run --top`: the state of a run, read from its results folder alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.find_runs import RESULTS
from loadgenctl.cli.print_data import print_json, width_for
from loadgenctl.cli.screen import Keys, NoKeys, Screen, TerminalKeys
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.records.live_runs import find_running
from loadgenctl.reports.table_model import WIDTH
from loadgenctl.reports.top_view import foot, page, picture
from loadgenctl.stats.live_state import LiveRun

LIVE: Final = "live"
PACE: Final = 1.0
"""Seconds between two polls of the folder."""
_LEAST_HEIGHT: Final = 12
"""Lines of a terminal below which `run --top` shows the progress line alone."""
_KEPT: Final = 4
"""Lines that `run --top` keeps for the newest steps and warnings above the view."""


def show_top(
    run: str,
    results: Path | None = None,
    *,
    once: bool = False,
    as_json: bool = False,
    console: Console | None = None,
    keys: Keys | None = None,
    clock: Clock | None = None,
) -> None:
    """Show the state of a run: on a terminal until it has ended or a person quits, else once.

    `run` is a results folder or `live`. Raises `UsageError`, also when the folder goes away.
    """
    console, clock = console or Console(), clock or SystemClock()
    if run != LIVE and results is not None:
        raise UsageError(
            "--results is where the run in progress is searched for, but a run is named, too",
            hint="give only one of them",
        )
    path = find_live(results or RESULTS) if run == LIVE else Path(run)
    with _reading(path):
        source = LiveRun(path)
        standing = source.poll(clock.wall())
    if as_json:
        print_json(standing)
        return
    if not once and not _over(standing) and _takes_pictures(console):
        ended = watch(source, Screen(console, alternate=True), keys or _keys(clock), clock)
        if ended is None:
            return
        standing = ended
    _print(console, standing)


def find_live(results: Path) -> Path:
    """The folder of the only run in progress. Raises `UsageError` for none, and for several."""
    with _reading(results):
        found = find_running(results)
    if len(found.here) == 1:
        return found.here[0]
    if found.here:
        raise UsageError(
            f"{len(found.here)} runs are in progress: {', '.join(map(str, found.here))}",
            hint=f"pass one of them, e.g. loadgenctl top {found.here[0]}",
        )
    if found.elsewhere:
        other = found.elsewhere[0]
        raise UsageError(
            f"no run of this machine is in progress in {results}",
            hint=f"{other} seems to belong to another machine; pass its name to view it",
        )
    raise UsageError(
        f"no run is in progress in {results}"
        if results.is_dir()
        else f"there is no folder {results}",
        hint="pass the folder of a run, or --results with the folder that contains it",
    )


def watch(source: LiveRun, screen: Screen, keys: Keys, clock: Clock) -> dict[str, Any] | None:
    """Draw until the run has ended, and return its last state; None if a person quit."""
    try:
        # The keys are taken first and given back last: what is typed must not show on any screen.
        with keys, screen:
            while True:
                with _reading(source.path):
                    standing = source.poll(clock.wall())
                if _over(standing):
                    return standing
                screen.draw(_full(screen.console, standing, keys.help))
                if keys.quit_within(PACE):
                    return None
    except KeyboardInterrupt:
        return None


def _full(console: Console, standing: dict[str, Any], keys: str) -> Text:
    """All of the terminal, with the last line at its bottom."""
    width, height = console.size
    lines = picture(standing, width, height - 1)
    lines += [Text() for _ in range(height - 1 - len(lines))]
    return page([*lines, foot(standing, keys)], width)


def _print(console: Console, standing: dict[str, Any]) -> None:
    """One picture; without any escape code where the output is not a terminal."""
    terminal = console.file.isatty()
    width = width_for(console, WIDTH) or WIDTH
    whole = page([*picture(standing, width), Text(), foot(standing)], width)
    if terminal:
        console.print(whole)
    else:
        console.file.write(whole.plain + "\n")


def _over(standing: dict[str, Any]) -> bool:
    return standing["run"]["outcome"] not in {None, "running"}


def _takes_pictures(console: Console) -> bool:
    # The file itself: colours may be forced also into one that is none.
    return console.file.isatty() and not console.is_dumb_terminal


def _keys(clock: Clock) -> Keys:
    standard_input = 0
    return TerminalKeys(standard_input) if os.isatty(standard_input) else NoKeys(clock)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


class RunView:
    """`run --top`: the view of `top` in place of the progress line, in the run's process.

    Reads the run's folder as `top` does: only what was appended since the last call.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        """The folder need not exist yet."""
        self._folder = folder
        self._clock = clock
        self._source: LiveRun | None = None

    def __call__(self, line: str, width: int, height: int) -> Text | None:
        """The progress `line` and below it the view; None where there is nothing to see.

        Nothing that is wrong with the folder is raised: the run itself finds and reports it.
        """
        if height < _LEAST_HEIGHT or not self._folder.is_dir():
            return None
        try:
            if self._source is None:
                self._source = LiveRun(self._folder)
            standing = self._source.poll(self._clock.wall())
        except (LoadgenError, OSError):
            self._source = None
            return None
        lines = picture(standing, width, height - _KEPT - 2)
        return page([Text(line, "cyan"), *lines, foot(standing)], width)
