"""Compression: round trips, readable after a flush, readers of damaged files."""

from __future__ import annotations

import gzip
import random
import tempfile
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgenctl.slog.compress import Codec, SlogReader, open_writer

CODECS: list[Codec] = ["gzip", "zstd", "none"]


def read(path: Path, size: int = 1 << 16) -> tuple[bytes, str | None]:
    with SlogReader(path) as reader:
        chunks = list(reader.chunks(size))
        assert all(0 < len(chunk) <= size for chunk in chunks)
        return b"".join(chunks), reader.damage


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(CODECS),
    st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=12),
    st.integers(1, 100),
)
def test_round_trip(codec: Codec, chunks: list[tuple[bytes, bool]], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        writer = open_writer(path, codec)
        for chunk, flush in chunks:
            writer.write(chunk)
            if flush:
                writer.flush()
        writer.close()
        writer.close()
        content = b"".join(chunk for chunk, _ in chunks)
        # A plain log may begin like an archive; only what was compressed is sure to come back.
        if codec != "none" or content[:2] not in (b"\x1f\x8b", b"\x28\xb5"):
            assert read(path, size) == (content, None)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_what_was_flushed_can_be_read_without_the_end(tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "log"
    writer = open_writer(path, codec)
    writer.write(b"one line\n" * 1000)
    writer.flush()
    writer.write(b"not flushed\n")
    content, damage = read(path)
    assert content == b"one line\n" * 1000
    assert damage is not None
    writer.close()
    assert read(path) == (b"one line\n" * 1000 + b"not flushed\n", None)


def test_other_tools_read_it(tmp_path: Path) -> None:
    content = b"some text\n" * 5000
    for codec in ("gzip", "zstd"):
        writer = open_writer(tmp_path / codec, "gzip" if codec == "gzip" else "zstd")
        writer.write(content)
        writer.close()
    assert gzip.decompress((tmp_path / "gzip").read_bytes()) == content
    packed = (tmp_path / "zstd").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == content


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_every_cut_of_an_archive_is_survived(tmp_path: Path, codec: Codec) -> None:
    content = bytes(random.Random(1).choices(b"abcdef\n", k=3000))
    path = tmp_path / "log"
    writer = open_writer(path, codec)
    writer.write(content)
    writer.close()
    packed = path.read_bytes()
    for length in range(4, len(packed), 37):
        path.write_bytes(packed[:length])
        found, damage = read(path, 1000)
        assert content.startswith(found)
        assert damage is not None


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    packed = bytearray(gzip.compress(bytes(random.Random(2).choices(b"abcdefgh\n", k=9000))))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(bytes(packed))
    assert read(path)[1] is not None


def test_several_members_and_padding(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 512)
    assert read(path, 3) == (b"one\ntwo\n", None)
    frame = zstandard.ZstdCompressor().compress
    path.write_bytes(frame(b"one\n") + frame(b"two\n"))
    assert read(path, 3) == (b"one\ntwo\n", None)


def test_a_small_chunk_size_bounds_what_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"\0" * 5_000_000))
    assert read(path, 4096) == (b"\0" * 5_000_000, None)


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    assert read(path) == (b"", None)


def test_gzip_is_a_real_gzip_stream(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.gz", "gzip", level=3)
    writer.write(b"x" * 100_000)
    writer.close()
    packed = (tmp_path / "a.gz").read_bytes()
    assert zlib.decompress(packed, 31) == b"x" * 100_000
