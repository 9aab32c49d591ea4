"""Splitting at line ends, for every cut of the stream."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.slog.line_splitter import TAIL_KEPT, LineSplitter, LongLine, Span, count_lines

PIECES = st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"a\n", b"\n\n"]), max_size=12)


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(content)) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


@given(PIECES, st.lists(st.integers(0, 150), max_size=6))
def test_whole_lines_come_out_however_the_stream_is_cut(
    pieces: list[bytes], places: list[int]
) -> None:
    content = b"".join(pieces)
    splitter = LineSplitter()
    out = [piece for chunk in cut(content, places) for piece in splitter.feed(chunk)]
    whole = content[: content.rfind(b"\n") + 1]
    spans = [piece.content() for piece in out if isinstance(piece, Span)]
    assert len(spans) == len(out)
    assert all(span.endswith(b"\n") for span in spans)
    assert b"".join(spans) == whole
    assert splitter.pending == len(content) - len(whole)


def test_every_single_cut_of_a_real_looking_slog() -> None:
    content = b'{"time":1.5,"type":"a"}\n{"time":2.5,"type":"b"}\n\n{"torn'
    for place in range(len(content) + 1):
        splitter = LineSplitter()
        out = [*splitter.feed(content[:place]), *splitter.feed(content[place:])]
        spans = [piece.content() for piece in out if isinstance(piece, Span)]
        assert b"".join(spans) == content[:-6]
        tail = splitter.take_tail()
        assert tail == LongLine(b'{"torn', b'{"torn', 6)
        assert splitter.take_tail() is None


@given(st.lists(st.integers(0, 500), max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_long_lines_keep_their_ends_and_length(lengths: list[int], places: list[int]) -> None:
    lines = [bytes(97 + (n + i) % 26 for i in range(size)) for n, size in enumerate(lengths)]
    content = b"".join(text + b"\n" for text in lines)
    splitter = LineSplitter(limit=16, head_kept=4)
    out = [piece for chunk in cut(content, places) for piece in splitter.feed(chunk)]
    long = [LongLine(text[:4], text[-TAIL_KEPT:], len(text)) for text in lines if len(text) > 16]
    assert [piece for piece in out if isinstance(piece, LongLine)] == long
    short = b"".join(text + b"\n" for text in lines if len(text) <= 16)
    assert b"".join(piece.content() for piece in out if isinstance(piece, Span)) == short


@given(st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(0, 300), max_size=8))
def test_an_unfinished_long_line_too(lengths: list[int], places: list[int]) -> None:
    content = b"".join(b"a" * length + b"\n" for length in lengths) + bytes(range(97, 97 + 25))
    splitter = LineSplitter(limit=16, head_kept=4)
    for chunk in cut(content, places):
        for _ in splitter.feed(chunk):
            pass
    assert splitter.take_tail() == LongLine(b"abcd", bytes(range(97, 97 + 25)), 25)


def test_a_line_of_64_mb_is_not_kept() -> None:
    splitter = LineSplitter()
    chunk = b"x" * (1 << 20)
    for _ in range(64):
        assert list(splitter.feed(chunk)) == []
    assert splitter.pending == 64 << 20
    [long] = splitter.feed(b"end\n")
    assert isinstance(long, LongLine)
    assert (len(long.head), long.length) == (64 << 10, (64 << 20) + 3)
    assert long.tail == b"x" * (TAIL_KEPT - 3) + b"end"
    assert splitter.pending == 0


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60), st.integers(1, 3000))
def test_lines_are_counted_in_any_part_of_a_buffer(
    piece: bytes, start: int, size: int, times: int
) -> None:
    buffer = (piece + b"\n") * times
    end = min(len(buffer), start * times + size * times)
    start = min(start * times, end)
    assert count_lines(buffer, start, end) == buffer.count(b"\n", start, end)
