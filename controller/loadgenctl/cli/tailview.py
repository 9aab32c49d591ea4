"""How a followed chain's blocks are shown: a table on a terminal, lines elsewhere, or JSON."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from rich.console import Console, Group
from rich.text import Text

from loadgenctl.cli.output import charset_of, escaped
from loadgenctl.cli.screen import Screen
from loadgenctl.records.encode import row_bytes
from loadgenctl.reports.slogs import tail_head, tail_line, tail_lines
from loadgenctl.reports.tables import marks_for
from loadgenctl.reports.words import clean, duration

Row = Mapping[str, Any]

_IDLE: Final = 5.0
"""Seconds after which the table is drawn again although no block came, to show for how long."""
_FRAME: Final = 7
"""Lines of the terminal that are not blocks: title, heads, rule, the line below, an empty one."""


class View(Protocol):
    """Where blocks are shown; a context, because a terminal has to be given back."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        ...

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """These blocks are new, maybe none; `now` in epoch seconds."""
        ...


class _Plain:
    """Nothing to begin or give back."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class LinesView(_Plain):
    """A head, then a line per block; what is being read is printed on standard error."""

    def __init__(self, out: IO[str]) -> None:
        """Lines go to `out`."""
        super().__init__(out)
        self._title: str | None = None

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        del now
        lines = []
        if self._title is None:
            lines.append(tail_head())
        if title != self._title:
            self._title = title
            sys.stderr.write(f"{clean(title)}\n")
        lines += map(tail_line, rows)
        if lines:
            self._out.write("\n".join(lines) + "\n")
        # Somebody may be waiting at the other end of a pipe, or be gone.
        self._out.flush()


class JsonView(_Plain):
    """One JSON object per block, with the fields of blocks.jsonl."""

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        del title, now
        if rows:
            text = b"".join(map(row_bytes, rows)).decode()
            self._out.write(escaped(text, charset_of(self._out)))
        self._out.flush()


class TableView(Screen):
    """The last blocks that fit the terminal, drawn when there is something new to see."""

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
        """See `View`; the last table stays to be read."""
        self.draw(self._table())
        super().__exit__(kind, error, trace)

    def show(self, title: str, rows: Sequence[Row], now: float) -> None:
        """See `View.show`."""
        self._rows.extend(rows)
        fresh = bool(rows) or title != self._title
        if not fresh and self._drawn is not None and now - self._drawn < _IDLE:
            return
        self._title, self._drawn = title, now
        self.draw(self._picture(now))

    def _picture(self, now: float) -> Group:
        return Group(self._table(), Text(f"{self._age(now)}; Ctrl-C ends this", style="dim"))

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
