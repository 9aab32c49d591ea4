"""Blocks of a slog as they end: of a growing file, a pipe, or a complete file.

tail = FileTail(Path("chain-stage-1.slog"))
while True:
    rows = tail.poll()          # every second or so
tail.close()
"""

from __future__ import annotations

import select
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from loadgenctl.slog.block_rows import BlockRows, Row
from loadgenctl.slog.files import SNIFFED, SlogReader, packed_by, refuse
from loadgenctl.slog.follow import CHUNK, POLL_LIMIT, SlogFollower
from loadgenctl.slog.model import BlockRecord
from loadgenctl.slog.scan import SlogScanner, scan_file

BACKLOG: Final = 32 << 20
"""Bytes at the end of a growing slog that are read at first; earlier blocks are skipped."""


GRACE: Final = 0.05
"""Seconds without new data after which the blocks of a pipe are shown."""


class Lacking(NamedTuple):
    """What was read if it contains no event of a slog."""

    scanned: int
    """Bytes."""
    beginning: bytes
    damage: str | None


class Tail(Protocol):
    """A source of blocks."""

    @property
    def title(self) -> str:
        """What is being read."""
        ...

    @property
    def over(self) -> bool:
        """True if no more blocks will follow after one more poll."""
        ...

    @property
    def anomalies(self) -> Counter[str]:
        """The anomalies so far, by kind (slog.scan)."""
        ...

    @property
    def lacking(self) -> Lacking | None:
        """What was read if it contains no event of a slog; None if it has one or may still get
        one.
        """
        ...

    def poll(self) -> list[Row]:
        """The rows of the blocks that ended since the last call.

        Raises `OSError`, `NotSlogError`.
        """
        ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...


class WholeTail:
    """A slog that no longer grows, plain or packed: everything at the first poll."""

    over = True

    def __init__(self, path: Path, *, stage: int | None = None) -> None:
        """Nothing is read yet. `stage` goes into the rows unless None."""
        self.title = str(path)
        self.anomalies: Counter[str] = Counter()
        self.lacking: Lacking | None = None
        self._path: Path | None = path
        self._stage = stage

    def poll(self) -> list[Row]:
        """See `Tail.poll`."""
        if self._path is None:
            return []
        with SlogReader(self._path) as reader:
            scanner, records = scan_file(reader)
        self._path, self.anomalies = None, scanner.anomalies
        self.lacking = _lacking(scanner, reader.beginning, reader.damage)
        rows = BlockRows(self._stage)
        return [rows.row(record) for record in records]

    def close(self) -> None:
        """See `Tail.close`."""
        self._path = None


class StreamTail:
    """A pipe, plain or packed. A packed one is read to its end at the first poll."""

    def __init__(self, file: BinaryIO, title: str) -> None:
        """`file` must not be buffered; `close` closes it."""
        self.title = title
        self.over = False
        self.anomalies: Counter[str] = Counter()
        self.lacking: Lacking | None = None
        self._file = file
        self._reader: SlogReader | None = None
        self._scanner: SlogScanner | None = None
        self._rows = BlockRows()

    def poll(self) -> list[Row]:
        """See `Tail.poll`. Continues while new data arrives."""
        records: list[BlockRecord] = []
        taken = 0
        while not self.over and taken < POLL_LIMIT and self._ready():
            chunk = self._file.read(CHUNK) or b""
            taken += len(chunk)
            records += self._take(chunk)
        return [self._rows.row(record) for record in records]

    def close(self) -> None:
        """See `Tail.close`."""
        self._file.close()

    def _ready(self) -> bool:
        return bool(select.select([self._file], [], [], GRACE)[0])

    def _take(self, chunk: bytes) -> list[BlockRecord]:
        if self._scanner is None:
            self._reader = SlogReader(self._file, ahead=chunk)
            self._reader.beginning = chunk[:SNIFFED]
            if packed_by(chunk) is not None:
                self._scanner, records = scan_file(self._reader)
                self._end(self._scanner, self._reader)
                return records
            refuse(chunk)
            self._scanner = SlogScanner(thorough=True)
        self._scanner.feed(chunk)
        self.anomalies = self._scanner.anomalies
        if not chunk and self._reader is not None:
            self._scanner.finish()
            self._end(self._scanner, self._reader)
        return self._scanner.take_blocks()

    def _end(self, scanner: SlogScanner, reader: SlogReader) -> None:
        self.over, self.anomalies = True, scanner.anomalies
        self.lacking = _lacking(scanner, reader.beginning, reader.damage)


def _lacking(scanner: SlogScanner, beginning: bytes, damage: str | None) -> Lacking | None:
    return None if scanner.totals.events else Lacking(scanner.totals.bytes, beginning, damage)


class FileTail:
    """A plain slog that grows. It never ends: a new file may replace it."""

    over = False

    def __init__(
        self, path: Path, *, stage: int | None = None, backlog: int | None = BACKLOG
    ) -> None:
        """`path` need not exist yet. `backlog` in bytes; None: read the complete file."""
        self.title = str(path)
        self._earlier: Counter[str] = Counter()
        """The anomalies of the replaced files."""
        self._path = path
        self._stage = stage
        self._read: int | None = None
        """The inode of the file that is being read."""
        self._begin(backlog)

    @property
    def anomalies(self) -> Counter[str]:
        """See `Tail.anomalies`. An unfinished last line or block is not an anomaly."""
        return self._earlier + self._scanner.anomalies

    @property
    def lacking(self) -> Lacking | None:
        """See `Tail.lacking`. An empty file may still get events."""
        return _lacking(self._scanner, b"", None) if self._scanner.totals.bytes else None

    def poll(self) -> list[Row]:
        """See `Tail.poll`."""
        found = self._inode()
        taken = self._follower.poll()
        if self._read is None:
            self._read = found
        elif not taken and found not in {None, self._read}:
            # The previous file was read completely, and another one has replaced it.
            rows = self.end()
            self._earlier += self._scanner.anomalies
            self._begin(None)
            return rows
        return self._take()

    def end(self) -> list[Row]:
        """The writer has ended: take the rest, including an unfinished block, and close the
        file.
        """
        self._follower.close()
        return self._take()

    def close(self) -> None:
        """See `Tail.close`."""
        self._follower.abandon()

    def _begin(self, backlog: int | None) -> None:
        self._scanner = SlogScanner(thorough=True)
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
