"""Several runs as one table: the original's columns first, then ours."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_stats_run import faucet, folder_with, perf_rows, slog, write_rows

from loadgenctl.cli.results import stats_command
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.stats import read_run
from loadgenctl.stats.original_perf_finish import camel_case, perf_finish_stats
from loadgenctl.stats.run_rows import run_row, table

ORIGINAL = [
    "sdkRevision",
    "sdkCommitTime",
    "success",
    "chainBootstrapDuration",
    "walletDeployDuration",
    "loadgenDeployDuration",
    "cycleSuccessRate",
    "cycleAvgDuration",
]


def run(path: Path, *, commit_time: float | None, outcome: str = "passed", stages: int = 1) -> Path:
    path.mkdir()
    folder_with(path, perf_rows(stages=stages), slog())
    events = [
        faucet("start", 1017.0, seq=0),
        faucet("finish", 1027.0, seq=0, success=True),
        faucet("start", 1018.0, seq=1),
        faucet("finish", 1018.5, seq=1, success=False),
    ]
    write_rows(path / "events.jsonl", events)
    sdk = {"family": "agoric", "requested": "master", "commit": "c0ffee" * 6 + "abcd"}
    document: dict[str, Any] = {"schema": 1, "sdk": {**sdk, "commit_time": commit_time}}
    (path / "run.json").write_text(json.dumps(document), encoding="utf-8")
    (path / "status.json").write_text(json.dumps({"outcome": outcome}), encoding="utf-8")
    return path


def test_a_run_in_the_originals_columns(tmp_path: Path) -> None:
    row = run_row(run(tmp_path / "one", commit_time=1640995200))
    assert row.original == {
        "sdkRevision": "c0ffeec0ff",
        "sdkCommitTime": "2022-01-01 00:00:00",
        "success": True,
        "chainBootstrapDuration": 7,
        "walletDeployDuration": 4,
        "loadgenDeployDuration": 2,
        "cycleSuccessRate": 50,
        "cycleAvgDuration": 10,
        "stage0_cycleSuccessRate": 50,
        "stage0_cycleAvgDuration": 10,
        "stage0_avgSwingsetBlockTime": 0.18,
        "stage0_avgSwingsetPercentage": 3.38,
    }


def test_our_own_columns_have_units_in_their_names(tmp_path: Path) -> None:
    folder = run(tmp_path / "one", commit_time=1640995200, outcome="failed")
    sample = {"time": 1020.0, "stage": 0, "role": "chain", "reason": None}
    samples = [
        {**sample, "kind": "process", "subject": "kernel", "memory_rss_kib": 2048},
        {**sample, "kind": "container", "subject": "chain", "memory_bytes": 4096},
        {**sample, "kind": "storage", "subject": ".", "disk_kib": 77},
    ]
    write_rows(folder / "samples.jsonl", samples)
    row = run_row(folder)
    own = row.own
    assert row.original["success"] is False
    assert (own["folder"], own["outcome"], own["commit_time"]) == ("one", "failed", 1640995200)
    assert (own["block_count"], own["live_block_count"]) == (6, 5)
    assert own["swingset_time_p95_s"] == 0.3
    assert (own["cycle_count"], own["cycle_failed_count"]) == (2, 1)
    assert own["kernel_memory_max_kib"] == 2048
    assert own["chain_memory_max_bytes"] == 4096
    assert own["storage_last_kib"] == 77
    assert own["restart_avg_s"] is None
    assert row.detail["faucet_cycle_success_percentage"] == 50
    assert row.detail["stage0_chain_ready_s"] == 7.5


def test_sorted_by_commit_time_and_all_columns_of_all_runs(tmp_path: Path) -> None:
    newer = run(tmp_path / "newer", commit_time=1700000000, stages=2)
    older = run(tmp_path / "older", commit_time=1600000000)
    unknown = run(tmp_path / "unknown", commit_time=None)
    columns, rows = table(run_row(folder) for folder in (newer, older, unknown))
    assert [row["folder"] for row in rows] == ["unknown", "older", "newer"]
    assert columns[:8] == ORIGINAL
    stage = (
        "cycleSuccessRate",
        "cycleAvgDuration",
        "avgSwingsetBlockTime",
        "avgSwingsetPercentage",
    )
    assert columns[8:16] == [f"stage{number}_{name}" for number in (0, 1) for name in stage]
    assert columns[16] == "folder"
    tasks = columns.index("faucet_cycle_count")
    assert tasks < columns.index("stage0_duration_s") < columns.index("stage1_duration_s")
    assert len(columns) == len(set(columns))
    assert set().union(*rows) == set(columns)


def test_stages_of_many_runs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    first = run(tmp_path / "first", commit_time=1, stages=11)
    columns, _ = table([run_row(first)])
    ours = [name for name in columns if name.endswith("_restart_s")]
    assert ours == [f"stage{number}_restart_s" for number in range(11)]


def test_the_originals_folder(tmp_path: Path) -> None:
    stats = {
        "metadata": {"testData": {"sdkRevision": 1234567890, "sdkCommitTime": 1640995200}},
        "duration": 5.0,
        "stages": {
            "0": {"stageConfig": {"chainOnly": False, "durationConfig": 60}},
            "1": {"stageConfig": {"chainOnly": False, "durationConfig": 0}},
            "2": {"stageConfig": {"chainOnly": True}},
        },
    }
    finish = {"timestamp": 200.0, "stage": -1, "type": "perf-finish", "stats": stats}
    folder = folder_with(tmp_path, [*perf_rows(stages=3), finish], slog())
    row = run_row(folder).original
    assert row["sdkRevision"] == "1234567890"
    assert row["sdkCommitTime"] == "2022-01-01 00:00:00"
    assert row["success"] is True
    assert "stage0_avgSwingsetBlockTime" in row
    assert not any(name.startswith(("stage1", "stage2")) for name in row)
    write_rows(folder / "perf.jsonl", perf_rows())
    killed = run_row(folder).original
    assert (killed["sdkRevision"], killed["success"]) == ("", False)


@pytest.mark.parametrize("value", [None, True, "soon", 1e30, [1]])
def test_a_commit_time_that_is_none(tmp_path: Path, value: Any) -> None:
    assert run_row(run(tmp_path / "r", commit_time=value)).original["sdkCommitTime"] == ""


def test_perf_finish_tells_the_sdk_as_its_readers_look_for_it(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", commit_time=1640995200)
    given = {"profile": "local", "testData": {"sdk-revision": "mine", "note": 1}}
    stats = perf_finish_stats(read_run.load(folder, slogs=False), success=True, metadata=given)
    assert stats["metadata"] == {
        "profile": "local",
        "testData": {"sdkRevision": "mine", "sdkCommitTime": 1640995200, "note": 1},
    }
    assert (camel_case("sdk-commit-time"), camel_case("sdkRevision")) == (
        "sdkCommitTime",
        "sdkRevision",
    )


def test_as_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "r", commit_time=1640995200)
    stats_command([folder, folder], csv_output=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 2
    assert list(rows[0])[:8] == ORIGINAL
    assert (rows[0]["success"], rows[0]["stage0_restart_s"]) == ("true", "")


def test_as_json_one_or_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "r", commit_time=1)
    stats_command([folder], json_output=True)
    one = json.loads(capsys.readouterr().out)
    stats_command([folder, folder], json_output=True)
    assert json.loads(capsys.readouterr().out) == [one, one]
    stats_command([folder, folder])
    assert capsys.readouterr().out.count("counts per block)\n") == 2


def test_what_cannot_be_answered(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        stats_command([tmp_path], json_output=True, csv_output=True)
    with pytest.raises(OutputFolderError):
        stats_command([tmp_path], csv_output=True)
