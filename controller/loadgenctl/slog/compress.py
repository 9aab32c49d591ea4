"""Compression of logs while they grow, behind one interface. They are read by `slog.reader`.

`gzip` (igzip, the default) trades some size for a fraction of the CPU; `zstd` at level 3 is as
cheap and much smaller, but not every tool opens it. After `flush`, everything written so far can be
read back by `zcat` or `zstdcat` even if the writer dies. Their libraries are loaded only where they
are needed: that takes as long as a scan of 10 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Protocol

from loadgenctl.plainfile import write_plain

Codec = Literal["gzip", "zstd", "none"]

_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 1
"""Of igzip's levels 0 to 3; on slogs 2 saves 1 % of size over 1 and 3 costs twice the time."""
_ZSTD_LEVEL: Final = 3


class LogWriter(Protocol):
    """A compressed file that grows."""

    def write(self, chunk: bytes) -> None:
        """Compress and append; data may stay in memory until `flush`."""
        ...

    def flush(self) -> None:
        """Make everything written so far readable on disk."""
        ...

    def close(self) -> None:
        """End the archive properly; closing twice does nothing."""
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
