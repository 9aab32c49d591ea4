"""Compression: round trips, readable after a flush, readers of damaged files."""

from __future__ import annotations

import gzip
import random
import re
import shutil
import subprocess
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.slog.files import SlogReader
from loadgenctl.slog.follow import Codec, open_writer

CODECS: list[Codec] = ["gzip", "zstd", "none"]


def read(path: Path, size: int = 1 << 16) -> tuple[bytes, str | None]:
    with SlogReader(path) as reader:
        chunks = list(reader.chunks(size))
        assert all(0 < len(chunk) <= size for chunk in chunks)
        return b"".join(chunks), reader.damage


def written(path: Path, codec: Codec, chunks: list[tuple[bytes, bool]]) -> list[tuple[int, int]]:
    """Write the chunks, flushing behind some; returns the sizes `(packed, plain)` at each flush."""
    flushed = [(0, 0)]
    plain = 0
    writer = open_writer(path, codec)
    for chunk, flush in chunks:
        writer.write(chunk)
        plain += len(chunk)
        if flush:
            writer.flush()
            flushed.append((path.stat().st_size, plain))
    writer.close()
    return flushed


TEXT = st.builds(lambda piece, times: piece * times, st.binary(max_size=40), st.integers(1, 400))
CHUNKS = st.lists(st.tuples(TEXT | st.binary(max_size=300), st.booleans()), max_size=12)


@given(st.sampled_from(CODECS), CHUNKS, st.integers(1, 100))
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


@given(st.sampled_from(["gzip", "zstd"]), CHUNKS, st.data())
def test_whatever_is_cut_off_what_was_flushed_before_can_be_read(
    codec: Codec, chunks: list[tuple[bytes, bool]], data: st.DataObject
) -> None:
    content = b"".join(chunk for chunk, _ in chunks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        flushed = written(path, codec, chunks)
        packed = path.read_bytes()
        cut = data.draw(
            st.integers(4, len(packed) - 1) | st.sampled_from(flushed).map(lambda x: max(x[0], 4))
        )
        path.write_bytes(packed[:cut])
        found, damage = read(path, data.draw(st.integers(1, 5000)))
    assert content.startswith(found)
    assert len(found) >= max(plain for size, plain in flushed if size <= cut)
    assert damage is not None


@pytest.mark.parametrize(("codec", "program"), [("gzip", "zcat"), ("zstd", "zstdcat")])
def test_other_programs_read_what_was_flushed_too(
    tmp_path: Path, codec: Codec, program: str
) -> None:
    if codec == "zstd" and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    words = random.Random(3)
    lines = [b"".join(words.choices([b"deliver", b"v1", b"-"], k=400)) + b"\n" for _ in range(20)]
    path = tmp_path / "log"
    flushed = written(path, codec, [(text, True) for text in lines])
    packed, content = path.read_bytes(), b"".join(lines)
    for size, plain in flushed[1::4]:
        for more in (0, 1, 9):
            cut = packed[: size + more]
            # It ends with an error, as it should, and prints what there is.
            done = subprocess.run([program], input=cut, capture_output=True, check=False)
            assert done.stdout.startswith(content[:plain])
            assert content.startswith(done.stdout)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_an_archive_of_one_repeated_byte_is_read_in_bounded_memory(
    tmp_path: Path, codec: Codec
) -> None:
    path = tmp_path / "log"
    written(path, codec, [(b"x" * (1 << 20), False)] * 128)
    tracemalloc.start()
    with SlogReader(path) as reader:
        size = sum(len(chunk) for chunk in reader.chunks(1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (size, reader.damage) == (128 << 20, None)
    assert peak < 48 << 20


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


def test_damage_in_the_middle_is_told_and_what_is_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    plain = bytes(random.Random(2).choices(b"abcdefgh\n", k=4_000_000))
    packed = bytearray(gzip.compress(plain))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(bytes(packed))
    got, damage = read(path)
    assert damage is not None
    assert re.search("invalid|incorrect", damage, re.IGNORECASE), "it says what is wrong"
    assert got[: len(plain) // 4] == plain[: len(plain) // 4]


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
