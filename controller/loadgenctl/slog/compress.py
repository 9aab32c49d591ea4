"""Compression of logs while they grow, behind one interface; reading them back, damaged ones too.

`gzip` (igzip, the default) trades some size for a fraction of the CPU; `zstd` at level 3 is as
cheap and much smaller, but not every tool opens it. After `flush`, everything written so far can be
read back by `zcat` or `zstdcat` even if the writer dies. Their libraries are loaded only where they
are needed: that takes as long as a scan of 10 MB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, cast

from loadgenctl.plainfile import write_plain

if TYPE_CHECKING:
    from isal import isal_zlib

Codec = Literal["gzip", "zstd", "none"]

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 1
"""Of igzip's levels 0 to 3; on slogs 2 saves 1 % of size over 1 and 3 costs twice the time."""
_ZSTD_LEVEL: Final = 3
_READ: Final = 256 << 10
_READ_ZSTD: Final = 512
"""Small: zstd's decompressor answers each read with all that is in it, which is at most 128 KiB for
every 4 bytes, so here 16 MiB."""


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


def is_packed(path: Path) -> bool:
    """True for gzip and zstd, told by the file's first bytes. Raises `OSError`."""
    with path.open("rb") as file:
        magic = file.read(4)
    return magic.startswith(_GZIP_MAGIC) or magic == _ZSTD_MAGIC


class SlogReader:
    """Reads a plain, gzip or zstd file in bounded chunks; the kind is told by its first bytes.

    A file that ends too early or is damaged yields what can be read; `damage` then says why.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`. Raises `OSError`."""
        self._file = path.open("rb")
        self.damage: str | None = None

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the content in pieces of at most `size` bytes."""
        magic = self._file.peek(4)[:4] if isinstance(self._file, io.BufferedReader) else b""
        if magic.startswith(_GZIP_MAGIC):
            return self._gzip(size)
        if magic == _ZSTD_MAGIC:
            return self._zstd(size)
        return self._plain(size)

    def _plain(self, size: int) -> Iterator[bytes]:
        while chunk := self._file.read(size):
            yield chunk

    def _gzip(self, size: int) -> Iterator[bytes]:
        from isal import isal_zlib

        # The library's type stubs declare its exception as an instance.
        broken = (cast("type[Exception]", isal_zlib.IsalError), EOFError)
        stream = isal_zlib.decompressobj(_GZIP_WBITS)
        data = b""
        while True:
            data = data or self._file.read(_READ)
            if not data:
                break
            try:
                chunk = stream.decompress(data, size)
            except broken as error:
                self.damage = str(error) or type(error).__name__
                return
            if chunk:
                yield chunk
            data = stream.unconsumed_tail
            if stream.eof:
                # Another member may follow; anything else behind the end is padding.
                data = stream.unused_data or self._file.read(_READ)
                if not data.startswith(_GZIP_MAGIC):
                    return
                stream = isal_zlib.decompressobj(_GZIP_WBITS)
        yield from self._rest(stream, size, broken)

    def _rest(
        self, stream: isal_zlib.Decompress, size: int, broken: tuple[type[Exception], ...]
    ) -> Iterator[bytes]:
        """What the decompressor still holds although the input is over: the archive is cut off."""
        try:
            rest = stream.flush()
        except broken:
            rest = b""
        if not stream.eof:
            self.damage = "the archive ends too early"
        for start in range(0, len(rest), size):
            yield rest[start : start + size]

    def _zstd(self, size: int) -> Iterator[bytes]:
        import zstandard

        decompressor = zstandard.ZstdDecompressor()
        stream = decompressor.decompressobj(write_size=size)
        inside = False
        while data := self._file.read(_READ_ZSTD):
            while data:
                try:
                    chunk = stream.decompress(data)
                except zstandard.ZstdError as error:
                    self.damage = str(error)
                    return
                for start in range(0, len(chunk), size):
                    yield chunk[start : start + size]
                inside = not stream.eof
                data = b""
                if stream.eof:
                    data = stream.unused_data
                    stream = decompressor.decompressobj(write_size=size)
        if inside:
            self.damage = "the archive ends too early"
