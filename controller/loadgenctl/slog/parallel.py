"""Reads a large plain slog in parts by several processes; its facts keep their order.

The file is divided into stripes, each with the lines that begin in it. Workers read stripe numbers
from a common pipe, and each sends its facts through its own pipe. Only a few stripes per worker are
assigned ahead, so memory is bounded for any file size.

Workers are forked, so everything they need is loaded. They end when the pipes close: none outlives
a killed reader, which a process pool does not guarantee. If one dies, the reader reads the rest
itself and reports what is wrong with the file.
"""

from __future__ import annotations

import gc
import os
import select
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

import orjson

from loadgenctl.slog.facts import EventReader, Fact

CHUNK: Final = 1 << 20
"""Bytes read at a time."""
STRIPE: Final = 4 << 20
"""Bytes of a stripe: so long that finding its ends takes a negligible time."""
_PROBE: Final = 64 << 10
"""Bytes read at a time to find the end of a line."""
_AHEAD: Final = 2
"""Stripes per worker that are assigned ahead."""
_MOST_WORKERS: Final = 8
"""More workers would wait for the process that takes their facts."""
_NUMBER: Final = 8
"""Bytes of a number in a pipe."""


def facts_in_parts(
    file: int, workers: int, reader: EventReader, stripe: int = STRIPE
) -> Iterator[list[Fact]]:
    """Yield the facts of a plain slog, in order, read by workers in stripes of `stripe` bytes.

    `file` is the descriptor of an open file.

    The last stripe ends where the file does when it is read. Raises `OSError`.
    """
    stripes = _Stripes(file, stripe, reader)
    with closing(_Team(stripes, workers)) as team:
        team.hand_out(workers * _AHEAD)
        for number in stripes.numbers:
            sent = team.facts_of(number)
            team.hand_out(1)
            yield stripes.read(number) if sent is None else sent


class _Stripes:
    """The stripes of an open file, by their numbers."""

    def __init__(self, file: int, size: int, reader: EventReader) -> None:
        self.numbers = range(max(1, -(-os.fstat(file).st_size // size)))
        self._file = file
        self._size = size
        self._reader = reader

    def read(self, number: int) -> list[Fact]:
        """The facts of a stripe. Raises `OSError`."""
        start = number * self._size
        end = None if number == self.numbers[-1] else start + self._size
        facts: list[Fact] = []
        for chunk in _lines_from(self._file, start, end):
            facts += self._reader.feed(chunk)
        return facts + self._reader.finish()


class _Team:
    """The workers, from the view of the process that takes their facts."""

    def __init__(self, stripes: _Stripes, workers: int) -> None:
        """Fork them."""
        self._left = stripes.numbers
        self._sent: dict[int, list[Fact]] = {}
        self._pipes: dict[int, BinaryIO] = {}
        self._poll = select.poll()
        self._workers: list[int] = []
        self._whole = True
        numbers, handing = os.pipe()
        self._handing = os.fdopen(handing, "wb", buffering=0)
        for _ in range(workers):
            self._fork(stripes, numbers)
        os.close(numbers)

    def close(self) -> None:
        """End the workers."""
        for pipe in (self._handing, *self._pipes.values()):
            pipe.close()
        while self._workers:
            os.waitpid(self._workers.pop(), 0)

    def _fork(self, stripes: _Stripes, numbers: int) -> None:
        reading, writing = os.pipe()
        self._pipes[reading] = os.fdopen(reading, "rb", buffering=0)
        self._poll.register(reading, select.POLLIN)
        try:
            worker = os.fork()
        except OSError:
            # Another process is not possible: this one reads everything.
            self._whole = False
        else:
            if worker == 0:
                # None of the parent's exception or exit handlers may run here.
                status = 1
                try:
                    for pipe in (self._handing, *self._pipes.values()):
                        pipe.close()
                    _work(stripes, numbers, writing)
                    status = 0
                finally:
                    os._exit(status)
            self._workers.append(worker)
        os.close(writing)

    def hand_out(self, count: int) -> None:
        """Assign up to `count` more stripes to the workers."""
        for number in self._left[:count]:
            if self._whole:
                try:
                    self._handing.write(number.to_bytes(_NUMBER, "little"))
                except BrokenPipeError:
                    self._whole = False
        self._left = self._left[count:]

    def facts_of(self, number: int) -> list[Fact] | None:
        """Wait for the facts of this stripe; None if a worker died and they will not arrive."""
        while self._whole and number not in self._sent:
            for pipe, _ in self._poll.poll():
                self._receive(self._pipes[pipe])
        return self._sent.pop(number, None)

    def _receive(self, pipe: BinaryIO) -> None:
        head = _exactly(pipe, 2 * _NUMBER)
        number, size = (int.from_bytes(half, "little") for half in (head[:_NUMBER], head[_NUMBER:]))
        message = _exactly(pipe, size)
        if len(message) == size > 0:
            self._sent[number] = orjson.loads(message)
        else:
            self._whole = False


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    """Read `size` bytes; fewer if the pipe ends."""
    # Not a buffered file: a poll would not see the content of its buffer.
    read = bytearray()
    while piece := pipe.read(size - len(read)):
        read += piece
    return bytes(read)


def _work(stripes: _Stripes, numbers: int, writing: int) -> None:
    """Run a worker."""
    # There are no reference cycles here, and searching for them takes a few percent of the time.
    gc.disable()
    with os.fdopen(writing, "wb") as pipe:
        while number := os.read(numbers, _NUMBER):
            message = orjson.dumps(stripes.read(int.from_bytes(number, "little")))
            pipe.write(number + len(message).to_bytes(_NUMBER, "little") + message)
            pipe.flush()


def workers_for(size: int | None) -> int:
    """How many processes should read a slog of `size` bytes; 1: only this one.

    `size` as in `SlogReader`.
    """
    if size is None or size < 4 * STRIPE:
        return 1
    if threading.active_count() > 1:
        # Forking is not safe: a lock that another thread holds would never be released.
        return 1
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _lines_from(file: int, start: int, end: int | None) -> Iterator[bytes]:
    """The lines that begin from `start` to before `end` (None: the end of the file), in chunks."""
    place = start
    if start:
        # From the byte before: if that ends a line, the stripe begins with one.
        place += sum(len(piece) for piece in _to_line_end(file, start - 1, end)) - 1
    chunk = b"\n"
    while end is None or place < end:
        chunk = os.pread(file, CHUNK if end is None else min(CHUNK, end - place), place)
        if not chunk:
            return
        place += len(chunk)
        yield chunk
    if not chunk.endswith(b"\n"):
        # The last line continues in the next stripe.
        yield from _to_line_end(file, place)


def _to_line_end(file: int, place: int, end: int | None = None) -> Iterator[bytes]:
    """The rest of the line, with its newline, or up to `end`."""
    while end is None or place < end:
        piece = os.pread(file, _PROBE, place)
        newline = piece.find(b"\n") + 1
        yield piece[:newline] if newline else piece
        if newline or not piece:
            return
        place += len(piece)
