"""A large plain slog, read in parts by several processes; its facts come in its own order.

The file is cut into stripes, each of which holds the lines that begin in it. Their numbers stand in
a pipe that all workers read, each takes the next when it is done with one and sends its facts down
a pipe of its own. No more stripes are handed out than a few ahead of those told, so that memory is
bounded whatever the file's size.

Workers are forked, as all that they need is loaded then. They end when the pipes do: none outlives
a reader that was killed, which a process pool does not promise. When one dies, the reader reads the
rest itself, and what is wrong with the file shows there.
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

from .read import EventReader, Fact

CHUNK: Final = 1 << 20
"""Bytes read at a time."""
STRIPE: Final = 4 << 20
"""Bytes of a stripe: long enough that looking for its ends takes no part of its time."""
_PROBE: Final = 64 << 10
"""Bytes read at a time where a line's end is looked for."""
_AHEAD: Final = 2
"""Stripes per worker that are handed out before their turn to be told has come."""
_MOST_WORKERS: Final = 8
"""More would wait for the process that takes their facts."""
_NUMBER: Final = 8
"""Bytes of a number in a pipe."""


def facts_in_parts(
    file: int, workers: int, reader: EventReader, stripe: int = STRIPE
) -> Iterator[list[Fact]]:
    """Yield the facts of a plain slog, in order, read in stripes of so many bytes by workers.

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
    """The workers, as the process sees them that takes their facts."""

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
        """End the workers, whatever they do."""
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
            # No room for another process: this one does it all.
            self._whole = False
        else:
            if worker == 0:
                # Nothing of the parent's may run here: no handler of its exceptions, no exit.
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
        """Let the workers take so many stripes more, if there are."""
        for number in self._left[:count]:
            if self._whole:
                try:
                    self._handing.write(number.to_bytes(_NUMBER, "little"))
                except BrokenPipeError:
                    self._whole = False
        self._left = self._left[count:]

    def facts_of(self, number: int) -> list[Fact] | None:
        """Wait for the facts of this stripe; None if a worker is lost and they will not come."""
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
    """So many bytes; fewer if the pipe ends."""
    # Not by a buffered file: what that holds would not be seen by a poll.
    read = bytearray()
    while piece := pipe.read(size - len(read)):
        read += piece
    return bytes(read)


def _work(stripes: _Stripes, numbers: int, writing: int) -> None:
    """A worker's life."""
    # Nothing here makes cycles of objects, and looking for some takes a few percent of the time.
    gc.disable()
    with os.fdopen(writing, "wb") as pipe:
        while number := os.read(numbers, _NUMBER):
            message = orjson.dumps(stripes.read(int.from_bytes(number, "little")))
            pipe.write(number + len(message).to_bytes(_NUMBER, "little") + message)
            pipe.flush()


def workers_for(size: int | None) -> int:
    """How many processes should read a slog of so many bytes; 1: none but this one.

    `size` as `SlogReader` has it.
    """
    if size is None or size < 4 * STRIPE:
        return 1
    if threading.active_count() > 1:
        # Not to be forked: a lock that another thread holds would be held for ever.
        return 1
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _lines_from(file: int, start: int, end: int | None) -> Iterator[bytes]:
    """The lines that begin from `start` to before `end` (None: all that follow), in chunks."""
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
        # The last line goes on in the next stripe.
        yield from _to_line_end(file, place)


def _to_line_end(file: int, place: int, end: int | None = None) -> Iterator[bytes]:
    """What is left of the line, with its end; of a line that goes on beyond `end` no more."""
    while end is None or place < end:
        piece = os.pread(file, _PROBE, place)
        newline = piece.find(b"\n") + 1
        yield piece[:newline] if newline else piece
        if newline or not piece:
            return
        place += len(piece)
