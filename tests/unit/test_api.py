"""`loadgenctl.api`: what a notebook reads of a stored results folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from loadgenctl import api
from loadgenctl.errors import OutputFolderError
from loadgenctl.stats.summary import summarize

STORED: Final = Path(__file__).resolve().parents[1] / "data" / "results"
"""A run of three stages on the simulated SDK, without slogs, logs and the vats' samples."""


def test_stats_are_the_numbers_of_the_run() -> None:
    stats = api.open_run(STORED).stats()
    assert stats.outcome == "passed"
    assert [(stage.stage, stage.kind, stage.finished) for stage in stats.stages] == [
        (0, "chain-only", True),
        (1, "load", True),
        (2, "chain-only", True),
    ]
    assert [round(stage.durations["duration_s"], 1) for stage in stats.stages] == [39.0, 34.7, 12.3]
    loaded = stats.stages[1].blocks["loaded"]
    assert (loaded.block_count, round(loaded.metrics["block_duration_s"].avg, 2)) == (16, 1.02)
    assert {task: cycles.succeeded for task, cycles in stats.cycles.items()} == {
        "all": 9,
        "amm": 3,
        "faucet": 4,
        "vault": 2,
    }
    vault = stats.cycles["vault"]
    assert (vault.cycle_count, vault.failed, vault.unfinished, vault.missed) == (2, 0, 0, 1)
    assert round(vault.metrics["duration_s"].p95, 2) == 7.1


def test_stats_hold_every_spread_of_the_summary_and_the_summary() -> None:
    stats = api.open_run(STORED).stats()
    assert stats.summary == summarize(STORED)
    for stage, row in zip(stats.stages, stats.summary["stages"], strict=True):
        assert stage.durations == row["durations"]
        assert set(stage.blocks) == set(row["blocks"])
        for group, blocks in stage.blocks.items():
            found = {name: asdict(spread) for name, spread in blocks.metrics.items()}
            assert found == {
                name: value
                for name, value in row["blocks"][group].items()
                if isinstance(value, dict)
            }


def test_a_run_says_what_it_was_and_where_it_is() -> None:
    run = api.open_run(str(STORED))
    assert run.path == STORED
    assert run.document["sdk"]["simulated"] is True


def test_frames_hold_every_row_with_the_run_it_is_of(tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(STORED, second)
    frames = api.frames(STORED, second)
    for name, frame in (
        ("blocks", frames.blocks),
        ("cycles", frames.cycles),
        ("samples", frames.samples),
    ):
        rows = (STORED / f"{name}.jsonl").read_text().count("\n")
        assert frame["run"].to_list() == ["results"] * rows + ["second"] * rows
    assert frames.blocks.schema["blockDuration"] == pl.Float64
    assert frames.cycles["success"].all()
    alone = api.open_run(second).frames()
    assert alone.blocks.equals(frames.blocks.filter(run="second"))


def test_of_a_run_that_was_killed_there_is_what_it_wrote(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("run.json", "perf.jsonl", "blocks.jsonl"):
        shutil.copy(STORED / name, killed)
    stats = api.open_run(killed).stats(slogs=False)
    assert stats.live_blocks is not None
    assert stats.cycles == {}


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match="holds no run"):
        api.open_run(tmp_path)
    with pytest.raises(OutputFolderError, match="no results folder"):
        api.frames(tmp_path / "nothing")


def test_it_loads_no_engine_no_command_line_and_no_polars() -> None:
    code = (
        "import sys; from loadgenctl import api;"
        "print([n for n in ('docker', 'typer', 'polars') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_names_every_public_name() -> None:
    page = (STORED.parents[2] / "docs" / "api.md").read_text()
    for name in api.__all__:
        assert f"`{name}" in page
