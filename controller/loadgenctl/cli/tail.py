"""`loadgenctl slog tail`: blocks of a running chain as they are made, read from its slog alone.

They are shown in a table on a terminal, as lines elsewhere, or as JSON.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol

from rich.console import Console, Group
from rich.text import Text

from loadgenctl.cli.print_data import charset_of, escaped
from loadgenctl.cli.screen import Screen
from loadgenctl.cli.slog_errors import not_slog, nothing_found, shown, unreadable
from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import UsageError
from loadgenctl.formatting import clean, duration
from loadgenctl.records.encode import row_bytes
from loadgenctl.records.reader import RunFolder
from loadgenctl.reports.slog_tables import tail_head, tail_line, tail_lines
from loadgenctl.reports.table_model import marks_for
from loadgenctl.slog.block_rows import Row
from loadgenctl.slog.files import STANDARD_INPUT, NotSlogError, SlogReader, open_slog
from loadgenctl.slog.reformatted_lines import may_begin_slog
from loadgenctl.slog.tail import BACKLOG, FileTail, Lacking, StreamTail, Tail, WholeTail
from loadgenctl.stats.read_run import slog_files

PACE: Final = 1.0
"""Seconds between two polls of the file. Each costs two system calls when nothing is new."""
SHOWN_BEFORE: Final = 10
"""Blocks shown of those that were there at the start."""
_IDLE: Final = 5.0
"""Seconds without a block after which the table is drawn again, to show for how long."""
_FRAME: Final = 7
"""Lines of the terminal that are not blocks: title, heads, rule, the line below, an empty one."""
_PLAIN: Final = re.compile(r"^chain-stage-(\d+)\.slog$")


class RunTail:
    """The chain of a run in progress, from stage to stage, until the run has ended."""

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
        """The remaining rows of a stage, because a newer one has begun."""
        if self._tail is None:
            return []
        rows = self._tail.end()
        self.anomalies += self._tail.anomalies
        return rows

    def _newest(self) -> tuple[int, Path | None]:
        """The plain slog of the latest stage that has one; it is removed with its stage."""
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
            raise UsageError(f"{path} contains no slog of a chain")
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
    # A link means the slog that it points to.
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
    # A file on standard input that has no name any more.
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

    On a terminal a table that changes, elsewhere a line per block. It ends by itself for a
    compressed slog and for a run that has ended. Raises `UsageError`.
    """
    console, clock = console or Console(), clock or SystemClock()
    tail = open_tail(path)
    try:
        with _view(console, as_json=as_json) as view:
            follow(tail, view, clock, blocks=blocks)
    except KeyboardInterrupt:
        # A person ends it this way.
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
    """Show blocks as they are made: first the last few, then every new one."""
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


def _view(console: Console, *, as_json: bool) -> AbstractContextManager[View]:
    if as_json:
        return nullcontext(JsonView(console.file))
    return TableView(console) if console.is_terminal else nullcontext(LinesView(console.file))


class View(Protocol):
    """Where blocks are shown."""

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """These blocks are new, maybe none; `now` in epoch seconds."""
        ...


class LinesView:
    """A head, then a line per block; what is being read is printed on standard error."""

    def __init__(self, out: IO[str]) -> None:
        """Lines go to `out`."""
        self._out = out
        self._title: str | None = None

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        del now
        lines = [tail_head()] if self._title is None else []
        if title != self._title:
            self._title = title
            sys.stderr.write(f"{clean(title)}\n")
        lines += map(tail_line, rows)
        self._out.writelines(f"{line}\n" for line in lines)
        # Another program may be waiting at the other end of a pipe, or have ended.
        self._out.flush()


class JsonView:
    """One JSON object per block, with the fields of blocks.jsonl."""

    def __init__(self, out: IO[str]) -> None:
        """Objects go to `out`."""
        self._out = out

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        del title, now
        text = b"".join(map(row_bytes, rows)).decode()
        self._out.write(escaped(text, charset_of(self._out)))
        self._out.flush()


class TableView(Screen):
    """The last blocks that fit the terminal, drawn when something has changed."""

    def __init__(self, console: Console) -> None:
        """The console must be a terminal."""
        super().__init__(console)
        self._rows: deque[Row] = deque(maxlen=500)
        self._title = ""
        self._drawn: float | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back; the last table stays to be read."""
        self.draw(self._table())
        super().__exit__(kind, error, trace)

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        self._rows.extend(rows)
        fresh = bool(rows) or title != self._title
        if not fresh and self._drawn is not None and now - self._drawn < _IDLE:
            return
        self._title, self._drawn = title, now
        foot = Text(f"{self._age(now)}; Ctrl-C ends this", style="dim")
        self.draw(Group(self._table(), foot))

    def _table(self) -> Text:
        shown = list(self._rows)[-max(3, self.console.height - _FRAME) :]
        marks = marks_for(self.console.encoding)
        lines = tail_lines(self._title, shown, self.console.width, marks)
        return Text("\n", no_wrap=True, overflow="ignore").join(lines)

    def _age(self, now: float) -> str:
        ended = self._rows[-1].get("endFinishAt") if self._rows else None
        if not isinstance(ended, int | float):
            return "no block yet"
        return f"last block {duration(max(0.0, now - ended))} ago"
