from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.errors import OutputFolderError
from loadgenctl.records import schema
from loadgenctl.records.output_guard import folder_error
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.store import RunStore


class Hands:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_perf_rows_have_the_shape_and_order_of_the_original(tmp_path: Path) -> None:
    clock = Hands()
    run = RunStore.create(tmp_path / "run", clock)
    clock.sleep(1.25)
    run.perf_start()
    run.begin_stage(0)
    clock.sleep(2)
    run.perf("stage-first-block", block=1)
    run.perf("perf-chain-ready")
    run.end_stage()
    run.perf("finish", stats=None)
    origin = '"cpuTimeOffset":0,"timeOrigin":1700001000.0'
    text = (tmp_path / "run" / schema.PERF).read_text().splitlines()
    assert text == [
        '{"timestamp":1.25,"stage":-1,"elapsed":1.25,"type":"perf-start",' + origin + "}",
        '{"timestamp":3.25,"stage":0,"elapsed":2.0,"type":"perf-stage-first-block","block":1}',
        '{"timestamp":3.25,"stage":0,"elapsed":2.0,"type":"perf-chain-ready"}',
        '{"timestamp":3.25,"stage":-1,"elapsed":3.25,"type":"perf-finish","stats":null}',
    ]


def test_rows_are_readable_at_once_by_another_process(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path, Hands())
    run.append(schema.BLOCKS, {"block": 1, "lag_s": float("nan")})
    assert lines(tmp_path / schema.BLOCKS) == [{"block": 1, "lag_s": None}]
    run.append_many(schema.BLOCKS, [{"block": 2}, {"block": 2**70}])
    assert [row["block"] for row in lines(tmp_path / schema.BLOCKS)] == [1, 2, 2**70]


def test_run_json_is_written_once(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path, Hands())
    run.write_run({"revision": "abc", "plan": {"output": tmp_path, "ports": {26657: 1}}})
    document = json.loads((tmp_path / schema.RUN).read_text())
    assert document["schema"] == schema.SCHEMA_VERSION
    assert document["started_at"] == 1_700_001_000.0
    assert document["plan"] == {"output": str(tmp_path), "ports": {"26657": 1}}
    with pytest.raises(OutputFolderError):
        run.write_run({})
    assert RunFolder(tmp_path).outcome == "running"


def test_status_says_where_a_run_failed_after_it_left_the_stage(tmp_path: Path) -> None:
    clock = Hands()
    run = RunStore.create(tmp_path, clock)
    run.begin_stage(2)
    run.set_status(step="waiting for the chain")
    run.end_stage()
    clock.sleep(5)
    run.set_status(
        outcome="failed",
        role="chain",
        reason="the chain died",
        exit_code=4,
        role_exit_code=137,
        oom_killed=True,
        last_lines=("panic",),
    )
    document = json.loads((tmp_path / schema.STATUS).read_text())
    assert document["stage"] == 2
    assert document["step"] == "waiting for the chain"
    assert document["finished_at"] == document["started_at"] + 5
    assert document["oom_killed"] is True
    assert document["last_lines"] == ["panic"]
    assert document["owner"]["pid"] == os.getpid()
    assert [entry.name for entry in tmp_path.iterdir()] == [schema.STATUS]


def test_a_folder_that_holds_a_run_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / schema.PERF).write_text("{}\n")
    with pytest.raises(OutputFolderError) as caught:
        RunStore.create(tmp_path, Hands())
    assert caught.value.hint
    assert (tmp_path / schema.PERF).read_text() == "{}\n"


def test_a_folder_of_a_run_is_refused_whether_the_run_goes_on_or_has_ended(tmp_path: Path) -> None:
    first = RunStore.create(tmp_path, Hands())
    first.write_run({})
    with pytest.raises(OutputFolderError, match="still running"):
        RunStore.create(tmp_path, Hands())
    first.set_status(outcome="passed", exit_code=0)
    with pytest.raises(OutputFolderError, match="already holds a run"):
        RunStore.create(tmp_path, Hands())
    assert {entry.name for entry in tmp_path.iterdir()} == {schema.RUN, schema.STATUS}


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError) as caught:
        RunStore.create(tmp_path / "file" / "run", Hands())
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_once_and_then_counted(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path, Hands())
    (tmp_path / schema.BLOCKS).symlink_to("/dev/full")
    with pytest.raises(OutputFolderError, match="no space") as caught:
        run.append(schema.BLOCKS, {"block": 1})
    assert caught.value.hint
    run.append(schema.BLOCKS, {"block": 2})
    run.perf("finish")
    run.append_many(schema.CYCLES, [{}, {}])
    assert run.broken
    assert run.dropped == 5
    # The outcome is still worth a try.
    run.set_status(outcome="failed")
    assert RunFolder(tmp_path).outcome == "failed"


def test_a_removed_folder_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = RunStore.create(folder, Hands())
    run.append(schema.BLOCKS, {"block": 1})
    shutil.rmtree(folder)
    with pytest.raises(OutputFolderError, match="removed"):
        run.append(schema.BLOCKS, {"block": 2})
    run.append(schema.BLOCKS, {"block": 3})
    run.set_status(outcome="failed")
    run.path("logs", "x")
    assert not folder.exists()


def test_a_line_that_did_not_fit_is_taken_back(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path, Hands())
    run.append(schema.BLOCKS, {"block": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(OutputFolderError):
            run.append(schema.BLOCKS, {"block": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / schema.BLOCKS).read_text() == '{"block":1}\n'


def test_closing_is_final_and_idempotent(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, Hands()) as run:
        run.append(schema.BLOCKS, {"block": 1})
    run.close()
    run.append(schema.BLOCKS, {"block": 2})
    assert len(lines(tmp_path / schema.BLOCKS)) == 1
    assert run.dropped == 1


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "no space"), (errno.EROFS, "cannot be written"), (errno.EIO, "cannot be used")],
)
def test_every_failure_has_a_hint(number: int, says: str) -> None:
    error = folder_error(Path("/x"), OSError(number, os.strerror(number)))
    assert says in error.message
    assert error.hint


def test_a_folder_that_cannot_be_made_is_told_as_that() -> None:
    with pytest.raises(OutputFolderError, match="/proc/loadgenctl cannot be used"):
        RunStore.create(Path("/proc/loadgenctl"), Hands())
