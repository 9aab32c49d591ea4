"""A slog, plain or compressed, whole or not: blocks, vats, startup, census and their tables.

The first byte says how the rest is packed, the second in which pieces it arrives. Whatever the
pieces, the blocks are the same.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Final

import zstandard
from rich.console import Console
from tests.fuzz import mutate
from tests.fuzz.target import Target, folder, require_harmless
from tests.hostile import corpus
from tests.unit.slog_maker import SHAPES, Slog, reshaped

from loadgenctl.records.encode import row_bytes
from loadgenctl.records.shape import BLOCK, well_formed
from loadgenctl.reports.slog_tables import blocks_table, vats_table
from loadgenctl.slog.block_rows import BlockRows, Row
from loadgenctl.slog.line_splitter import LineSplitter
from loadgenctl.slog.model import BlockRecord
from loadgenctl.slog.scan import SlogScanner, scan_file
from loadgenctl.stats.blocks import block_summaries
from loadgenctl.stats.slog_rows import startup_row, vat_rows

_PLAIN, _GZIP, _RAW_GZIP, _ZSTD, _RAW_ZSTD = range(5)
_SUFFIXES: Final = ("", ".gz", ".gz", ".zst", ".zst")
_LIMIT: Final = 4096
"""Bytes of a line that is kept whole here: the edge must be within reach of small inputs."""


def one_input(data: bytes) -> None:
    """See `Target.one_input`. Nothing in a slog is refused."""
    how, piece = (data + b"\0\0")[:2]
    how, piece, content = how % len(_SUFFIXES), 1 + piece, data[2:]
    with folder() as place:
        file = place / f"chain-stage-1.slog{_SUFFIXES[how]}"
        file.write_bytes(_packed(how, content))
        scanner, records = scan_file(file, census=True)
        rows = _rows(records)
        for row in rows:
            row_bytes(row)
            assert well_formed({"stage": 1, **row}, BLOCK), row
        vats = vat_rows(scanner.vats.values())
        row_bytes({"vats": vats, "startup": startup_row(scanner.startup)})
        row_bytes(block_summaries(rows))
        if zlib.crc32(content) % 8 == 0:
            # Drawing takes most of the time: of some inputs it tells enough.
            out = io.StringIO()
            console = Console(file=out, width=100)
            console.print(blocks_table("x", rows[:3]))
            console.print(vats_table("x", vats[:3]))
            require_harmless(out.getvalue())
    if how in {_PLAIN, _GZIP, _ZSTD}:
        assert _in_pieces(content, len(content) or 1) == _in_pieces(content, piece)


def _in_pieces(content: bytes, piece: int) -> tuple[list[Row], dict[str, int]]:
    scanner = SlogScanner(lines=LineSplitter(_LIMIT, 512))
    for start in range(0, len(content), piece):
        scanner.feed(content[start : start + piece])
    scanner.finish()
    return _rows(scanner.take_blocks()), dict(scanner.anomalies)


def _rows(records: list[BlockRecord]) -> list[Row]:
    rows = BlockRows()
    return [rows.row(record, chain_ready_at=0.0, shutdown_at=1e9) for record in records]


def _packed(how: int, content: bytes) -> bytes:
    if how == _GZIP:
        return gzip.compress(content, 1)
    if how == _ZSTD:
        return zstandard.compress(content, 1)
    return content


def seeds() -> list[bytes]:
    """Small slogs of every era's shape, packed in every way, and hostile lines."""
    made = Slog()
    made.add("create-vat", vatID="v1", name="bank", dynamic=False, managerType="xs-worker")
    made.add("vat-startup-finish", vatID="v1")
    made.add("start-replay", vatID="v1").add("finish-replay", vatID="v1")
    made.add("deliver-result", crankNum=1, vatID="v1", deliveryNum=0, replay=True, dr=["ok", None])
    made.add("cosmic-swingset-bootstrap-block-start", blockTime=1)
    made.delivery(1).add("cosmic-swingset-bootstrap-block-finish", blockTime=1)
    made.block(1).block(2, 2).block(3, 1)
    made.add("terminate", vatID="v1", shouldReject=False, info="x")
    whole = made.content()
    found = [bytes([_PLAIN, 40]) + reshaped(whole, shape) for shape in SHAPES]
    found += [bytes([_GZIP, 255]) + whole, bytes([_ZSTD, 1]) + whole]
    found += [bytes([_RAW_GZIP, 9]) + gzip.compress(whole)[:-4]]
    found += [bytes([_RAW_ZSTD, 9]) + zstandard.compress(whole)[:-4]]
    lines = [*corpus("slog_lines"), *corpus("log_lines")]
    return found + [
        bytes([_PLAIN, 7]) + whole[:300] + b"\n" + line.encode("utf-8", "surrogatepass") + b"\n"
        for line in lines
        if len(line) < 5000
    ]


def _mutate(data: bytes, seed: int) -> bytes:
    return data[:2] + mutate.lines(data[2:], seed)


TARGET: Final = Target(
    "slog", "the slog reader", one_input, seeds, _mutate, ("loadgenctl.slog", "loadgenctl.stats")
)
