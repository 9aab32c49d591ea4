"""Reads a slog, plain or packed, from a file or a pipe; a damaged one as far as possible.

gzip, zstd, xz and bzip2 are recognised by the first bytes, not by the name; so are other kinds of
file, which are refused. Packed files may have several parts (gzip: members, zstd: frames, xz and
bzip2: streams), which are read as one. Zeros after the last part are padding, anything else there
is damage. The libraries are loaded only if needed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol, Self, cast

from loadgenctl.errors import UsageError

SNIFFED: Final = 512
"""Bytes at the beginning of a file that are checked."""

UNPACK: Final = "unpack it first"

_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PACKED: Final = ((_GZIP, "gzip"), (_BZIP2, "bzip2"), (_XZ, "xz"), (_ZSTD, "zstd"))
_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""After a first byte 0x50 to 0x5f: a zstd frame without content, with which pzstd begins a file."""

_ARCHIVES: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x04\x22\x4d\x18", "packed with lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "packed with snappy"),
    (b"LZIP", "packed with lzip"),
    (b"\x1f\x9d", "packed with compress"),
    (b"\x5d\x00\x00", "packed with lzma"),
    (b"\x89LZO", "packed with lzop"),
)
_OTHERS: Final = (
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
)
_TAR: Final = (257, b"ustar")
_TEXTS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_RECORDER: Final = (b"AG-SLOG!", b"!GOLS-GA")
"""The first bytes of the SDK's flight recorder, in either byte order."""
_PROBED: Final = 32


STANDARD_INPUT: Final = frozenset({"-", "/dev/stdin"})
_READ: Final = 256 << 10
_READ_ZSTD: Final = 512
"""Small: zstd's decompressor returns all the content of a read at once, at most 128 KiB for every 4
bytes, so 16 MiB here.
"""
_MAGIC: Final = 8
"""Bytes needed to recognise the beginning of another part."""
_EARLY: Final = "the archive ends too early"


class NotSlogError(UsageError):
    """A file is not a slog. The message says what it is; the caller puts the file's name before
    it.
    """


def packed_by(head: bytes) -> str | None:
    """The program that packed a file, if it can be read here; `head` is its first bytes."""
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    return next((name for magic, name in _PACKED if head.startswith(magic)), None)


def foreign(head: bytes, unpacked: str | None = None) -> str | None:
    """What a file is instead of a slog, and what to do; None if it may be a slog.

    `head` is the first `SNIFFED` bytes, after unpacking with `unpacked` if that is not None.
    """
    within = "" if unpacked is None else f"packed with {unpacked}, and within "
    inner = packed_by(head)
    if inner is not None and unpacked is not None:
        how = f"twice with {inner}" if inner == unpacked else f"with {unpacked} and {inner}"
        return f"packed {how}: {UNPACK}"
    for magic, name in _ARCHIVES:
        if head.startswith(magic):
            return f"{within}{name}: {UNPACK}"
    place, magic = _TAR
    if head.startswith(magic, place):
        return f"{within}a tar archive: {UNPACK}"
    if head.startswith(_RECORDER):
        return f"{within}a flight recorder's file: extract the slog from it first"
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return f"{within}{name}"
    encoding = _encoding(head)
    return None if encoding is None else f"{within}{encoding} text: convert it to UTF-8 first"


def refuse(head: bytes, unpacked: str | None = None) -> None:
    """Raise `NotSlogError` if it is something else; arguments as in `foreign`."""
    what = foreign(head[:SNIFFED], unpacked)
    if what is not None:
        raise NotSlogError(f"is {what}")


def _encoding(head: bytes) -> str | None:
    for magic, name in _TEXTS:
        if head.startswith(magic):
            return name
    # Without a mark: all bytes except every second or fourth are 0, and these begin like JSON.
    probe = head[:_PROBED]
    for width, name in ((4, "UTF-32"), (2, "UTF-16")):
        for place in range(width):
            text = probe[place::width]
            rest = bytes(byte for at, byte in enumerate(probe) if at % width != place)
            if (
                len(text) >= _PROBED // 4
                and text.isascii()
                and b"\0" not in text
                and text.strip().startswith(b"{")
                and not rest.strip(b"\0")
            ):
                return name
    return None


class _Stream(Protocol):
    """A decompressor of one part, with the interface of the standard library."""

    @property
    def eof(self) -> bool:
        """The part has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The data passed in after the end of the part."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take data; return at most `max_length` bytes."""
        ...


class _Codec(NamedTuple):
    begin: Callable[[], _Stream]
    """Begin a part."""
    broken: tuple[type[Exception], ...]
    """The exceptions raised for damage."""
    read: int
    """Bytes read from the file at a time."""


def open_slog(path: Path) -> BinaryIO:
    """Open a file or pipe named by the user; `-` is standard input.

    Links are followed. Raises `OSError`, also for a folder, a device or a terminal, which might
    never end. A named pipe waits for its other end.
    """
    if str(path) in STANDARD_INPUT:
        _require(os.fstat(0).st_mode, 0)
        return open(0, "rb", buffering=0, closefd=False)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
    mode = path.stat().st_mode
    _require(mode, None)
    # Never wait for what may have replaced the file meanwhile, such as a device.
    descriptor = os.open(path, flags if stat.S_ISFIFO(mode) else flags | os.O_NONBLOCK)
    try:
        _require(os.fstat(descriptor).st_mode, descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def _require(mode: int, descriptor: int | None) -> None:
    """Raise `OSError` unless it is a file, a pipe or an open socket."""
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode):
        return
    if descriptor is not None and stat.S_ISSOCK(mode):
        return
    if stat.S_ISDIR(mode):
        what = "a folder"
    elif stat.S_ISSOCK(mode):
        what = "a socket"
    elif descriptor is not None and os.isatty(descriptor):
        what = "a terminal"
    else:
        what = "a device"
    raise OSError(errno.EINVAL, f"it is {what}, not a file or pipe")


