"""Blocks of a slog as they come: of one that still grows, or of one that is complete.

tail = FileTail(Path("chain-stage-1.slog"))
while True:
    rows = tail.poll()          # every second or so
tail.close()
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, Protocol

from .blocks import BlockRows, Row
from .follow import SlogFollower
from .scan import SlogScanner, scan_file

BACKLOG: Final = 32 << 20
"""Bytes of a growing slog's end that are read at first; earlier blocks are not looked for."""


class Tail(Protocol):
    """Something that blocks come from."""

    @property
    def title(self) -> str:
        """What is being read."""
        ...

    @property
    def over(self) -> bool:
        """True if no more will come than one poll still gives."""
        ...

    @property
    def anomalies(self) -> Counter[str]:
        """What was odd so far, by kind (slog.scan)."""
        ...

    def poll(self) -> list[Row]:
        """The rows of the blocks that ended since the last call. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Let the file go; closing twice does nothing."""
        ...


class WholeTail:
    """A slog that does not grow any more, plain or compressed: everything at the first poll."""

    over = True

    def __init__(self, path: Path, *, stage: int | None = None) -> None:
        """Nothing is read yet. `stage` goes into the rows unless None."""
        self.title = str(path)
        self.anomalies: Counter[str] = Counter()
        self._path: Path | None = path
        self._stage = stage

    def poll(self) -> list[Row]:
        """See `Tail.poll`."""
        if self._path is None:
            return []
        scanner, records = scan_file(self._path)
        self._path, self.anomalies = None, scanner.anomalies
        rows = BlockRows(self._stage)
        return [rows.row(record) for record in records]

    def close(self) -> None:
        """See `Tail.close`."""
        self._path = None


class FileTail:
    """A plain slog that grows. It is never over: a new file may take its place and its name."""

    over = False

    def __init__(
        self, path: Path, *, stage: int | None = None, backlog: int | None = BACKLOG
    ) -> None:
        """`path` need not be there yet. `backlog` in bytes; None: all that is there is read."""
        self.title = str(path)
        self.anomalies: Counter[str] = Counter()
        self._path = path
        self._stage = stage
        self._read: int | None = None
        """The inode of the file that is being read."""
        self._begin(backlog)

    def poll(self) -> list[Row]:
        """See `Tail.poll`."""
        found = self._inode()
        taken = self._follower.poll()
        if self._read is None:
            self._read = found
        elif not taken and found not in {None, self._read}:
            # All of the file that was here is read, and its place has another one now.
            rows = self.end()
            self._begin(None)
            return rows
        return self._take()

    def end(self) -> list[Row]:
        """The writer is gone: take what is left, an unfinished block too, and let the file go."""
        self._follower.close()
        return self._take()

    def close(self) -> None:
        """See `Tail.close`. That the last line or block has no end yet is nothing odd."""
        anomalies = Counter(self.anomalies)
        self._follower.close()
        self.anomalies = anomalies

    def _begin(self, backlog: int | None) -> None:
        self._scanner = SlogScanner()
        self._scanner.anomalies = self.anomalies
        self._follower = SlogFollower(self._path, None, scanner=self._scanner, last=backlog)
        self._rows = BlockRows(self._stage)
        self._read = None

    def _inode(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return None

    def _take(self) -> list[Row]:
        return [self._rows.row(block) for block in self._scanner.take_blocks()]
