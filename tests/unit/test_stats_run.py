"""A results folder to its summary: whole, killed, and without rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.slog_maker import Slog

from loadgenctl.errors import OutputFolderError
from loadgenctl.slog.follow import open_writer
from loadgenctl.stats import read_run
from loadgenctl.stats.original_perf_finish import finish_run, perf_finish_stats
from loadgenctl.stats.stages import read_perf
from loadgenctl.stats.summary import summarize

ORIGIN = 1000.0
MARKS = (
    ("stage-start", 0.0),
    ("run-chain-start", 0.5),
    ("run-chain-finish", 1.0),
    ("chain-ready", 8.0),
    ("stage-first-block", 9.0),
    ("stage-first-empty-block", 10.0),
    ("run-client-start", 10.0),
    ("client-ready", 14.0),
    ("run-loadgen-start", 14.0),
    ("loadgen-ready", 16.0),
    ("stage-ready", 16.0),
    ("stage-shutdown", 40.0),
    ("chain-stopping", 40.75),
    ("chain-stopped", 41.0),
    ("stage-finish", 42.0),
)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def perf_rows(stages: int = 1, until: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"timestamp": 0.0, "stage": -1, "type": "perf-start", "timeOrigin": ORIGIN}
    ]
    for stage in range(stages):
        for name, at in MARKS:
            rows.append(
                {
                    "timestamp": at + 50.0 * stage,
                    "stage": stage,
                    "elapsed": at,
                    "type": f"perf-{name}",
                    **({"block": 2} if name.endswith("-block") else {}),
                }
            )
            if name == until:
                return rows
    return rows


def slog(blocks: int = 6) -> bytes:
    made = Slog(now=ORIGIN + 1)
    for height in range(1, blocks + 1):
        made.block(height, deliveries=height % 2)
    return made.content()


def folder_with(tmp_path: Path, perf: list[dict[str, Any]], content: bytes | None) -> Path:
    write_rows(tmp_path / "perf.jsonl", perf)
    if content is not None:
        writer = open_writer(tmp_path / "chain-stage-0.slog.gz")
        writer.write(content)
        writer.close()
    return tmp_path


def faucet(kind: str, time: float, **fields: Any) -> dict[str, Any]:
    return {"stage": 0, "time": time, "type": kind, "task": "faucet", **fields}


def test_a_whole_run_from_raw_records(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(), slog())
    write_rows(
        folder / "events.jsonl",
        [
            faucet("start", 1017.0, seq=0, intended=1017.0),
            faucet("finish", 1027.0, seq=0, success=True),
            faucet("start", 1030.0, seq=1, intended=1029.0),
        ],
    )
    summary = summarize(folder)
    assert summary["run"]["duration_s"] == 42
    [stage] = summary["stages"]
    assert (stage["kind"], stage["finished"]) == ("load", True)
    assert stage["durations"] == {
        "duration_s": 42,
        "chain_ready_s": 7.5,
        "first_block_s": 8.5,
        "first_empty_block_s": 9.5,
        "client_ready_s": 4,
        "loadgen_ready_s": 2,
        "stage_ready_s": 16,
        "held_s": 24,
        "shutdown_s": 1,
        "chain_stop_s": 0.25,
    }
    assert stage["blocks_from"] == "chain-stage-0.slog.gz"
    assert stage["blocks"]["all"]["block_count"] == 6
    assert stage["blocks"]["live"]["start_block_height"] == 2
    assert stage["cycles"]["faucet"]["unfinished"] == 1
    assert stage["cycles"]["faucet"]["duration_s"]["avg"] == 10
    assert stage["vats"][0]["deliveries"] == 3
    assert stage["anomalies"] == {}
    assert summary["totals"]["live_blocks"]["block_count"] == 5


def test_of_a_run_before_the_chain_s_signal_was_recorded_only_the_shutdown_is_known(
    tmp_path: Path,
) -> None:
    old = [row for row in perf_rows() if row["type"] != "perf-chain-stopping"]
    [stage] = summarize(folder_with(tmp_path, old, slog()))["stages"]
    assert stage["durations"]["shutdown_s"] == 1
    assert "chain_stop_s" not in stage["durations"]


def test_of_a_run_before_the_load_was_recorded_the_service_s_events_tell_when_it_was_on(
    tmp_path: Path,
) -> None:
    folder = folder_with(tmp_path, perf_rows(), slog())
    begins = read_run.load(folder).stages[0].block_begins
    changes = [{"faucet": {"interval": 10}}, {"faucet": {"interval": 5}}, {}]
    write_rows(
        folder / "events.jsonl",
        [
            {"stage": 0, "time": at, "type": "config", "config": config}
            for at, config in zip((begins[2], begins[3], begins[4]), changes, strict=True)
        ],
    )
    [stage] = summarize(folder)["stages"]
    assert stage["durations"]["loaded_s"] == pytest.approx(begins[4] - begins[2])
    loaded = stage["blocks"]["loaded"]
    assert (loaded["start_block_height"], loaded["end_block_height"]) == (3, 5)
    (folder / "run.json").write_text('{"plan": {"stages": [{"index": 0, "chain_only": true}]}}')
    assert "loaded_s" not in summarize(folder)["stages"][0]["durations"]


def test_the_loaded_window_goes_by_heights_whatever_the_clock_was_set_to(tmp_path: Path) -> None:
    marks = perf_rows()
    for name, at, block in (("load-start", 20.0, 2), ("load-finish", 30.0, 4)):
        marks.insert(-4, {"timestamp": at, "stage": 0, "type": f"perf-{name}", "block": block})
    folder = folder_with(tmp_path, marks, slog())
    rows = read_run.load(folder).stages[0].blocks
    set_back = [{**row, "beginAt": row["beginAt"] - 3600.0} for row in rows]
    write_rows(folder / "blocks.jsonl", set_back)
    [stage] = summarize(folder)["stages"]
    loaded = stage["blocks"]["loaded"]
    assert (loaded["start_block_height"], loaded["end_block_height"]) == (3, 4)
    assert stage["blocks"]["live"]["end_block_height"] == 4
    assert stage["durations"]["loaded_s"] == 10
    told = perf_finish_stats(read_run.load(folder, slogs=False), success=True, metadata={})[
        "stages"
    ]["0"]
    assert told["blocksSummaries"]["onlyLive"]["endBlockHeight"] == 6


def test_written_rows_go_first_and_regen_goes_back_to_the_slog(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(), slog())
    rows = read_run.load(folder).stages[0].blocks
    changed = [{**row, "computrons": 12345} for row in rows]
    write_rows(folder / "blocks.jsonl", changed)
    assert read_run.load(folder).stages[0].blocks == changed
    assert read_run.load(folder, slogs=False).stages[0].scanned is None
    regenerated = read_run.load(folder, regen=True).stages[0]
    assert regenerated.blocks == rows
    assert regenerated.blocks_from == "chain-stage-0.slog.gz"


def test_a_killed_run_is_completed_from_its_plain_slog(tmp_path: Path) -> None:
    content = slog()
    whole = content[: content.rfind(b"\n", 0, len(content) // 2) + 1]
    folder = folder_with(tmp_path, perf_rows(until="stage-ready"), whole)
    packed = tmp_path / "chain-stage-0.slog.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    write_rows(folder / "blocks.jsonl", read_run.load(folder).stages[0].blocks[:1])
    from_archive = read_run.load(folder).stages[0]
    assert from_archive.blocks_from == packed.name
    assert from_archive.scanned is not None
    assert from_archive.scanned.anomalies["corrupt-archive"] == 1
    (folder / "shared").mkdir()
    (folder / "shared" / "chain-stage-0.slog").write_bytes(content[:-30])
    with (folder / "events.jsonl").open("w", encoding="utf-8") as events:
        events.write('{"stage": 0, "time": 1')
    summary = summarize(folder)
    [stage] = summary["stages"]
    assert stage["finished"] is False
    assert stage["blocks_from"] == "chain-stage-0.slog"
    assert stage["blocks"]["all"]["block_count"] == 6
    assert stage["anomalies"] == {"torn-line": 1, "unfinished-block": 1}
    assert summary["damage"]["events.jsonl"]["torn"] == 1
    assert "duration_s" not in stage["durations"]


def test_a_lost_slog_does_not_take_rows_away(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(), slog())
    rows = read_run.load(folder).stages[0].blocks
    write_rows(folder / "blocks.jsonl", rows)
    (folder / "chain-stage-0.slog.gz").write_bytes(b"")
    stage = read_run.load(folder, regen=True).stages[0]
    assert (stage.blocks, stage.blocks_from) == (rows, "blocks.jsonl")


def test_restart_and_gap_between_stages(tmp_path: Path) -> None:
    summary = summarize(folder_with(tmp_path, perf_rows(stages=2), None))
    first, second = (stage["durations"] for stage in summary["stages"])
    assert "restart_s" not in first
    assert (second["restart_s"], second["gap_s"]) == (7.5, 8.5)


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError):
        summarize(tmp_path)


def test_damaged_perf_rows_are_passed_over() -> None:
    log = read_perf([{}, {"type": 5}, {"type": "perf-x", "timestamp": "no"}])
    assert (log.stages, log.started_at) == ({}, None)


def test_finish_stats_have_the_originals_shape(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(stages=2), slog())
    events = [
        faucet("start", 1017.0, seq=0),
        faucet("finish", 1027.0, seq=0, success=True),
        faucet("start", 1018.0, seq=1),
        faucet("finish", 1018.5, seq=1, success=False),
    ]
    write_rows(folder / "events.jsonl", events)
    stats = perf_finish_stats(
        read_run.load(folder, slogs=False), success=True, metadata={"profile": "local"}
    )
    assert stats["metadata"] == {"profile": "local"}
    assert (stats["startedAt"], stats["endedAt"], stats["duration"]) == (1000, 1092, 92)
    assert stats["chainBootstrapDuration"] == 7
    assert (stats["walletDeployDuration"], stats["loadgenDeployDuration"]) == (4, 2)
    assert (stats["stageCount"], stats["totalBlockCount"]) == (2, 6)
    assert stats["cyclesSummary"]["cycleSuccessRate"] == 50
    assert stats["cyclesSummary"]["avgDuration"] == 10
    stage = stats["stages"]["0"]
    assert stage["stageConfig"]["chainOnly"] is False
    assert list(stage["blocksSummaries"]) == ["all", "last100", "onlyLive", "onlyCatchup"]
    assert stage["blocksSummaries"]["onlyLive"]["liveMode"] is True
    assert stage["cyclesSummaries"]["faucet"]["cycleCount"] == 2
    assert stage["blocks"]["2"]["blockHeight"] == 2
    assert stage["cycles"]["faucet/0"]["duration"] == 10
    assert (stage["firstBlockHeight"], stage["lastBlockHeight"]) == (1, 6)
    assert stats["stages"]["1"]["previousCycleCount"] == 2
    failed = perf_finish_stats(read_run.load(folder, slogs=False), success=False, metadata={})
    assert "duration" not in failed
    assert "endedAt" not in failed


def test_the_end_of_a_run_is_recorded_first_and_then_summed_up(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(stages=2), slog())
    write_rows(folder / "blocks.jsonl", read_run.load(folder).stages[0].blocks)
    recorded: list[dict[str, Any]] = []

    def record(stats: dict[str, Any]) -> None:
        recorded.append(stats)
        with (folder / "perf.jsonl").open("a") as perf:
            end = {"timestamp": 99.5, "stage": -1, "type": "perf-finish", "stats": stats}
            perf.write(json.dumps(end) + "\n")

    before = perf_finish_stats(read_run.load(folder, slogs=False), success=True, metadata={})
    summary = finish_run(folder, success=True, metadata={}, record=record)
    assert recorded == [before]
    assert summary == summarize(folder)
    assert summary["run"]["duration_s"] == 99.5
    assert "vats" in summary["stages"][0]


def test_slogs_are_read_once_and_only_after_the_end_is_recorded(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, perf_rows(), slog())
    write_rows(folder / "blocks.jsonl", read_run.load(folder).stages[0].blocks)
    [file] = read_run.slog_files(folder).values()

    def record(_: dict[str, Any]) -> None:
        file.write_bytes(b"not one line of a slog\n" * 100)

    summary = finish_run(folder, success=True, metadata={}, record=record)
    [stage] = summary["stages"]
    assert stage["anomalies"]["garbage-lines"] == 100
    assert stage["blocks"]["all"]["block_count"] == 6


def test_the_originals_cycles_are_in_its_finish_event(tmp_path: Path) -> None:
    cycles = {
        "faucet/0": {
            "task": "faucet",
            "seq": 0,
            "success": True,
            "startedAt": 1017.0,
            "endedAt": 1037.5,
        },
        "faucet/1": {"task": "faucet", "seq": 1, "startedAt": 1039.0},
    }
    finish = {
        "timestamp": 43.0,
        "stage": -1,
        "type": "perf-finish",
        "stats": {"stages": {"0": {"cycles": cycles}}},
    }
    folder = folder_with(tmp_path, [*perf_rows(), finish], None)
    [stage] = summarize(folder)["stages"]
    assert stage["cycles"]["faucet"]["duration_s"]["avg"] == 20.5
    assert stage["cycles"]["faucet"]["unfinished"] == 1
