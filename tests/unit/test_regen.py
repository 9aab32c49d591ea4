"""`loadgenctl regen`: the computed files of a folder, made again from its raw records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.slog_maker import Slog
from tests.unit.test_stats_run import faucet, folder_with, perf_rows, slog, write_rows

from loadgenctl.cli.regen import regenerate_folders
from loadgenctl.errors import OutputFolderError
from loadgenctl.owner import Owner, host_id
from loadgenctl.records.computed_files import replace_computed
from loadgenctl.records.raw_parts import note_pruned
from loadgenctl.records.status import Status

COMPUTED = ("blocks.jsonl", "cycles.jsonl", "summary.json")


Regen = Callable[..., str]


@pytest.fixture
def regen(capsys: pytest.CaptureFixture[str]) -> Regen:
    """`regen(FOLDER…)`: runs the command, returns what it printed."""

    def run(*folders: Path, as_json: bool = False, force: bool = False) -> str:
        capsys.readouterr()
        regenerate_folders(folders, as_json=as_json, force=force)
        return capsys.readouterr().out

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def run_folder(path: Path, status: Status) -> Path:
    path.mkdir(exist_ok=True)
    folder = folder_with(path, perf_rows(), slog())
    events = [
        faucet("start", 1017.0, seq=0, intended=1016.5),
        faucet("finish", 1027.0, seq=0, success=True, duration=9.999),
        faucet("start", 1030.0, seq=1),
    ]
    write_rows(folder / "events.jsonl", events)
    (folder / "run.json").write_text('{"schema": 1, "run_id": "r"}', encoding="utf-8")
    (folder / "status.json").write_text(json.dumps(status.to_json()), encoding="utf-8")
    return folder


def test_twice_gives_the_same_bytes_and_raw_records_stay(tmp_path: Path, regen: Regen) -> None:
    folder = run_folder(tmp_path / "run", Status(outcome="passed"))
    (folder / "blocks.jsonl").write_text('{"stage":0,"blockHeight":1}\n{"stage":', encoding="utf-8")
    raw = content(folder)
    told = regen(folder)
    assert "blocks.jsonl  6 rows: 5 added, 1 changed, 1 damaged before" in told
    assert "cycles.jsonl  1 rows: 1 added" in told
    assert "summary.json  changed: schema, run, stages" in told
    first = content(folder)
    assert {name: first[name] for name in raw if name not in COMPUTED} == {
        name: raw[name] for name in raw if name not in COMPUTED
    }
    assert set(first) - set(raw) == {"cycles.jsonl", "summary.json"}
    assert rows(folder / "cycles.jsonl")[0]["duration_s"] == 9.999
    summary = json.loads(first["summary.json"])
    assert summary["run"]["folder"] == "run"
    assert "damage" not in summary
    assert summary["stages"][0]["cycles"]["faucet"]["unfinished"] == 1
    times = {name: (folder / name).stat().st_mtime_ns for name in COMPUTED}
    told = regen(folder)
    assert told.count("rows: unchanged") == 2
    assert "summary.json  unchanged" in told
    assert content(folder) == first
    assert {name: (folder / name).stat().st_mtime_ns for name in COMPUTED} == times


def test_it_does_not_matter_what_the_computed_files_held(tmp_path: Path, regen: Regen) -> None:
    folder = run_folder(tmp_path / "run", Status(outcome="passed"))
    regen(folder)
    right = content(folder)
    twice = right["blocks.jsonl"].replace(b'"computrons":100', b'"computrons":5') * 2
    (folder / "blocks.jsonl").write_bytes(twice)
    (folder / "cycles.jsonl").unlink()
    (folder / "summary.json").write_text("[", encoding="utf-8")
    told = json.loads(regen(folder, as_json=True))["runs"][0]["files"]
    assert told["blocks.jsonl"] == {
        "rows": 6,
        "added": 0,
        "changed": 3,
        "gone": 6,
        "damaged": 0,
        "written": True,
    }
    assert told["cycles.jsonl"]["added"] == 1
    assert told["summary.json"]["written"] is True
    assert content(folder) == right


def test_a_killed_run_has_what_its_slog_and_events_still_tell(tmp_path: Path, regen: Regen) -> None:
    gone = Owner(pid=2**22 + 1, start="0-1", host=host_id())
    folder = run_folder(tmp_path / "run", Status(outcome="running", owner=gone))
    write_rows(folder / "perf.jsonl", perf_rows(until="stage-ready"))
    (folder / "shared").mkdir()
    plain = Slog(now=1001.0)
    for height in range(1, 9):
        plain.block(height, deliveries=1)
    (folder / "shared" / "chain-stage-0.slog").write_bytes(plain.content()[:-20])
    left = [
        faucet("start", 1017.0, seq=0, intended=1016.5),
        faucet("finish", 1027.0, seq=0, success=True, duration=9.999),
        faucet("start", 1030.0, seq=1),
        faucet("finish", 1031.0, seq=1, success=False),
    ]
    write_rows(folder / "shared" / "events-stage-0.jsonl", left)
    regen(folder)
    made = content(folder)
    blocks = rows(folder / "blocks.jsonl")
    assert [row["blockHeight"] for row in blocks] == list(range(1, 9))
    assert "endFinishAt" not in blocks[-1]
    assert [row["success"] for row in rows(folder / "cycles.jsonl")] == [True, False]
    summary = json.loads(made["summary.json"])
    assert summary["run"]["outcome"] == "killed"
    assert summary["stages"][0]["finished"] is False
    regen(folder)
    assert content(folder) == made


def test_a_slog_that_is_cut_off_takes_no_rows_away(tmp_path: Path, regen: Regen) -> None:
    folder = run_folder(tmp_path / "run", Status(outcome="failed"))
    regen(folder)
    written = rows(folder / "blocks.jsonl")
    packed = folder / "chain-stage-0.slog.gz"
    packed.write_bytes(packed.read_bytes()[:-60])
    regen(folder)
    first = content(folder)
    assert rows(folder / "blocks.jsonl") == written
    assert json.loads(first["summary.json"])["stages"][0]["anomalies"]["corrupt-archive"] == 1
    regen(folder)
    assert content(folder) == first


def test_the_originals_folder(tmp_path: Path, regen: Regen) -> None:
    cycle = {"task": "faucet", "seq": 0, "success": True, "startedAt": 1017.0, "endedAt": 1037.5}
    cycles = {"faucet/0": cycle, "faucet/1": {"task": "faucet", "seq": 1, "startedAt": 1039.0}}
    usage = {"timestamp": 20.0, "stage": 0, "type": "perf-chain-process-usage"}
    perf = [
        *perf_rows(),
        {**usage, "processType": "kernel", "user": 1.5, "kernel": 0.5, "vmRss": 2048},
        {**usage, "processType": "vat", "vatID": "v1", "name": "bank", "vmRss": 100},
        {**usage, "processType": "vat", "vatID": "v2", "vmRss": 50},
        {
            "timestamp": 41.0,
            "stage": 0,
            "type": "perf-chain-storage-usage",
            "chain": {"data/data.mdb": 12, "log": 8},
        },
        {
            "timestamp": 43.0,
            "stage": -1,
            "type": "perf-finish",
            "stats": {"stages": {"0": {"cycles": cycles, "stageConfig": {"chainOnly": False}}}},
        },
    ]
    folder = folder_with(tmp_path, perf, slog())
    regen(folder)
    made = content(folder)
    assert len(rows(folder / "blocks.jsonl")) == 6
    assert [row["duration_s"] for row in rows(folder / "cycles.jsonl")] == [20.5]
    summary = json.loads(made["summary.json"])
    assert summary["stages"][0]["cycles"]["faucet"]["unfinished"] == 1
    found = {row["subject"]: row["values"] for row in summary["resources"]}
    assert found["kernel"]["memory_rss_kib"]["max"] == 2048
    assert found["vats"]["memory_rss_kib"]["last"] == 150
    assert found["."]["disk_kib"]["last"] == 20
    regen(folder)
    assert content(folder) == made


def test_the_originals_folder_without_its_slogs(tmp_path: Path, regen: Regen) -> None:
    whole = folder_with(tmp_path, perf_rows(), slog())
    regen(whole)
    blocks = rows(whole / "blocks.jsonl")
    bare = tmp_path / "bare"
    bare.mkdir()
    stats = {"stages": {"0": {"blocks": {str(row["blockHeight"]): row for row in blocks}}}}
    finish = {"timestamp": 43.0, "stage": -1, "type": "perf-finish", "stats": stats}
    write_rows(bare / "perf.jsonl", [*perf_rows(), finish])
    regen(bare)
    assert rows(bare / "blocks.jsonl") == blocks


def test_a_run_that_is_going_on_is_refused_before_anything_is_written(
    tmp_path: Path, regen: Regen
) -> None:
    ended = run_folder(tmp_path / "ended", Status(outcome="passed"))
    going_on = Status(outcome="running", owner=Owner.current())
    running = run_folder(tmp_path / "running", going_on)
    before = content(tmp_path)
    with pytest.raises(OutputFolderError, match="a run that is still running"):
        regen(ended, running, force=True)
    assert content(tmp_path) == before


def test_a_run_of_another_machine_is_taken_at_its_word(tmp_path: Path, regen: Regen) -> None:
    elsewhere = Owner(pid=1, start="0-1", host="another")
    folder = run_folder(tmp_path / "run", Status(outcome="running", owner=elsewhere))
    with pytest.raises(OutputFolderError, match="not a run of this machine"):
        regen(folder)
    assert "6 added" in regen(folder, force=True)


def test_only_computed_files_are_ever_replaced(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"perf\.jsonl"):
        replace_computed(tmp_path, "perf.jsonl", b"")
    (tmp_path / "summary.json").mkdir()
    with pytest.raises(OutputFolderError, match="cannot be written"):
        replace_computed(tmp_path, "summary.json", b"{}")
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_a_folder_without_its_raw_data_keeps_its_summary(tmp_path: Path, regen: Regen) -> None:
    folder = run_folder(tmp_path / "run", Status(outcome="passed"))
    regen(folder)
    note_pruned(folder, now=1.0, freed=2, removed=["samples.jsonl"])
    before = content(folder)
    with pytest.raises(OutputFolderError, match="was removed to free space"):
        regen(folder, force=True)
    assert content(folder) == before
