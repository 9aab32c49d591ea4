"""Three slogs of a real chain: every number of every block is the original tool's own.

The data lie beside the checkout, or where LOADGENCTL_DATA says.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.slog_maker import SHAPES, Shape, reshaped

from loadgenctl.slog.block_rows import BLOCK_FIELDS, BlockRows
from loadgenctl.slog.parallel import CHUNK
from loadgenctl.slog.scan import SlogScanner, scan_file
from loadgenctl.stats.original_perf_finish import block_stats_summary
from loadgenctl.stats.summary import summarize

DATA = Path(
    os.environ.get("LOADGENCTL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no reference slogs: {DATA} is not there (set LOADGENCTL_DATA)"
)

STAGES = [0, 1, 2]


def reference(stage: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (DATA / f"chain-stage-{stage}.reference.json").read_text(encoding="utf-8")
    )
    return document


def rows_of(stage: int) -> list[dict[str, Any]]:
    scanner, records = scan_file(DATA / f"chain-stage-{stage}.slog.gz", census=True)
    assert scanner.anomalies == {}
    rows = BlockRows()
    return [rows.row(record) for record in records]


@pytest.mark.parametrize("stage", STAGES)
def test_every_field_of_every_block(stage: int) -> None:
    rows, expected = rows_of(stage), reference(stage)["blocks"]
    assert rows == expected
    # The digits as written and the order of the fields too.
    assert [list(row) for row in rows] == [list(row) for row in expected]
    assert orjson.dumps(rows) == orjson.dumps(expected)
    assert json.dumps(rows) == json.dumps(expected)
    assert all(set(row) <= set(BLOCK_FIELDS) for row in rows)


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("stage", STAGES)
def test_the_same_with_the_lines_of_other_eras(stage: int, shape: Shape) -> None:
    original, _ = scan_file(DATA / f"chain-stage-{stage}.slog.gz", census=True)
    scanner = SlogScanner(census=True)
    content = reshaped(gzip.decompress((DATA / f"chain-stage-{stage}.slog.gz").read_bytes()), shape)
    for start in range(0, len(content), CHUNK):
        scanner.feed(content[start : start + CHUNK])
    scanner.finish()
    rows = BlockRows()
    assert [rows.row(block) for block in scanner.take_blocks()] == reference(stage)["blocks"]
    assert scanner.vats == original.vats
    assert scanner.startup == original.startup
    assert scanner.totals.types == original.totals.types
    assert scanner.anomalies == {}


@pytest.mark.parametrize("stage", STAGES)
def test_averages_of_the_summaries(stage: int) -> None:
    """Averages and counts agree; the original's p95 is not an interpolated one, hence not its."""
    summary = block_stats_summary(rows_of(stage))
    assert summary is not None
    expected = reference(stage)["summaries"]["all"]
    for name, value in expected.items():
        if not name.startswith("p95"):
            assert summary[name] == value, name


def test_every_block_of_a_slog_of_2025_under_load() -> None:
    """Those of an independent reading, which has the times by `time` and one by `monotime`."""
    name = "upgrade-21-blocks-2-40"
    text = (DATA / f"{name}.reference.json").read_text(encoding="utf-8")
    scanner, records = scan_file(DATA / f"{name}.slog.gz", census=True)
    assert scanner.anomalies == {}
    rows, expected = BlockRows(), json.loads(text)["blocks"]
    found = [rows.row(record) for record in records]
    assert [row["blockHeight"] for row in found] == list(range(2, 41))
    exact = ["blockHeight", "blockTime", "beginAt", "endStartAt", "endFinishAt"]
    exact += ["slogLines", "deliveries", "computrons", "firstCrankNum", "lastCrankNum"]
    for row, values in zip(found, expected, strict=True):
        assert [row.get(name) for name in exact] == [values.get(name) for name in exact]
        assert row["swingsetTime"] == pytest.approx(values["swingsetMonotime"], abs=1e-6)
        # The clock was not set: both clocks show the same to some milliseconds.
        for time in ("cosmosTime", "lag", "blockDuration", "idleTime"):
            assert row.get(time) == pytest.approx(values.get(time), abs=0.005), time
        # A computron costs 100 beans, but not every delivery is charged.
        assert 0.999 * row["usedBeans"] <= 100 * row["computrons"] <= 1.001 * row["usedBeans"]
        assert 0 < row["runTime"] < row["swingsetTime"]
        assert row["kernelHeap"] < row["kernelHeapTotal"] < row["kernelMemory"]
    assert [row["blockHeight"] for row in found if row["snapshots"]] == [35]
    assert sum(row["actions"] for row in found) == 15


def test_live_mode_by_the_runs_own_perf_log() -> None:
    """The first block whose end-block began after the chain was ready is the first live one."""
    summary = summarize(DATA)
    live = [stage["blocks"].get("live") for stage in summary["stages"]]
    assert [blocks and blocks["block_count"] for blocks in live] == [1, 47, None]
    assert [blocks and blocks["start_block_height"] for blocks in live] == [2, 4, None]
    assert [stage["blocks"]["last100"]["block_count"] for stage in summary["stages"]] == [2, 48, 2]
    assert [stage["kind"] for stage in summary["stages"]] == ["chain-only", "load", "chain-only"]
    assert summary["run"]["original"] is True
    names = {vat["vat_id"]: vat["name"] for vat in summary["stages"][1]["vats"]}
    assert len(names) == 24
    assert (names["v10"], names["v13"], names["v16"]) == ("zoe", "comms", None)
