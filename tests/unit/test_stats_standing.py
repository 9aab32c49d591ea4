"""How a run stands, from a results folder that grows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.fake_clock import EPOCH
from tests.unit.run_maker import MadeRun, loaded_run
from tests.worlds import World

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.owner import Owner
from loadgenctl.stats import live_state as standings
from loadgenctl.stats.live_state import LiveRun

GONE = Owner(1, "another-boot-1", Owner.current().host)


def stand(run: MadeRun | LiveRun, at: float = 100.0) -> dict[str, Any]:
    """How it stands `at` seconds after its start, as anyone reads it who has only the JSON."""
    live = LiveRun(run.folder) if isinstance(run, MadeRun) else run
    document: dict[str, Any] = json.loads(json.dumps(live.poll(EPOCH + at)))
    return document


def test_a_run_under_load(tmp_path: Path) -> None:
    found = stand(loaded_run(tmp_path / "run-7"))
    run, stage = found["run"], found["stage"]
    assert (run["folder"], run["outcome"], run["owner_alive"]) == ("run-7", "running", True)
    assert (run["sdk"], run["revision"], run["simulated"]) == ("agoric", "main", False)
    assert run["elapsed_s"] == 100
    assert stage == {
        "stage": 1,
        "stage_count": 3,
        "kind": "load",
        "mark": "perf-stage-ready",
        "elapsed_s": 90,
        "planned_s": 600,
        "load_elapsed_s": None,
        "load_planned_s": None,
    }
    assert found["damage"] == {}


def test_blocks_and_their_averages(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.block(100, 56, computrons=None, lag=2.25)
    blocks = stand(run, 104.0)["blocks"]
    assert [row["block_height"] for row in blocks["last"]] == list(range(40, 57))
    assert blocks["last"][-1]["computrons"] is None
    assert blocks["age_s"] == 4
    # What a block does not tell is left out of the average, not taken for 0.
    assert blocks["average"]["computrons"] == 123456
    assert blocks["average"]["lag_s"] == pytest.approx((16 * 1.25 + 2.25) / 17)


def test_only_the_last_hundred_blocks_of_the_newest_stage(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.status(stage=1)
    for height in range(150):
        run.block(height, height, stage=0)
    live = LiveRun(tmp_path)
    rows = stand(live)["blocks"]["last"]
    assert [rows[0]["block_height"], rows[-1]["block_height"]] == [50, 149]
    run.block(160, 150, stage=1)
    blocks = stand(live)["blocks"]
    assert (blocks["stage"], len(blocks["last"])) == (1, 1)


def test_cycles_by_task(tmp_path: Path) -> None:
    cycles = stand(loaded_run(tmp_path))["cycles"]
    assert (cycles["stage"], cycles["rate_window_s"]) == (1, 80)
    faucet, vault = cycles["tasks"]["faucet"], cycles["tasks"]["vault"]
    assert [faucet[name] for name in ("succeeded", "failed", "active", "missed")] == [6, 0, 0, 0]
    # 4 to 9 s.
    assert (faucet["duration_avg_s"], faucet["duration_p95_s"]) == (6.5, 8.75)
    assert faucet["succeeded_per_minute"] == 4.5
    assert [vault[name] for name in ("succeeded", "failed", "active", "missed")] == [0, 1, 1, 2]
    assert (vault["duration_avg_s"], vault["succeeded_per_minute"]) == (None, 0)


def test_the_service_s_own_counters_go_first(tmp_path: Path) -> None:
    """Where only the end of the events is read, starts and ends before it are counted by them."""
    run = loaded_run(tmp_path)
    on = {"active": 2, "succeeded": 500, "failed": 3, "missed": 9, "state": "on"}
    off = {"active": 0, "succeeded": 0, "failed": 0, "missed": 0, "state": "off"}
    run.event(95, "status", status={"faucet": on, "amm": off, "vault": 7})
    run.event(96, "finish", task="faucet", seq=3, success=True)
    tasks = stand(run)["cycles"]["tasks"]
    assert tasks["faucet"]["state"] == "on"
    assert [tasks["faucet"][name] for name in ("succeeded", "active", "missed")] == [501, 1, 9]
    assert set(tasks) == {"faucet", "vault"}


def test_the_rate_is_that_of_the_last_minutes_and_stays_when_the_load_is_over(
    tmp_path: Path,
) -> None:
    run = loaded_run(tmp_path)
    for place in range(10):
        run.cycle(400 + 10 * place, 405 + 10 * place)
    faucet = stand(run, 500)["cycles"]["tasks"]["faucet"]
    assert faucet["succeeded_per_minute"] == 2
    run.status(stage=2)
    after = stand(run, 900)["cycles"]
    assert (after["stage"], after["tasks"]["faucet"]["succeeded_per_minute"]) == (1, 2)


def test_no_rate_from_a_moment_s_luck(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.status(stage=1)
    run.cycle(50, 52)
    assert stand(run, 53)["cycles"]["tasks"]["faucet"]["succeeded_per_minute"] is None


def test_processes_and_containers_between_their_last_two_readings(tmp_path: Path) -> None:
    found = stand(loaded_run(tmp_path))
    told = [(row["subject"], row["name"], row["cpu_percentage"]) for row in found["processes"]]
    assert told == [
        ("kernel", None, 20),
        ("vats", None, 60),
        ("v10", "zoe", 10),
        ("v1", "bank", 5),
    ]
    assert found["processes"][1]["workers"] == 2
    assert {row["memory_rss_kib"] for row in found["processes"]} == {32768}
    [chain] = found["containers"]
    assert (chain["role"], chain["cpu_percentage"], chain["memory_bytes"]) == (
        "chain",
        80,
        64 << 20,
    )
    assert (chain["network_rx_bytes"], chain["age_s"]) == (None, 10)
    assert found["storage"] == {"age_s": 10, "disk_kib": 90 * 1024}


def test_a_restart_makes_no_negative_cpu_and_leaves_what_is_gone(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.container(92, "solo", 1.0)
    run.process(120, "kernel", 0.5, stage=2)
    run.process(120, "v10", 0.25, stage=2)
    run.container(121, "chain", 70.0, stage=2)
    live = LiveRun(tmp_path)
    found = stand(live, 121)
    kernel, _, zoe = found["processes"]
    assert (kernel["cpu_percentage"], zoe["subject"], zoe["cpu_percentage"]) == (None, "v10", None)
    assert [(row["role"], row["cpu_percentage"]) for row in found["containers"]] == [
        ("chain", None)
    ]
    # Within a stage: a process of the same name that began again, then it continues.
    run.process(130, "kernel", 0.25, stage=2)
    assert stand(live)["processes"][0]["cpu_percentage"] is None
    run.process(140, "kernel", 0.75, stage=2)
    assert stand(live)["processes"][0]["cpu_percentage"] == 5


def test_a_failed_reading_is_missing_and_says_why(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.container(95, "chain", None, memory_bytes=None, reason="no answer within 5 s")
    run.process(95, "kernel", None, memory_rss_kib=None, reason="the agent is silent")
    found = stand(run)
    [chain] = found["containers"]
    assert (chain["cpu_percentage"], chain["memory_bytes"]) == (None, None)
    assert chain["reason"] == "no answer within 5 s"
    assert found["processes"][0]["memory_rss_kib"] is None


def test_what_measuring_costs_is_no_vat(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    before = [row["subject"] for row in stand(run)["processes"]]
    for subject in ("agent", "controller"):
        run.process(99, subject, 0.5)
    assert [row["subject"] for row in stand(run)["processes"]] == before


def test_from_an_empty_folder_to_the_end(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    (tmp_path / ".status.json.tmp").touch()
    live = LiveRun(tmp_path)
    empty = stand(live)
    assert (empty["run"]["outcome"], empty["stage"], empty["blocks"]) == (None, None, None)
    assert (empty["cycles"], empty["processes"], empty["storage"]) == (None, [], None)
    run.status(step="make the image")
    built = stand(live, 7.0)
    assert (built["run"]["step"], built["run"]["sdk"], built["stage"]) == (
        "make the image",
        None,
        None,
    )
    run.plan()
    assert stand(live)["stage"]["stage_count"] == 3
    run.status(stage=0, step="stage 0")
    run.perf(9, "stage-start", stage=0, begun=9)
    stage = stand(live, 10)["stage"]
    assert (stage["kind"], stage["mark"], stage["elapsed_s"]) == (
        "chain-only",
        "perf-stage-start",
        1,
    )
    run.block(30, 1, stage=0)
    run.status(outcome="passed", finished_at=EPOCH + 40, exit_code=0)
    end = stand(live, 4000)
    assert (end["run"]["outcome"], end["run"]["elapsed_s"]) == ("passed", 40)
    assert end["blocks"]["age_s"] == 10


def test_a_killed_run_stands_as_when_it_was_last_heard_of(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.status(stage=1, owner=GONE)
    found = stand(run, 5000)
    assert (found["run"]["outcome"], found["run"]["owner_alive"]) == ("killed", False)
    assert found["run"]["reason"] == "its process is gone"
    assert found["run"]["elapsed_s"] == 95
    assert found["cycles"]["rate_window_s"] == 71


def test_a_run_of_another_machine_is_taken_at_its_word(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.status(stage=1, owner=Owner(1, "boot-1", "elsewhere"))
    told = stand(run)["run"]
    assert (told["outcome"], told["owner_alive"]) == ("running", None)


def test_torn_lines_wait_for_their_end_and_garbage_is_counted(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    whole = b'{"stage":1,"blockHeight":56,"endFinishAt":1}\n'
    run.raw("blocks.jsonl", b"\xff garbage\n[]\n" + whole[:20])
    live = LiveRun(tmp_path)
    found = stand(live)
    assert found["blocks"]["last"][-1]["block_height"] == 55
    assert found["damage"] == {"blocks.jsonl": 2}
    run.raw("blocks.jsonl", whole[20:])
    assert stand(live)["blocks"]["last"][-1]["block_height"] == 56


ODD: list[Any] = [None, True, -1, 1e308, "x\x1b[2J", [], {}]


@pytest.mark.parametrize("odd", ODD)
def test_rows_of_another_shape_break_nothing(tmp_path: Path, odd: Any) -> None:
    run = loaded_run(tmp_path)
    names = (
        *("stage", "type", "timestamp", "elapsed", "time", "task", "status", "kind", "subject"),
        *("blockHeight", "start", "finish", "success", "cpu_user_s", "cpu_system_s", "lag"),
    )
    for file in standings.ENDS:
        run.write(
            file, *({"stage": 1, "time": EPOCH, "kind": "process", name: odd} for name in names)
        )
    run.event(99, "status", status={"faucet": {"active": odd, "state": odd}})
    run.write("samples.jsonl", {"time": EPOCH, "kind": "storage", "subject": ".", "disk_kib": odd})
    assert stand(run)["run"]["elapsed_s"] == 100
    for name in ("outcome", "owner", "last_lines", "started_at", "stage", "step"):
        status = {"outcome": "running", "started_at": EPOCH, name: odd}
        (tmp_path / "status.json").write_text(json.dumps(status))
        assert set(stand(run)) == set(stand(loaded_run(tmp_path)))


def test_of_long_files_only_the_end_is_read(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    filler = json.dumps({"stage": 1, "task": "x", "time": EPOCH, "kind": "none", "type": "y" * 900})
    for file, last in standings.ENDS.items():
        path = tmp_path / file
        rows = path.read_bytes()
        path.write_bytes(b'{"lost":1}\n' + filler.encode() * (last // 900 + 1) + b"\n" + rows)
    found = stand(run)
    assert len(found["blocks"]["last"]) == 16
    assert found["cycles"]["tasks"]["faucet"]["succeeded"] == 6
    assert found["storage"]["disk_kib"] == 90 * 1024
    # The line that the end begins in is not whole, and is not taken for damage.
    assert found["damage"] == {}


def test_another_run_in_the_folder_s_place(tmp_path: Path) -> None:
    live = LiveRun(loaded_run(tmp_path).folder)
    stand(live)
    for left in tmp_path.iterdir():
        left.unlink()
    new = MadeRun(tmp_path)
    new.plan(simulated=True)
    new.status(started_at=EPOCH + 200, step="build the SDK")
    found = stand(live, 205)
    assert (found["run"]["elapsed_s"], found["run"]["simulated"]) == (5, True)
    assert (found["blocks"], found["processes"]) == (None, [])


def test_a_folder_that_goes_away(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run")
    live = LiveRun(run.folder)
    stand(live)
    shutil.rmtree(run.folder)
    with pytest.raises(OutputFolderError, match="was removed"):
        stand(live)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match="no results folder"):
        LiveRun(tmp_path / "none")
    (tmp_path / "letter.txt").touch()
    with pytest.raises(OutputFolderError, match="holds no run"):
        LiveRun(tmp_path)
    (tmp_path / "perf.jsonl").touch()
    with pytest.raises(UsageError, match="original load generator"):
        LiveRun(tmp_path)


def test_a_format_that_is_too_new_is_refused_as_soon_as_it_is_told(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.status(step="make the image")
    live = LiveRun(tmp_path)
    stand(live)
    (tmp_path / "run.json").write_text('{"schema": 99}')
    with pytest.raises(OutputFolderError, match="format 99"):
        stand(live)


def test_a_whole_run_looked_at_from_beginning_to_end(tmp_path: Path) -> None:
    """The run side writes, this reads: nothing between them but the folder."""
    world = World(tmp_path)
    seen: list[dict[str, Any]] = []
    live: list[LiveRun] = []

    def look() -> None:
        live[:] = live or [LiveRun(tmp_path / "out")]
        seen.append(live[0].poll(world.clock.wall()))
        if seen[-1]["run"]["outcome"] == "running":
            world.clock.after(1.0, look)

    world.clock.after(0.1, look)
    line = "--stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5"
    assert world.run(line).error is None
    seen.append(live[0].poll(world.clock.wall()))
    stages = {found["stage"]["stage"] for found in seen if found["stage"]}
    assert stages >= {0, 1, 2}
    loaded = [found for found in seen if found["stage"] and found["stage"]["stage"] == 1]
    marks = {found["stage"]["mark"] for found in loaded}
    assert {"perf-stage-ready", "perf-stage-shutdown"} <= marks
    assert loaded[-1]["blocks"]["average"]["block_duration_s"] == pytest.approx(1.0, abs=0.1)
    written = [row for row in world.rows("cycles.jsonl") if row["success"]]
    faucet = seen[-1]["cycles"]["tasks"]["faucet"]
    assert (faucet["succeeded"], faucet["active"]) == (len(written), 0)
    assert faucet["duration_avg_s"] == pytest.approx(2.0, abs=0.1)
    assert {row["role"] for row in loaded[-1]["containers"]} == {"chain", "solo", "loadgen"}
    assert seen[-1]["run"]["outcome"] == "passed"
    assert all(found["damage"] == {} for found in seen)
