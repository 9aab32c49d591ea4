"""A slog as of 2025: the numbers of its blocks are those of a second reading."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.reference_slog import blocks_of

from loadgenctl.slog.blocks import BlockRows
from loadgenctl.slog.scan import scan_file

DATA = Path(__file__).resolve().parents[1] / "data"
SLOG = DATA / "sim.slog.gz"


def test_every_number_of_every_block_is_that_of_the_reference() -> None:
    expected = json.loads((DATA / "sim.reference.json").read_text(encoding="utf-8"))
    scanner, records = scan_file(SLOG, census=True)
    assert scanner.anomalies == {}
    assert len(records) == len(expected) > 10
    assert sum(row["deliveries"] for row in expected) > 50
    rows = BlockRows()
    found = [rows.row(record) for record in records]
    for row, values in zip(found, expected, strict=True):
        assert {name: row.get(name) for name in values} == values


def test_the_reference_is_what_its_script_says() -> None:
    expected = json.loads((DATA / "sim.reference.json").read_text(encoding="utf-8"))
    assert blocks_of(gzip.decompress(SLOG.read_bytes())) == expected
