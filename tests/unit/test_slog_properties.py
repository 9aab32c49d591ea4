"""What a slog tells does not depend on how its bytes come: scanner, follower and archive."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.slog_maker import SHAPES, Shape, Slog, by_time, line, reshaped

from loadgenctl.slog.block_rows import BlockRows
from loadgenctl.slog.files import SNIFFED, SlogReader, foreign
from loadgenctl.slog.follow import Codec, SlogFollower
from loadgenctl.slog.line_splitter import LineSplitter
from loadgenctl.slog.model import BlockRecord, Startup, Totals, VatRecord
from loadgenctl.slog.scan import SlogScanner, scan_file

LINE_LIMIT = 400
"""Bytes: the made lines are short, so that some of them are longer than this."""


@dataclass(frozen=True)
class Told:
    """All that a scanner tells of a slog."""

    blocks: list[BlockRecord]
    vats: dict[str, VatRecord]
    startup: Startup
    totals: Totals
    anomalies: Counter[str] = field(default_factory=Counter)


def told(chunks: list[bytes], *, census: bool = True) -> Told:
    scanner = SlogScanner(census=census, lines=LineSplitter(limit=LINE_LIMIT, head_kept=200))
    blocks: list[BlockRecord] = []
    for chunk in chunks:
        scanner.feed(chunk)
        blocks += scanner.take_blocks()
    return ended(scanner, blocks)


def ended(scanner: SlogScanner, blocks: list[BlockRecord]) -> Told:
    """What a scanner tells at the end, which gave these blocks before."""
    scanner.finish()
    last = scanner.take_blocks()
    return Told(blocks + last, scanner.vats, scanner.startup, scanner.totals, scanner.anomalies)


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


def odd_lines() -> list[bytes]:
    block = {"blockHeight": 5, "blockTime": 900}
    quoted = '{"type":"deliver"},{"type":"cosmic-swingset-begin-block","blockHeight":9}'
    deliver: dict[str, Any] = {"crankNum": 5, "vatID": "v2", "deliveryNum": 1}
    result = deliver | {"dr": ["error", "x", {"compute": 7}]}
    return [
        b"\n",
        b"plain words\n",
        b"\x00\xff\x1f\x8b\n",
        b'{"time":1.5,"type":"console","args":[%s]}\n' % quoted.encode(),
        b'{"time":1.5,"type":"deliver-result","crankNum":5,}\n',
        b'{"time":1.5,"type":"deliver-result"}\n',
        b'{"time":"1.5","type":"deliver-result","crankNum":5,"vatID":"v1"}\n',
        b'{"time":1.5,"type":"create-vat"}\n',
        b'{"time":1.5,"typ',
        line(2000.0, "create-vat", vatID="v2", dynamic=True, name="zoe", managerType="local"),
        line(2000.0, "create-vat", vatID="v3", vatSourceBundle={"x": quoted * 10}),
        line(2000.0, "deliver", **deliver, kd=["message", "y" * 500]),
        line(2000.5, "deliver", **deliver, kd=["message"]),
        line(2001.0, "deliver-result", **result),
        line(2001.0, "deliver-result", **result, replay=True),
        line(2001.0, "deliver-result", **result, log="z" * 500),
        line(2002.0, "start-replay-delivery", vatID="v2", delivery=["notify"]),
        line(2002.0, "never-heard-of", vatID="v2"),
        line(900.0, "cosmic-swingset-begin-block", **block),
        line(2003.0, "cosmic-swingset-end-block-start", **block),
        line(2004.0, "cosmic-swingset-end-block-finish", **block),
        line(2005.0, "terminate", vatID="v2", shouldReject=False, info="i" * 300),
    ]


ODD = {"bad-json", "binary", "clock-back", "garbage-lines", "long-line", "torn-line"}
ODD |= {"unknown-events", "unused-hits"}
ORDERLY = Slog().block(1, deliveries=2).block(2).block(3, deliveries=1)
LINES = st.sampled_from([*odd_lines(), ORDERLY.content(), *ORDERLY.lines])
SLOGS = st.builds(
    reshaped,
    st.lists(LINES | st.binary(max_size=20), max_size=25).map(b"".join),
    st.sampled_from(SHAPES),
)
CUTS = st.lists(st.integers(0, 5000), max_size=12)


@given(SLOGS, CUTS)
def test_any_cuts_tell_the_same(slog: bytes, places: list[int]) -> None:
    assert told(cut(slog, places)) == told([slog])


@given(SLOGS)
def test_single_bytes_tell_the_same(slog: bytes) -> None:
    assert told([slog[place : place + 1] for place in range(len(slog))]) == told([slog])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_single_cut_tells_the_same(shape: Shape) -> None:
    slog = b"".join(odd_lines()) + ORDERLY.content() + b'{"time":99'
    content = reshaped(slog, shape)
    whole = told([content])
    assert set(whole.anomalies) == ODD
    # Every place in one of the shapes.
    for place in range(SHAPES.index(shape), len(content) + 1, len(SHAPES)):
        assert told([content[:place], content[place:]]) == whole


@given(SLOGS)
def test_a_census_only_adds(slog: bytes) -> None:
    with_census, without = told([slog]), told([slog], census=False)
    assert without.blocks == with_census.blocks
    assert without.vats == with_census.vats
    assert without.startup == with_census.startup
    added = with_census.anomalies - without.anomalies
    assert set(added) <= {"binary", "garbage-lines", "unknown-events"}
    lines = slog.count(b"\n")
    assert with_census.totals.lines == lines
    assert sum(with_census.totals.types.values()) + added["garbage-lines"] == lines


@given(SLOGS)
def test_nothing_is_fatal_and_every_block_makes_a_row(slog: bytes) -> None:
    found = told([slog])
    assert found.totals.bytes == len(slog)
    rows = BlockRows()
    for block in found.blocks:
        assert rows.row(block)["blockHeight"] == block.block_height


@given(st.sampled_from(SHAPES), st.integers(0, 10**6), st.integers(1, 4), CUTS)
def test_shapes_tell_the_same(shape: Shape, start: int, deliveries: int, places: list[int]) -> None:
    slog = Slog(now=float(start)).block(1, deliveries).block(2, deliveries).content()
    first, other = told([slog]), told(cut(reshaped(slog, shape), places))
    assert (other.vats, other.startup) == (first.vats, first.startup)
    assert by_time(other.blocks) == first.blocks
    assert other.anomalies == first.anomalies == Counter()


@given(SLOGS, CUTS, st.sampled_from(["gzip", "zstd", "none"]), st.booleans())
def test_a_followed_slog_tells_the_same_as_its_archive(
    slog: bytes, places: list[int], codec: Codec, end_of_line: bool
) -> None:
    content = slog + b"\n" if end_of_line else slog
    whole = content[: content.rfind(b"\n") + 1]
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "chain.slog", Path(folder) / "packed"
        scanner = SlogScanner(census=True)
        follower = SlogFollower(plain, packed, codec, scanner)
        blocks: list[BlockRecord] = []
        for chunk in cut(content, places):
            with plain.open("ab") as file:
                file.write(chunk)
            follower.poll()
            blocks += scanner.take_blocks()
        end = follower.close(delete_plain=True)
        blocks += scanner.take_blocks()
        assert (end.taken, end.torn) == (len(whole), len(content) - len(whole))
        assert end.removed == (len(whole) > 0 and end.torn == 0)
        if not whole:
            return
        with SlogReader(packed) as reader:
            assert b"".join(reader.chunks(100)) == whole
        if codec != "none" and foreign(whole[:SNIFFED], codec) is None:
            again, again_blocks = scan_file(packed, census=True)
            assert (again_blocks, again.vats) == (blocks, scanner.vats)
            assert (again.startup, again.totals) == (scanner.startup, scanner.totals)
            assert again.anomalies + Counter({"torn-line": int(end.torn > 0)}) == scanner.anomalies
