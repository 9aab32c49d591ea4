"""Follows a slog while the chain writes it: scans and compresses new lines, in bounded memory.

    follower = SlogFollower(path, out_path, codec="gzip", scanner=scanner)
    follower.poll()      # from the controller's loop, every second or two
    follower.close()     # after the writer is gone

Only complete lines are taken: an unfinished line stays in the file until its end is written, so the
archive never contains a torn one. The chain's file is opened read-only and never locked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol

from loadgenctl.plainfile import RolePath, open_plain, write_plain
from loadgenctl.slog.scan import SlogScanner

Codec = Literal["gzip", "zstd", "none"]

_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 1
"""Of igzip's levels 0 to 3: for slogs, 2 is 1 % smaller than 1, and 3 takes twice the time."""
_ZSTD_LEVEL: Final = 3


CHUNK: Final = 1 << 20
POLL_LIMIT: Final = 32 << 20


class LogWriter(Protocol):
    """A growing compressed file."""

    def write(self, chunk: bytes) -> None:
        """Compress and append; data may stay in memory until `flush`."""
        ...

    def flush(self) -> None:
        """Make everything written so far readable on disk."""
        ...

    def close(self) -> None:
        """Finish the archive; a second call does nothing."""
        ...


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def sync(self) -> bytes: ...

    def end(self) -> bytes: ...


class _Igzip:
    def __init__(self, level: int) -> None:
        from isal import isal_zlib

        self._sync = isal_zlib.Z_SYNC_FLUSH
        self._stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_WBITS)

    def compress(self, data: bytes) -> bytes:
        packed: bytes = self._stream.compress(data)
        return packed

    def sync(self) -> bytes:
        packed: bytes = self._stream.flush(self._sync)
        return packed

    def end(self) -> bytes:
        packed: bytes = self._stream.flush()
        return packed


