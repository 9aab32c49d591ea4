"""How a stage's load ends: what is waited for, when it had stalled, and what is measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.shell import Shell
from tests.unit.test_plan_planner import plan as planned
from tests.worlds import World, names

from loadgenctl.errors import Interrupted, LoadFailed, UsageError
from loadgenctl.stats.summary import measured_blocks, summarize

LOADED = "--stages 3 --stage.duration 2 --stage.loadgen.faucet.interval 30"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def when_loaded(world: World, seconds: float, **changes: Any) -> None:
    """Change how the roles behave so many seconds after the last load was turned on."""

    def change() -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    put = world.put

    def watched(config: dict[str, Any]) -> None:
        put(config)
        if config and config["faucet"].get("wait", 0) == 0:
            world.clock.after(seconds, change)

    world.put = watched  # type: ignore[method-assign]


def elapsed(world: World, stage: int = 1) -> dict[str, float]:
    rows = world.rows("perf.jsonl")
    return {row["type"]: row["elapsed"] for row in rows if row["stage"] == stage}


def test_a_load_that_had_stalled_at_its_end_fails_the_run(world: World) -> None:
    when_loaded(world, 80, cycles_finish=False)
    ending = world.run(LOADED)
    assert isinstance(ending.error, LoadFailed)
    assert ending.exit_code == 4
    status = world.status()
    assert (status["outcome"], status["step"], status["stage"]) == ("stalled", "stalled", 1)
    assert "1 cycle did not finish within 120 s of the load's end" in status["reason"]
    assert any("has been in flight for" in line for line in status["last_lines"])
    # It is reported before the roles are stopped.
    assert any("the load is stalled" in text for text in world.progress.warnings)
    assert len(world.engine.made("chain")) == 2


def test_the_unfinished_cycle_is_counted_for_its_task_and_in_all(world: World) -> None:
    when_loaded(world, 80, cycles_finish=False)
    summary = summarize(world.run(LOADED).folder)
    for cycles in (summary["stages"][1]["cycles"], summary["totals"]["cycles"]):
        assert {name: found["unfinished"] for name, found in cycles.items()} == {
            "all": 1,
            "faucet": 1,
        }


def test_a_cycle_may_take_twice_as_long_as_the_longest_before(world: World) -> None:
    """With cycles of more than a minute the shortest time to wind down would cut the last one."""
    world.cycle_time = 80.0
    when_loaded(world, 85, cycle_time=155.0)
    ending = world.run("--stages 3 --stage.duration 3 --stage.loadgen.faucet.interval 155")
    assert ending.error is None
    spans = elapsed(world)
    assert 120 < spans["perf-stage-shutdown"] - spans["perf-load-finish"] < 160


def test_a_longer_time_for_cycles_also_counts_at_the_load_s_end(world: World) -> None:
    when_loaded(world, 80, cycle_time=200.0)
    assert world.run(LOADED + " --timeout.cycle 300").error is None


def test_a_short_time_for_cycles_shortens_the_wait_for_lost_ones(world: World) -> None:
    when_loaded(world, 80, cycles_finish=False)
    ending = world.run(LOADED + " --timeout.cycle 40")
    assert "did not finish within 40 s of the load's end" in str(ending.error)


def test_cycles_that_still_finish_one_by_one_are_no_stall(world: World) -> None:
    """Each of them gives the others time: what was queued up at the load's end takes longer."""
    world.cycle_time = 1.0
    begun = iter(range(100))
    cycle = world._cycle

    def slower(task: str) -> None:
        world.cycle_time = 1.0 if (number := next(begun)) < 6 else 100.0 * (number - 5)
        cycle(task)

    world._cycle = slower  # type: ignore[method-assign]
    ending = world.run("--stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5")
    assert ending.error is None
    assert summarize(ending.folder)["totals"]["cycles"]["all"]["unfinished"] == 0
    spans = elapsed(world)
    assert spans["perf-stage-shutdown"] - spans["perf-load-finish"] > 240


def test_an_interrupted_load_is_interrupted_and_not_stalled(world: World) -> None:
    when_loaded(world, 60, cycles_finish=False)
    world.clock.after(110.0, lambda: world.interrupts.request("SIGINT"))
    ending = world.run(LOADED)
    assert isinstance(ending.error, Interrupted)
    assert world.status()["outcome"] == "interrupted"
    warned = "stage 1: 1 cycle did not finish within 20 s of the load's end"
    assert warned in world.progress.warnings


