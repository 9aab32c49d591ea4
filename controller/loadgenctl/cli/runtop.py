"""`loadgenctl run --top`: the view of `top` in place of the progress line, in the run's process."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.text import Text

from loadgenctl.clock import Clock
from loadgenctl.errors import LoadgenError
from loadgenctl.reports.lines import page
from loadgenctl.reports.standing import foot, picture
from loadgenctl.stats.standing import LiveRun

LEAST_HEIGHT: Final = 12
"""Lines of a terminal below which the progress line alone is more use."""
_KEPT: Final = 4
"""Lines that stay for the newest steps and warnings above the view."""


class RunView:
    """Reads the run's folder as `top` does: only what was appended since the last call."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """The folder need not be there yet."""
        self._folder = folder
        self._clock = clock
        self._source: LiveRun | None = None

    def __call__(self, line: str, width: int, height: int) -> Text | None:
        """The progress `line` and below it the view; None where there is nothing to see.

        Nothing that is wrong with the folder is raised: the run itself finds it and says so.
        """
        if height < LEAST_HEIGHT or not self._folder.is_dir():
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
