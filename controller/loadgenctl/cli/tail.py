"""`loadgenctl slog tail`: a running chain's blocks as they come, from its slog alone."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadgenctl.cli.slogfile import not_slog, nothing_found, shown, unreadable
from loadgenctl.cli.tailview import JsonView, LinesView, TableView, View
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import UsageError
from loadgenctl.records.reader import RunFolder
from loadgenctl.reports.words import clean
from loadgenctl.slog.blocks import Row
from loadgenctl.slog.odd import may_begin_slog
from loadgenctl.slog.reader import STANDARD_INPUT, NotSlogError, SlogReader, open_slog
from loadgenctl.slog.tail import BACKLOG, FileTail, Lacking, StreamTail, Tail, WholeTail
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
    def lacking(self) -> Lacking | None:
        """See `Tail.lacking`. A chain that has only begun has no events yet."""
        return None

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
        return _tail_of(path)
    except NotSlogError as error:
        raise not_slog(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _tail_of(path: Path) -> Tail:
    """Of a file or pipe. Raises `UsageError`, `OSError`."""
    file = open_slog(path)
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        return StreamTail(file, shown(path))
    # Who names a link to a slog means the slog.
    named = Path("/proc/self/fd/0") if str(path) in STANDARD_INPUT else path
    with SlogReader(file) as reader:
        reader.begin()
        followed = named.resolve()
        if reader.packed_by is not None:
            return WholeTail(followed)
        if followed.exists() and os.path.samestat(followed.stat(), found):
            reader.refuse_others()
            if not may_begin_slog(reader.beginning):
                size = found.st_size
                raise nothing_found(path, size, reader.beginning, None)
            return FileTail(followed)
        reader.rewind()
    # Of standard input, a file that has no name any more.
    return StreamTail(open_slog(path), shown(path))


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
    except NotSlogError as error:
        raise not_slog(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        tail.close()
    if tail.lacking is not None:
        raise nothing_found(path, *tail.lacking)
    if tail.anomalies:
        words = ", ".join(f"{kind} {count}" for kind, count in sorted(tail.anomalies.items()))
        sys.stderr.write(f"{clean(shown(path))}: {words}\n")


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