class SlogReader:
    """Reads a file in bounded chunks, unpacked.

    A file that ends too early or is damaged yields what can be read; `damage` is then the cause.
    """

    def __init__(
        self, source: Path | BinaryIO, *, ahead: bytes = b"", read: int | None = None
    ) -> None:
        """Open `source` (see `open_slog`), or read an open file, which is closed at the end.

        `ahead` is what was already read from it; `read`: bytes of a packed file to read at a time.
        Raises `OSError`.
        """
        self._file = open_slog(source) if isinstance(source, Path) else source
        self._read_size = read
        self._head: bytes | None = None
        self._ahead = ahead
        self._begun_at = 0
        self.beginning = b""
        """The content's first bytes, unpacked; known once chunks are read."""
        self.damage: str | None = None
        self.packed_by: str | None = None
        """What the file is packed with; known from `begin` on."""

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    @property
    def size(self) -> int | None:
        """Bytes of a plain, seekable file; None for a packed file or a pipe."""
        self.begin()
        found = os.fstat(self._file.fileno())
        whole = stat.S_ISREG(found.st_mode) and self._begun_at == 0
        return found.st_size if whole and self.packed_by is None else None

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._file.fileno()

    def begin(self) -> bytes:
        """Read the first bytes, which `chunks` yields again; a second call does nothing.

        Raises `OSError`.
        """
        if self._head is None:
            self._begun_at = self._file.tell() if self._file.seekable() else 0
            head = self._ahead
            while len(head) < SNIFFED:
                more = self._file.read(SNIFFED - len(head))
                if not more:
                    break
                head += more
            self._head, self._ahead = head[:SNIFFED], head
            self.beginning = self._head
            self.packed_by = packed_by(head)
        return self._head

    def refuse_others(self) -> None:
        """Raise `NotSlogError` if `beginning` is not that of a slog."""
        refuse(self.beginning, self.packed_by)

    def rewind(self) -> bool:
        """Begin again; False if the file cannot be read twice."""
        if not self._file.seekable():
            return False
        self._file.seek(self._begun_at)
        self._head, self._ahead, self.damage = None, b"", None
        return True

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the content in pieces of at most `size` bytes. Raises `OSError`."""
        self.begin()
        if self.packed_by is None:
            yield from self._plain(size)
            return
        pieces, begin = self._unpacked(size, _codec(self.packed_by)), b""
        for piece in pieces:
            begin += piece
            if len(begin) >= SNIFFED:
                break
        self.beginning = begin[:SNIFFED]
        for start in range(0, len(begin), size):
            yield begin[start : start + size]
        yield from pieces

    def _read(self, size: int) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead[:size], self._ahead[size:]
            return ahead
        return self._file.read(size) or b""

    def _plain(self, size: int) -> Iterator[bytes]:
        while chunk := self._read(size):
            yield chunk

    def _unpacked(self, size: int, codec: _Codec) -> Iterator[bytes]:
        read = self._read_size or codec.read
        data = self._read(read)
        while data:
            stream = codec.begin()
            while not stream.eof:
                try:
                    chunk = stream.decompress(data, size)
                except codec.broken as error:
                    self.damage = str(error) or type(error).__name__
                    return
                for start in range(0, len(chunk), size):
                    yield chunk[start : start + size]
                data = b""
                if not stream.eof and not chunk:
                    data = self._read(read)
                    if not data:
                        self.damage = _EARLY
                        return
            data = self._behind(stream.unused_data, read)

    def _behind(self, data: bytes, read: int) -> bytes:
        """What follows a part: the beginning of another one, or b""."""
        while True:
            data = data.lstrip(b"\0")
            if len(data) >= _MAGIC:
                break
            more = self._read(read)
            if not more:
                break
            data += more
        if data and packed_by(data) != self.packed_by:
            self.damage = "something else follows the archive's end"
            return b""
        return data


def _codec(name: str) -> _Codec:
    if name == "gzip":
        return _gzip()
    if name == "zstd":
        return _zstd()
    if name == "xz":
        import lzma

        return _Codec(lzma.LZMADecompressor, (lzma.LZMAError, EOFError), _READ)
    import bz2

    return _Codec(bz2.BZ2Decompressor, (OSError, EOFError, ValueError), _READ)


def _gzip() -> _Codec:
    from isal import igzip_lib

    # The library's type stubs declare its exception as an instance.
    broken = (cast("type[Exception]", igzip_lib.IsalError), EOFError)

    def begin() -> _Stream:
        return cast("_Stream", igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP))

    return _Codec(begin, broken, _READ)


def _zstd() -> _Codec:
    import zstandard

    decompressor = zstandard.ZstdDecompressor()

    class Frame:
        """Returns all the content of the data at once, hence small reads."""

        def __init__(self) -> None:
            self._stream = decompressor.decompressobj()

        @property
        def eof(self) -> bool:
            return self._stream.eof

        @property
        def unused_data(self) -> bytes:
            return self._stream.unused_data

        def decompress(self, data: bytes, _max_length: int, /) -> bytes:
            return self._stream.decompress(data) if data else b""

    return _Codec(Frame, (zstandard.ZstdError,), _READ_ZSTD)
