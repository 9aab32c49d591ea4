"""Following a growing slog: whole lines only, bounded, complete at the end."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from tests.unit.slog_maker import Slog

from loadgenctl.slog.files import SlogReader
from loadgenctl.slog.follow import CHUNK, Codec, SlogFollower
from loadgenctl.slog.scan import SlogScanner


def unpacked(path: Path) -> bytes:
    with SlogReader(path) as reader:
        return b"".join(reader.chunks(1 << 20))


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_follows_a_file_that_appears_and_grows(tmp_path: Path, codec: Codec) -> None:
    plain, packed = tmp_path / "chain.slog", tmp_path / "packed"
    scanner = SlogScanner()
    follower = SlogFollower(plain, packed, codec, scanner)
    assert follower.poll() == 0
    assert not packed.exists()
    content = Slog().block(1, deliveries=2).block(2).block(3).content()
    for start in range(0, len(content), 50):
        append(plain, content[start : start + 50])
        follower.poll()
        # Whatever happens now, the lines taken so far can be read.
        taken = unpacked(packed) if packed.exists() else b""
        assert content.startswith(taken)
        assert taken == content[: content[: start + 50].rfind(b"\n") + 1]
    assert [block.block_height for block in scanner.take_blocks()] == [1, 2, 3]
    assert follower.poll() == 0
    end = follower.close(delete_plain=True)
    assert (end.taken, end.torn, end.complete, end.removed) == (len(content), 0, True, True)
    assert not plain.exists()
    assert unpacked(packed) == content


def test_a_torn_tail_is_counted_and_the_plain_file_stays(tmp_path: Path) -> None:
    plain, packed = tmp_path / "chain.slog", tmp_path / "packed"
    content = Slog().block(1).content()
    plain.write_bytes(content + b'{"time":12')
    scanner = SlogScanner()
    follower = SlogFollower(plain, packed, scanner=scanner)
    end = follower.close(delete_plain=True)
    assert (end.taken, end.torn, end.complete, end.removed) == (len(content), 10, False, False)
    assert plain.exists()
    assert unpacked(packed) == content
    assert scanner.anomalies == Counter({"torn-line": 1})
    assert follower.close() is end
    assert follower.poll() == 0


def test_a_line_longer_than_a_read_is_taken_when_it_ends(tmp_path: Path) -> None:
    plain, packed = tmp_path / "chain.slog", tmp_path / "packed"
    long = b"x" * (2 * CHUNK + 17)
    plain.write_bytes(b"first\n" + long)
    scanner = SlogScanner(census=True)
    follower = SlogFollower(plain, packed, scanner=scanner)
    assert follower.poll() == 6
    assert follower.poll() == 0
    append(plain, b"\nlast\n")
    assert follower.poll() == len(long) + 6
    assert follower.close().complete
    assert unpacked(packed) == b"first\n" + long + b"\nlast\n"
    assert scanner.totals.lines == 3


def test_a_poll_takes_about_its_limit(tmp_path: Path) -> None:
    plain = tmp_path / "chain.slog"
    plain.write_bytes(b"0123456789abcde\n" * (5 * CHUNK // 16))
    follower = SlogFollower(plain, tmp_path / "packed", scanner=SlogScanner())
    assert follower.poll(limit=CHUNK) == CHUNK
    assert follower.poll(limit=2 * CHUNK) == 2 * CHUNK
    assert follower.close().taken == 5 * CHUNK


def test_a_file_cut_short_is_started_over(tmp_path: Path) -> None:
    plain, packed = tmp_path / "chain.slog", tmp_path / "packed"
    scanner = SlogScanner()
    follower = SlogFollower(plain, packed, scanner=scanner)
    plain.write_bytes(b"one\ntwo\n")
    follower.poll()
    plain.write_bytes(b"new\n")
    follower.poll()
    end = follower.close(delete_plain=True)
    assert unpacked(packed) == b"one\ntwo\nnew\n"
    assert not end.complete
    assert plain.exists()
    assert scanner.anomalies == Counter({"truncated-file": 1})


def test_a_file_that_never_came_leaves_nothing(tmp_path: Path) -> None:
    end = SlogFollower(tmp_path / "none", tmp_path / "packed").close(delete_plain=True)
    assert (end.taken, end.complete, end.removed) == (0, False, False)
    assert list(tmp_path.iterdir()) == []


def test_without_an_archive_it_only_scans(tmp_path: Path) -> None:
    plain = tmp_path / "chain.slog"
    plain.write_bytes(Slog().block(4).content())
    scanner = SlogScanner()
    end = SlogFollower(plain, None, scanner=scanner).close(delete_plain=True)
    assert [block.block_height for block in scanner.take_blocks()] == [4]
    assert not end.removed


def test_a_gigabyte_without_a_line_end_is_searched_once_and_not_kept(tmp_path: Path) -> None:
    plain = tmp_path / "chain.slog"
    plain.write_bytes(b"first\n")
    with plain.open("r+b") as file:
        file.truncate(1100 * CHUNK)
    scanner = SlogScanner(census=True)
    follower = SlogFollower(plain, tmp_path / "packed", scanner=scanner)
    tracemalloc.start()
    assert (follower.poll(), follower.poll()) == (6, 0)
    assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK
    tracemalloc.stop()
    end = follower.close(delete_plain=True)
    assert (end.taken, end.torn, end.complete, end.removed) == (6, 1100 * CHUNK - 6, False, False)
    assert scanner.anomalies == Counter({"garbage-lines": 1, "torn-line": 1})


def test_an_unfinished_line_that_became_shorter_is_read_anew(tmp_path: Path) -> None:
    plain, packed = tmp_path / "chain.slog", tmp_path / "packed"
    plain.write_bytes(b"first\n" + b"x" * 1000)
    follower = SlogFollower(plain, packed, scanner=SlogScanner())
    assert (follower.poll(), follower.poll()) == (6, 0)
    plain.write_bytes(b"first\nsecond\n")
    assert follower.poll() == 7
    assert follower.close().complete
    assert unpacked(packed) == b"first\nsecond\n"


def test_closing_again_after_an_error_tells_that_it_is_not_complete(tmp_path: Path) -> None:
    link = tmp_path / "chain.slog"
    link.symlink_to("/dev/zero")
    follower = SlogFollower(link, tmp_path / "packed", scanner=SlogScanner())
    with pytest.raises(OSError, match="symbolic link"):
        follower.close()
    assert not follower.close().complete
