"""Splitting at line ends, for every cut of the stream."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.slog.lines import LineSplitter, LongLine, Span

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
        assert tail == LongLine(b'{"torn', 6)
        assert splitter.take_tail() is None


@given(st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(0, 300), max_size=8))
def test_long_lines_keep_their_head_and_length(lengths: list[int], places: list[int]) -> None:
    lines = [bytes([97 + n % 26]) * length for n, length in enumerate(lengths)]
    content = b"".join(text + b"\n" for text in lines)
    splitter = LineSplitter(limit=16, head_kept=4)
    seen: list[tuple[bytes, int]] = []
    for chunk in cut(content, places):
        for piece in splitter.feed(chunk):
            if isinstance(piece, LongLine):
                seen.append((piece.head, piece.length))
            else:
                seen += [(text[:4], len(text)) for text in piece.content()[:-1].split(b"\n")]
    assert seen == [(text[:4], len(text)) for text in lines]


def test_a_line_of_64_mb_is_not_kept() -> None:
    splitter = LineSplitter()
    chunk = b"x" * (1 << 20)
    for _ in range(64):
        assert list(splitter.feed(chunk)) == []
    assert splitter.pending == 64 << 20
    [long] = splitter.feed(b"\n")
    assert isinstance(long, LongLine)
    assert (len(long.head), long.length) == (64 << 10, 64 << 20)
    assert splitter.pending == 0
