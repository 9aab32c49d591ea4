"""Chunks of any size in, buffers of whole lines out; memory is bounded whatever a line's length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

LINE_LIMIT: Final = 4 << 20
"""Bytes of one line that are kept whole; of a longer line only the head is."""
HEAD_KEPT: Final = 64 << 10
"""Bytes kept of a line longer than the limit."""


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line longer than the limit: its first bytes and its length without the newline."""

    head: bytes
    length: int


class Span(NamedTuple):
    """One or more whole lines, each with its newline: the part of a buffer from start to end.

    A part rather than a copy: copying a whole slog would cost a tenth of scanning it.
    """

    buffer: bytes
    start: int
    end: int

    def content(self) -> bytes:
        """The lines as bytes of their own."""
        return self.buffer[self.start : self.end]


def count_lines(buffer: bytes, start: int, end: int) -> int:
    """The newlines from `start` to `end`, where a line ends.

    Taking the lines apart is twice as fast as `bytes.count`, which looks at one byte at a time.
    """
    return len(io.BytesIO(buffer[start:end]).readlines())


class LineSplitter:
    """Cuts a stream at line ends.

    `feed` yields `Span`s of whole lines and `LongLine`s, in the order of the stream. Every newline
    of the stream is in exactly one of them.
    """

    def __init__(self, limit: int = LINE_LIMIT, head_kept: int = HEAD_KEPT) -> None:
        """`limit` and `head_kept` in bytes."""
        self._limit = limit
        self._head_kept = min(head_kept, limit)
        self._parts: list[bytes] = []
        self._length = 0

    @property
    def pending(self) -> int:
        """Bytes of the unfinished last line, so far."""
        return self._length

    def feed(self, chunk: bytes) -> Iterator[Span | LongLine]:
        """Take the stream's next bytes."""
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            self._hold(chunk)
            return
        start = 0
        if self._length:
            start = chunk.index(b"\n") + 1
            self._hold(chunk[: start - 1])
            yield self._release()
        if start < end:
            yield Span(chunk, start, end)
        if end < len(chunk):
            self._hold(chunk[end:])

    def take_tail(self) -> LongLine | None:
        """Return and forget the unfinished last line; None if the stream ended with a newline."""
        if not self._length:
            return None
        tail = LongLine(b"".join(self._parts)[: self._head_kept], self._length)
        self._forget()
        return tail

    def _hold(self, piece: bytes) -> None:
        before = self._length
        self._length += len(piece)
        if self._length <= self._limit:
            self._parts.append(piece)
        elif before <= self._limit:
            head = b"".join([*self._parts, piece[: self._head_kept]])
            self._parts = [head[: self._head_kept]]

    def _release(self) -> Span | LongLine:
        whole = b"".join(self._parts)
        length = self._length
        self._forget()
        if length > self._limit:
            return LongLine(whole[: self._head_kept], length)
        return Span(whole + b"\n", 0, length + 1)

    def _forget(self) -> None:
        self._parts = []
        self._length = 0