class _Zstd:
    def __init__(self, level: int) -> None:
        import zstandard

        self._flush_block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        self._stream = zstandard.ZstdCompressor(level=level).compressobj()

    def compress(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def sync(self) -> bytes:
        return self._stream.flush(self._flush_block)

    def end(self) -> bytes:
        return self._stream.flush()


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def sync(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""


class _FileWriter:
    """A compressor in front of a file."""

    def __init__(self, path: Path, compressor: _Compressor) -> None:
        self._file = write_plain(path)
        self._compressor = compressor
        self._dirty = False

    def write(self, chunk: bytes) -> None:
        self._file.write(self._compressor.compress(chunk))
        self._dirty = True

    def flush(self) -> None:
        if self._dirty:
            self._file.write(self._compressor.sync())
            self._dirty = False
        self._file.flush()

    def close(self) -> None:
        if not self._file.closed:
            self._file.write(self._compressor.end())
            self._file.close()


def open_writer(path: Path, codec: Codec = "gzip", level: int | None = None) -> LogWriter:
    """Create (or overwrite) `path` and return its writer. Raises `OSError`."""
    if codec == "gzip":
        return _FileWriter(path, _Igzip(_GZIP_LEVEL if level is None else level))
    if codec == "zstd":
        return _FileWriter(path, _Zstd(_ZSTD_LEVEL if level is None else level))
    return _FileWriter(path, _Plain())


@dataclass(frozen=True, slots=True)
class FollowResult:
    """The result of following."""

    taken: int
    """Bytes of complete lines scanned and compressed."""
    torn: int
    """Bytes of an unfinished last line, not in the archive."""
    complete: bool
    """The archive has the complete file: nothing torn, nothing lost by a truncation."""
    removed: bool
    """The plain file was deleted."""


class SlogFollower:
    """See the module's docstring. Not for use by several threads."""

    def __init__(
        self,
        path: Path | RolePath,
        out_path: Path | None,
        codec: Codec = "gzip",
        scanner: SlogScanner | None = None,
        *,
        last: int | None = None,
    ) -> None:
        """Follow `path`, which need not exist yet.

        `out_path` is created at the first bytes; None: scan only. No `scanner`: compress only. With
        `last`, only lines that begin in the last so many bytes are taken at the first poll.
        """
        self._path = path
        self._out_path = out_path
        self._codec: Codec = codec
        self._last = last
        self.scanner = scanner
        self._file: BinaryIO | None = None
        self._out: LogWriter | None = None
        self._taken = 0
        self._position = 0
        """Offset of the first line that was not taken."""
        self._searched = 0
        """That line does not end before this offset."""
        self._truncated = False
        self._result: FollowResult | None = None

    @property
    def taken(self) -> int:
        """Bytes taken so far."""
        return self._taken

    def poll(self, limit: int = POLL_LIMIT) -> int:
        """Take new complete lines, at most about `limit` bytes; return how many bytes.

        Cheap if nothing is new (one `fstat`). What was taken can be read from the archive even if
        this process dies. Raises `OSError` if the file cannot be read or the archive not written.
        """
        return 0 if self._result is not None else self._take_new(limit)

    def _take_new(self, limit: int) -> int:
        if not self._open():
            return 0
        taken = 0
        while taken < limit:
            step = self._step()
            if step == 0:
                break
            taken += step
        if taken and self._out is not None:
            self._out.flush()
        return taken

    def close(self, *, delete_plain: bool = False) -> FollowResult:
        """Take the rest, finish the archive and the scanner; a second call returns the same.

        With `delete_plain`, the plain file is removed once the archive has all of it.
        """
        if self._result is not None:
            return self._result
        # The result if something below fails: another call could not get more.
        self._result = FollowResult(self._taken, 0, complete=False, removed=False)
        try:
            while self._take_new(POLL_LIMIT) > 0:
                pass
            torn = self._size() - self._position if self._file is not None else 0
        finally:
            self._close_files()
        if self.scanner is not None:
            if torn:
                self.scanner.anomalies["torn-line"] += 1
            self.scanner.finish()
        complete = self._taken > 0 and torn == 0 and not self._truncated
        removed = delete_plain and complete and self._out_path is not None
        if removed:
            self._path.unlink(missing_ok=True)
        self._result = FollowResult(self._taken, torn, complete, removed)
        return self._result

    def abandon(self) -> None:
        """Close the files without taking the rest; the scanner is not finished."""
        if self._result is None:
            self._result = FollowResult(self._taken, 0, complete=False, removed=False)
            self._close_files()

    def _close_files(self) -> None:
        file, out = self._file, self._out
        self._file = self._out = None
        try:
            if out is not None:
                out.close()
        finally:
            if file is not None:
                file.close()

    def _open(self) -> bool:
        if self._file is None:
            try:
                self._file = open_plain(self._path, buffering=0)
            except FileNotFoundError:
                return False
            if self._last is not None:
                self._skip(self._last)
        return True

    def _skip(self, last: int) -> None:
        """Begin at the first line that starts within the `last` bytes."""
        assert self._file is not None
        start = max(0, self._size() - last)
        if start == 0:
            return
        self._file.seek(start - 1)
        while chunk := self._file.read(CHUNK):
            end = chunk.find(b"\n") + 1
            if end:
                self._position = self._searched = start - 1 + end
                return
            start += len(chunk)
        # Only the middle of one long line: begin after it, when it has ended.
        self._position = self._searched = start - 1

    def _size(self) -> int:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_size

    def _step(self) -> int:
        """Take the complete lines of one chunk; 0 if there are none."""
        assert self._file is not None
        size = self._size()
        if size < self._position:
            # The file was truncated: start again with its present content.
            self._truncated = True
            self._position = self._searched = 0
            if self.scanner is not None:
                self.scanner.anomalies["truncated-file"] += 1
        if size < self._searched:
            self._searched = self._position
        while size > self._searched:
            self._file.seek(self._searched)
            chunk = self._file.read(CHUNK)
            end = chunk.rfind(b"\n") + 1
            if end:
                before = self._searched - self._position
                if before:
                    self._copy_line_head(before)
                self._take(chunk if end == len(chunk) else chunk[:end])
                self._position = self._searched = self._searched + end
                return before + end
            if not chunk:
                break
            # A line longer than a read: its parts are not kept.
            self._searched += len(chunk)
        return 0

    def _copy_line_head(self, length: int) -> None:
        """Take the earlier parts of a line longer than one read, which were only searched."""
        assert self._file is not None
        self._file.seek(self._position)
        while length > 0:
            piece = self._file.read(min(CHUNK, length))
            if not piece:
                return
            self._take(piece)
            length -= len(piece)

    def _take(self, chunk: bytes) -> None:
        if self._out_path is not None:
            if self._out is None:
                self._out = open_writer(self._out_path, self._codec)
            self._out.write(chunk)
        if self.scanner is not None:
            self.scanner.feed(chunk)
        self._taken += len(chunk)