def test_a_load_that_a_person_turned_off_has_not_stalled(world: World) -> None:
    put = world.put
    when_loaded(world, 40, cycles_finish=True)
    world.clock.after(70.0, lambda: put({}))
    ending = world.run(LOADED.replace("duration 2", "duration 30") + " --timeout.cycle 15")
    assert ending.error is None


@pytest.mark.parametrize("wanted", [1, 3])
def test_exactly_as_many_cycles_as_wanted_are_enough(world: World, wanted: int) -> None:
    ending = world.run(LOADED + f" --stage.loadgen.cycles {wanted}")
    assert ending.error is None
    assert len(world.rows("cycles.jsonl")) == wanted


def test_fewer_cycles_than_wanted_fail_the_run(world: World) -> None:
    ending = world.run(LOADED + " --stage.loadgen.cycles 30")
    assert isinstance(ending.error, LoadFailed)
    assert "of 30 cycles" in ending.error.message


def test_what_was_waited_for_after_the_load_is_not_measured(world: World) -> None:
    when_loaded(world, 80, cycles_finish=False)
    summary = summarize(world.run(LOADED).folder)
    stage = summary["stages"][1]
    seconds = stage["durations"]["loaded_s"]
    assert 95 <= seconds <= 120
    assert stage["blocks"]["loaded"]["block_count"] == pytest.approx(seconds, abs=2)
    assert measured_blocks(stage) == stage["blocks"]["loaded"]
    last = stage["blocks"]["loaded"]["end_block_height"]
    assert stage["blocks"]["live"]["end_block_height"] == last
    assert stage["blocks"]["all"]["end_block_height"] >= last + 120
    assert summary["totals"]["loaded_blocks"] == stage["blocks"]["loaded"]
    assert summary["totals"]["live_blocks"]["end_block_height"] <= last


def test_a_stage_without_load_has_no_loaded_window(world: World) -> None:
    summary = summarize(world.run(LOADED + " --stage.0.duration 1").folder)
    for number in (0, 2):
        stage = summary["stages"][number]
        assert "loaded_s" not in stage["durations"]
        assert "loaded" not in stage["blocks"]
        assert measured_blocks(stage) == stage["blocks"]["live"]


def test_a_stage_that_fails_under_load_ends_its_window_there(world: World) -> None:
    when_loaded(world, 80, last_block=0)
    ending = world.run(LOADED.replace("duration 2", "duration 30") + " --timeout.block 60")
    assert "the chain made no block for" in str(ending.error)
    summary = summarize(ending.folder)
    assert summary["stages"][1]["durations"]["loaded_s"] == pytest.approx(140, abs=3)
    assert not any("while closing" in text for text in world.progress.warnings)
    assert names(world.rows("perf.jsonl")).count("perf-load-finish") == 1


def test_stages_get_equal_load_however_long_they_take_to_start(world: World) -> None:
    line = "--stages 4 --stage.load-duration 1.5 --stage.2.load-duration 0.5"
    ending = world.run(line + " --stage.loadgen.faucet.interval 10")
    assert ending.error is None
    stages = summarize(ending.folder)["stages"]
    assert stages[1]["durations"]["loaded_s"] == pytest.approx(90, abs=1.5)
    assert stages[2]["durations"]["loaded_s"] == pytest.approx(30, abs=1.5)


def test_the_time_left_of_a_load_is_told(world: World) -> None:
    world.run("--stages 3 --stage.load-duration 1 --stage.loadgen.faucet.interval 10")
    left = [live.remaining for live in world.progress.lives if live.doing == "under load"]
    assert left[0] == pytest.approx(60, abs=2)


def test_a_stage_s_own_duration_goes_before_the_shared_one_of_its_load() -> None:
    stages = planned("--stages 4 --stage.load-duration 10 --stage.2.duration 30").stages
    assert [stage.load_duration_s for stage in stages] == [None, 600, None, None]
    assert [stage.duration_s for stage in stages] == [0, 600, 1800, 0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--stage.duration 5 --stage.load-duration 5", "both say when a stage ends"),
        ("--stage.1.duration 5 --stage.1.load-duration 5", "both say when a stage ends"),
        ("--stage.0.load-duration 5", "stage 0 runs the chain alone"),
        ("--chain-only --stage.1.load-duration 5", "stage 1 runs the chain alone"),
        ("--stage.load-duration 0", "load-duration"),
        ("--stage.1.load-duration -1", "load-duration"),
    ],
)
def test_a_load_s_duration_that_makes_no_sense_is_refused(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        planned(f"--stages 3 {line}")


def test_a_dry_run_shows_what_a_stage_s_minutes_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "run --dry-run --sdk sim --stages 3 --stage.load-duration 5"
    assert "5 under load" in Shell(tmp_path, capsys).run(*line.split()).words
