"""A container's log as a plain file that its processes append to.

Its size is bounded by releasing its oldest part to the file system. Offsets do not change, so
followers need not restart, and writers never wait.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadgenctl.engines.local_processes import punch_hole
from loadgenctl.engines.log_text import DEFAULT_CAPACITY, clean_lines

_CHUNK = 64 * 1024
_BLOCK = 4096
_TAIL = 256 * 1024
"""Most bytes per line that are read to find the last lines."""


class FileFollower:
    """A `LogFollower` that reads what was appended since the last call."""

    def __init__(self, path: Path) -> None:
        """The file need not exist yet."""
        self._path = path
        self._descriptor: int | None = None
        self._offset = 0
        self._closed = False

    def poll(self) -> bytes:
        """See `LogFollower.poll`; at most 4 MiB at once."""
        if self._descriptor is None and not self._open():
            return b""
        assert self._descriptor is not None
        data, self._offset = read_on(self._descriptor, self._offset, DEFAULT_CAPACITY)
        return data

    def close(self) -> None:
        """See `LogFollower.close`."""
        self._closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        """A follower that was not closed must not keep its file open."""
        self.close()

    def _open(self) -> bool:
        if self._closed:
            return False
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        return True


def read_on(descriptor: int, offset: int, most: int) -> tuple[bytes, int]:
    """The content of a log from an offset, and the offset after it.

    If the log now begins later, because its oldest part was released, it continues with the first
    complete line.
    """
    try:
        begin = os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:  # the error at the end of the file
            raise
        return b"", offset
    data = os.pread(descriptor, most, begin)
    if begin > offset:
        torn = data.find(b"\n") + 1
        return data[torn:], begin + len(data)
    return data, begin + len(data)


def chunks(path: Path) -> Iterator[bytes]:
    """The complete log so far. Raises `OSError`."""
    with _opened(path) as descriptor:
        offset, size = 0, os.fstat(descriptor).st_size
        while offset < size:
            data, offset = read_on(descriptor, offset, _CHUNK)
            if not data:
                return
            yield data


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines, cleaned; [] if there is no log."""
    try:
        with _opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            length = _CHUNK
            while True:
                begin = max(0, size - length)
                data = os.pread(descriptor, size - begin, begin).lstrip(b"\0")
                if begin == 0 or data.count(b"\n") > count or length >= _TAIL * count:
                    return clean_lines(data)[-count:]
                length *= 4
    except FileNotFoundError:
        return []


def trim(descriptor: int, most: int) -> None:
    """If the log takes more than `most` bytes, keep the newest half of them. Raises `OSError`."""
    found = os.fstat(descriptor)
    if found.st_blocks * 512 > most:
        end = (found.st_size - most // 2) // _BLOCK * _BLOCK
        if end > 0:
            punch_hole(descriptor, 0, end)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
