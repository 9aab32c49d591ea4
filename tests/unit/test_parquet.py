"""Tables for notebooks: fixed columns and types, as Parquet files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from tests.unit.test_stats_run import faucet, folder_with, perf_rows, slog, write_rows

from loadgenctl.cli.results import stats_command
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.reports.parquet import load_polars, write_tables
from loadgenctl.slog.block_rows import BLOCK_FIELDS
from loadgenctl.stats.columnar import BLOCKS, CYCLES, SAMPLES, make_table, tables


def run(path: Path) -> Path:
    path.mkdir()
    folder_with(path, perf_rows(), slog())
    events = [
        faucet("start", 1017.0, seq=0),
        faucet("finish", 1027.0, seq=0, success=False, error="no"),
        faucet("start", 1018.0, seq=1),
    ]
    write_rows(path / "events.jsonl", events)
    sample: dict[str, Any] = {"time": 1020, "stage": 0, "role": "chain", "reason": None}
    samples = [
        {**sample, "kind": "process", "subject": "kernel", "memory_rss_kib": 2048, "pid": 7},
        {**sample, "kind": "container", "subject": "chain", "memory_bytes": 4096, "heat": 1.5},
    ]
    write_rows(path / "samples.jsonl", samples)
    return path


def test_a_notebook_opens_them_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [run(tmp_path / "one"), run(tmp_path / "two")]
    (tmp_path / "out").mkdir()
    stats_command(runs, parquet=tmp_path / "out" / "tables")
    out = tmp_path / "out" / "tables"
    assert capsys.readouterr().out.splitlines() == [
        str(out / f"{name}.parquet") for name in ("blocks", "cycles", "samples")
    ]
    blocks = pl.read_parquet(out / "blocks.parquet")
    assert blocks.columns == ["run", "stage", *BLOCK_FIELDS]
    assert blocks["run"].to_list() == ["one"] * 6 + ["two"] * 6
    assert blocks.filter(pl.col("liveMode")).height == 10
    assert blocks["blockDuration"].null_count() == 2
    cycles = pl.read_parquet(out / "cycles.parquet").row(1, named=True)
    assert (cycles["seq"], cycles["start"], cycles["finish"], cycles["success"]) == (
        1,
        1018.0,
        None,
        None,
    )
    samples = pl.read_parquet(out / "samples.parquet")
    assert samples["memory_rss_kib"].dtype == pl.Float64
    assert samples["memory_bytes"].to_list() == [None, 4096, None, 4096]
    assert samples.columns[-1] == "heat"
    assert not list(out.glob(".*"))


def test_columns_are_the_same_without_rows(tmp_path: Path) -> None:
    empty = [make_table("blocks", BLOCKS, []), make_table("cycles", CYCLES, [])]
    files = write_tables(tmp_path, empty, pl)
    assert pl.read_parquet(files[0]).schema == pl.Schema(
        {
            name: {"text": pl.String, "whole": pl.Int64, "number": pl.Float64}.get(kind, pl.Boolean)
            for name, kind in BLOCKS.items()
        }
    )
    assert pl.read_parquet(files[1]).shape == (0, len(CYCLES))


def test_a_value_of_another_kind_is_none_and_unknown_columns_find_their_own() -> None:
    rows = [
        {"n": 1, "f": 1, "t": "x", "b": True, "big": 2, "new": 1, "mixed": 1, "flag": False},
        {"n": 1.5, "f": "1", "t": 5, "b": 1, "big": 1 << 70, "new": 0.5, "mixed": "a"},
    ]
    table = make_table(
        "x", {"n": "whole", "f": "number", "t": "text", "b": "truth", "big": "whole"}, rows
    )
    assert table.columns == {
        "n": [1, None],
        "f": [1.0, None],
        "t": ["x", "5"],
        "b": [True, None],
        "big": [2, None],
        "new": [1.0, 0.5],
        "mixed": ["1", "a"],
        "flag": [False, None],
    }
    assert [table.kinds[name] for name in ("new", "mixed", "flag")] == ["number", "text", "truth"]


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    text += (Path(__file__).parents[2] / "docs" / "slog.md").read_text(encoding="utf-8")
    missing = [name for name in {**BLOCKS, **CYCLES, **SAMPLES} if f"`{name}`" not in text]
    assert missing == []


def test_without_polars_the_extra_is_named(tmp_path: Path) -> None:
    def find(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}")

    with pytest.raises(UsageError, match="polars") as raised:
        load_polars(find)
    assert raised.value.hint is not None
    assert "loadgenctl[parquet]" in raised.value.hint


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputFolderError, match="cannot be written"):
        write_tables(tmp_path / "file", tables([run(tmp_path / "run")]), pl)
