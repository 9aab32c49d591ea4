"""`loadgenctl slog tail`: a running chain's blocks as they come, from its slog alone."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadgenctl.cli.tailview import JsonView, LinesView, TableView, View
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import UsageError
from loadgenctl.records.reader import RunFolder
from loadgenctl.slog.blocks import Row
from loadgenctl.slog.compress import is_packed
from loadgenctl.slog.tail import BACKLOG, FileTail, Tail, WholeTail
from loadgenctl.stats.source import slog_files

PACE: Final = 1.0
"""Seconds between looks at the file. Each costs two system calls when nothing is new."""
SHOWN_BEFORE: Final = 10
"""Blocks shown of those that were there already."""

_PLAIN: Final = re.compile(r"^chain-stage-(\d+)\.slog$")


class RunTail:
    """The chain of a run that is going on, from stage to stage, until the run has ended."""

    def __init__(self, folder: RunFolder) -> None:
        """The run may not have started a chain yet."""
        self.anomalies: Counter[str] = Counter()
        self._folder = folder
        self._stage: int | None = None
        self._tail: FileTail | None = None

    @property
    def title(self) -> str:
        """See `Tail.title`."""
        where = "no chain yet" if self._stage is None else f"stage {self._stage}"
        return f"{self._folder.path}: {where}"

    @property
    def over(self) -> bool:
        """See `Tail.over`."""
        return self._folder.outcome != "running"

    def poll(self) -> list[Row]:
        """See `Tail.poll`."""
        rows = [] if self._tail is None else self._tail.poll()
        stage, path = self._newest()
        if path is not None and (self._stage is None or stage > self._stage):
            first = self._tail is None
            rows += self._finish()
            self._stage = stage
            self._tail = FileTail(path, stage=stage, backlog=BACKLOG if first else None)
            rows += self._tail.poll()
        return rows

    def close(self) -> None:
        """See `Tail.close`."""
        if self._tail is not None:
            self._tail.close()
            self.anomalies += self._tail.anomalies
            self._tail = None

    def _finish(self) -> list[Row]:
        """A newer stage has begun: what is left of the one before."""
        if self._tail is None:
            return []
        rows = self._tail.end()
        self.anomalies += self._tail.anomalies
        return rows

    def _newest(self) -> tuple[int, Path | None]:
        """The plain slog of the latest stage that has one; it goes away with its stage."""
        newest: tuple[int, Path | None] = (-1, None)
        for entry in (self._folder.path / "shared").glob("chain-stage-*.slog"):
            match = _PLAIN.match(entry.name)
            if match is not None and int(match[1]) > newest[0]:
                newest = (int(match[1]), entry)
        return newest


def open_tail(path: Path) -> Tail:
    """The tail of a slog, or of a run's chain. Raises `UsageError`."""
    if path.is_dir():
        folder = RunFolder(path)
        if folder.outcome == "running":
            return RunTail(folder)
        files = slog_files(path)
        if not files:
            raise UsageError(f"{path} holds no slog of a chain")
        stage = max(files)
        return WholeTail(files[stage], stage=stage)
    try:
        # Who names a link to a slog means the slog.
        return WholeTail(path) if is_packed(path) else FileTail(path.resolve())
    except OSError as error:
        raise _unreadable(path, error) from error


def show_tail(
    path: Path,
    *,
    blocks: int | None,
    as_json: bool,
    console: Console | None = None,
    clock: Clock | None = None,
) -> None:
    """Follow the slog of a file or a run's folder until `blocks` were shown, or Ctrl-C.

    On a terminal a table that changes, elsewhere a line per block. A compressed slog, and one of a
    run that has ended, ends by itself. Raises `UsageError`.
    """
    console, clock = console or Console(), clock or SystemClock()
    tail = open_tail(path)
    try:
        with _view(console, as_json=as_json) as view:
            follow(tail, view, clock, blocks=blocks)
    except KeyboardInterrupt:
        # That is how a person ends it.
        pass
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        tail.close()
    if tail.anomalies:
        words = ", ".join(f"{kind} {count}" for kind, count in sorted(tail.anomalies.items()))
        sys.stderr.write(f"{path}: {words}\n")


def follow(tail: Tail, view: View, clock: Clock, *, blocks: int | None = None) -> None:
    """Show blocks as they come: at first the last few, then every one."""
    left = blocks
    rows = _last(tail, SHOWN_BEFORE if left is None else min(SHOWN_BEFORE, left))
    over = tail.over
    while True:
        rows = rows if left is None else rows[:left]
        view.show(tail.title, rows, clock.wall())
        left = None if left is None else left - len(rows)
        if over or left == 0:
            return
        clock.sleep(PACE)
        over = tail.over
        rows = tail.poll()


def _last(tail: Tail, count: int) -> Sequence[dict[str, Any]]:
    rows = tail.poll()
    return rows[max(0, len(rows) - count) :]


def _view(console: Console, *, as_json: bool) -> View:
    if as_json:
        return JsonView(console.file)
    return TableView(console) if console.is_terminal else LinesView(console.file)


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read: {error.strerror or error}")
