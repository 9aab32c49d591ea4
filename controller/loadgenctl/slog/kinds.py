"""What a file is that is no slog, told by its first bytes, in words for a person."""

from __future__ import annotations

from typing import Final

from loadgenctl.errors import UsageError

SNIFFED: Final = 512
"""Bytes of a file's beginning that are looked at."""

UNPACK: Final = "unpack it first"

_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PACKED: Final = ((_GZIP, "gzip"), (_BZIP2, "bzip2"), (_XZ, "xz"), (_ZSTD, "zstd"))
_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""Behind a first byte 0x50 to 0x5f: a zstd frame without content, as pzstd begins a file with."""

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
"""What the flight recorder of the SDK begins its ring buffer with, in either order of bytes."""
_PROBED: Final = 32


class NotSlogError(UsageError):
    """A file is no slog; the message names what it is, the caller puts the file's name before."""


def packed_by(head: bytes) -> str | None:
    """The program by which a file is packed that can be read here; `head` are its first bytes."""
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    return next((name for magic, name in _PACKED if head.startswith(magic)), None)


def foreign(head: bytes, unpacked: str | None = None) -> str | None:
    """What a file is instead of a slog, and what to do; None if it may be one.

    `head` are the first `SNIFFED` bytes, behind the compression by `unpacked` if there was one.
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
    """Raise `NotSlogError` if it is something else; the arguments as `foreign` has them."""
    what = foreign(head[:SNIFFED], unpacked)
    if what is not None:
        raise NotSlogError(f"is {what}")


def _encoding(head: bytes) -> str | None:
    for magic, name in _TEXTS:
        if head.startswith(magic):
            return name
    # Without a mark: all bytes but every second or fourth one are 0, and these begin as JSON does.
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
