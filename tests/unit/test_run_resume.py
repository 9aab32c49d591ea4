"""Going on with runs that did not come to their end, on fakes: what is kept, redone and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FakeEngine, Script
from tests.unit.shell import Shell
from tests.worlds import PromptRunner, World, names

from loadgenctl.cli.report_files import ReportFiles
from loadgenctl.cli.run import tell
from loadgenctl.errors import LoadFailed, OutputFolderError, RoleDied, UsageError
from loadgenctl.owner import Owner
from loadgenctl.records.archive import unpack
from loadgenctl.records.reader import RunFolder
from loadgenctl.run.resume import Resumption, examine
from loadgenctl.run.run_folders import StateMark, read_mark, write_mark
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.stats.regen import regenerate
from loadgenctl.stats.summary import summarize

LOADED = "--stages 4 --stage.duration 1 --stage.loadgen.faucet.interval 5"
IN_STAGE_2 = 120.0
"""Seconds into such a run: stage 2 is under load."""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that is killed in stage 2; copy it before it is changed."""
    world = world_at(tmp_path_factory.mktemp("left"), hours=0)
    killed = world.kill(IN_STAGE_2)
    world.run(LOADED)
    return killed


@pytest.fixture
def killed(left: Path, tmp_path: Path) -> Path:
    return shutil.copytree(left, tmp_path / "killed")


def heights(folder: Path) -> dict[int, list[int]]:
    """Stage → the heights of its blocks that count."""
    found: dict[int, list[int]] = {}
    for row in RunFolder(folder).blocks():
        found.setdefault(row["stage"], []).append(row["blockHeight"])
    return found


def world_at(folder: Path, *, hours: int = 1) -> World:
    """What a process finds that comes so many hours after the first one."""
    folder.mkdir(exist_ok=True)
    world = World(folder)
    world.processes = PromptRunner()
    world.clock.advance(3600 * hours)
    return world


def change(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **fields}))


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        examine(folder)
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return caught.value.message


def test_a_killed_run_goes_on_at_the_stage_in_which_it_was_killed(
    killed: Path, tmp_path: Path
) -> None:
    before = heights(killed)
    world = world_at(tmp_path, hours=0)
    ending = world.resume(killed)
    assert ending.error is None
    after = heights(killed)
    assert (after[0], after[1]) == (before[0], before[1])
    assert after[2] != before[2]
    blocks = [height for stage in sorted(after) for height in after[stage]]
    assert sorted(after) == [0, 1, 2, 3]
    assert blocks == list(range(1, len(blocks) + 1)), "neither gap nor overlap"
    assert world.engine.leftovers() == []
    assert not (killed / "state").exists()
    assert not (killed / "copies").exists()
    begun = [row for row in RunFolder(killed).perf() if row["type"] == "perf-stage-start"]
    assert [row["stage"] for row in begun] == [0, 1, 2, 3]


def test_what_the_killed_attempt_left_of_the_stage_stays_and_does_not_count(
    killed: Path, tmp_path: Path
) -> None:
    blocks = sum(1 for _ in RunFolder(killed).blocks())
    world = world_at(tmp_path, hours=0)
    world.resume(killed)
    assert (killed / "chain-stage-2.attempt-1.slog.gz").exists()
    assert (killed / "chain-stage-2.slog.gz").exists()
    written = [json.loads(line) for line in (killed / "blocks.jsonl").read_bytes().splitlines()]
    assert len(written) > blocks
    assert {row.get("attempt", 1) for row in written if row["stage"] == 2} == {1, 2}
    assert all("attempt" not in row for row in RunFolder(killed).blocks())
    counted = [row for row in RunFolder(killed).cycles() if row["stage"] == 2]
    lines = (killed / "cycles.jsonl").read_bytes().splitlines()
    assert len(counted) < sum(json.loads(line)["stage"] == 2 for line in lines)


def test_the_records_tell_of_the_attempts(killed: Path, tmp_path: Path) -> None:
    world_at(tmp_path).resume(killed)
    status = json.loads((killed / "status.json").read_bytes())
    first, second = status["attempts"]
    assert (first["attempt"], first["outcome"], first["stage"]) == (1, "killed", None)
    assert (second["attempt"], second["stage"]) == (2, 2)
    assert second["state"] == "the chain as saved at the end of stage 1"
    assert (status["outcome"], status["reason"]) == ("passed", None)
    stages = [end["stage"] for end in status["containers"]]
    assert stages == sorted(stages)
    assert stages.count(2) == 3
    summary = summarize(killed)
    assert (summary["run"]["attempt"], summary["run"]["resumed_at_stage"]) == (2, 2)
    assert summary["run"]["duration_s"] < 600, "the hour between does not count"
    assert [stage.get("attempt", 1) for stage in summary["stages"]] == [1, 1, 2, 2]
    gaps = [stage["durations"].get("gap_s") for stage in summary["stages"]]
    assert gaps[2] is None, "what lies between attempts is no gap of the run's"
    assert gaps[1] is not None
    assert gaps[3] is not None
    rows = list(RunFolder(killed).perf())
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert times[-1] > 3600
    assert names(rows).count("perf-start") == 1


def test_stats_and_regen_agree_and_regen_keeps_what_counts(killed: Path, tmp_path: Path) -> None:
    world_at(tmp_path).resume(killed)
    before = heights(killed)
    made = regenerate(killed)
    assert not any(change.added or change.gone for change in made.rows.values())
    for name, content in made.content.items():
        (killed / name).write_bytes(content)
    assert heights(killed) == before
    counts = [stage["blocks"]["all"]["block_count"] for stage in summarize(killed)["stages"]]
    assert counts == [len(before[stage]) for stage in range(4)]
    assert regenerate(killed).content == made.content


def test_counters_and_names_go_on_from_the_attempt_before(killed: Path, tmp_path: Path) -> None:
    world_at(tmp_path).resume(killed)
    last: dict[str, dict[str, float]] = {}
    for row in RunFolder(killed).samples():
        if row["kind"] != "container" or row["cpu_total_s"] is None:
            continue
        before = last.get(row["role"], row)
        assert row["cpu_total_s"] >= before["cpu_total_s"]
        assert row["epoch"] >= before["epoch"]
        last[row["role"]] = row
    assert last["chain"]["epoch"] == 3


def test_an_attempt_that_is_killed_can_be_resumed_as_well(killed: Path, tmp_path: Path) -> None:
    world = world_at(tmp_path)
    shutil.copytree(killed, world.folder / "out")
    again = world.kill(30)
    world.resume()
    assert examine(again).attempt == 3
    other = world_at(tmp_path / "third", hours=2)
    assert other.resume(again).error is None
    blocks = [height for stage in heights(again).values() for height in stage]
    assert blocks == list(range(1, len(blocks) + 1))
    tries = json.loads((again / "status.json").read_bytes())["attempts"]
    assert [(each["attempt"], each["outcome"]) for each in tries] == [
        (1, "killed"),
        (2, "killed"),
        (3, None),
    ]
    assert (again / "chain-stage-2.attempt-2.slog.gz").exists()


def test_an_interrupted_run_goes_on_and_its_logs_are_kept_apart(tmp_path: Path) -> None:
    world = world_at(tmp_path, hours=0)
    world.clock.after(IN_STAGE_2, lambda: world.interrupts.request("SIGINT"))
    assert world.run(LOADED).exit_code == 130
    finishes = [row for row in world.rows("perf.jsonl") if row["type"] == "perf-stage-finish"]
    assert [row["success"] for row in finishes] == [True, True, False]
    assert world.resume().error is None
    out = tmp_path / "out"
    assert (out / "logs" / "chain-stage-2.attempt-1.log.gz").exists()
    blocks = [height for stage in heights(out).values() for height in stage]
    assert blocks == list(range(1, len(blocks) + 1))


def test_an_end_that_was_asked_for_before_the_first_block_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = world_at(tmp_path, hours=0)
    world.clock.after(0.8, lambda: world.interrupts.request("SIGINT"))
    ending = world.run(LOADED)
    assert ending.exit_code == 130
    assert not (tmp_path / "out" / "blocks.jsonl").exists()
    tell(ending, files=ReportFiles(), quiet=True, json_output=False)
    told = capsys.readouterr().err
    assert f"to resume from stage 0, run: loadgenctl run --resume {ending.folder}" in told
    assert world.resume().error is None


def test_failed_preparations_of_kept_stages_fail_the_run_at_its_end(tmp_path: Path) -> None:
    world = world_at(tmp_path, hours=0)
    world.unprepared = 1
    killed = world.kill(IN_STAGE_2)
    world.run(LOADED)
    ending = world_at(tmp_path / "other").resume(killed)
    assert ending.exit_code == 4
    assert ending.error is not None
    assert ending.error.message == "1 preparation failed in stage 0"
    assert "1 preparations of the load failed" in refusal(killed)


def test_a_chain_that_was_stopped_in_the_stage_is_gone_on_with_where_nothing_was_saved(
    tmp_path: Path,
) -> None:
    world = world_at(tmp_path, hours=0)
    world.clock.after(IN_STAGE_2, lambda: world.interrupts.request("SIGINT"))
    world.run(LOADED + " --stage.save-storage=false")
    assert examine(tmp_path / "out").start.kind == "stopped"
    assert world.resume().error is None
    assert any("counted in no stage" in warning for warning in world.progress.warnings)
    found = heights(tmp_path / "out")
    assert found[2][0] > found[1][-1] + 1


def test_a_state_that_stands_between_two_stages_needs_nothing_saved(killed: Path) -> None:
    for archive in killed.glob("*-storage-*"):
        archive.unlink()
    state = killed / "state"
    mark = read_mark(state)
    assert mark is not None
    write_mark(state, StateMark(mark.run_id, 1, "finished"))
    assert examine(killed).start.kind == "as it is"
    write_mark(state, StateMark("another run", 1, "finished"))
    assert "nothing to start from" in refusal(killed)


def test_a_copy_that_was_not_packed_yet_does_as_well(killed: Path, tmp_path: Path) -> None:
    archive = killed / "chain-storage-stage-1.tar.zst"
    copy = killed / "copies" / f"{archive.name}.copy"
    copy.mkdir(parents=True, exist_ok=True)
    unpack(archive, copy)
    archive.unlink()
    world = world_at(tmp_path, hours=0)
    assert world.resume(killed).error is None
    assert archive.exists(), "it is packed now"
    blocks = [height for stage in heights(killed).values() for height in stage]
    assert blocks == list(range(1, len(blocks) + 1))


def test_without_a_finished_stage_all_begins_anew(tmp_path: Path) -> None:
    world = world_at(tmp_path, hours=0)
    killed = world.kill(2)
    world.run(LOADED)
    found = examine(killed)
    assert (found.stage, found.start.kind) == (0, "new")
    assert world_at(tmp_path / "other").resume(killed).error is None
    assert heights(killed)[0][0] == 1


def test_failed_cycles_of_kept_stages_fail_the_run_at_its_end(tmp_path: Path) -> None:
    world = world_at(tmp_path, hours=0)
    world.cycles_succeed = False
    killed = world.kill(IN_STAGE_2)
    world.run(LOADED)
    other = world_at(tmp_path / "other")
    ending = other.resume(killed)
    assert ending.exit_code == 4
    assert ending.error is not None
    assert "load cycles failed in stage 1" in ending.error.message
    assert "nothing is left" not in ending.error.message
    assert "it failed because" in refusal(killed)


def test_a_stage_that_failed_is_run_anew(tmp_path: Path) -> None:
    world = world_at(tmp_path, hours=0)
    chain = world.chain
    dying = Script(chain.lines, 5.0, 1, execs=chain.execs, on_start=chain.on_start)
    world.make_engine = _after_two(dying)
    ending = world.run(LOADED)
    assert isinstance(ending.error, RoleDied)
    world.make_engine = FakeEngine
    assert examine(tmp_path / "out").stage == 2
    assert world.resume().error is None
    blocks = [height for stage in heights(tmp_path / "out").values() for height in stage]
    assert blocks == list(range(1, len(blocks) + 1))


def _after_two(dying: Script) -> type[FakeEngine]:
    """An engine whose third chain is another one."""

    class Failing(FakeEngine):
        def __init__(self, clock: Any, scripts: Any = None) -> None:
            chains = [scripts["chain"], scripts["chain"], dying]
            super().__init__(clock, {**scripts, "chain": chains})

    return Failing


def test_rows_after_a_torn_line_are_read(killed: Path, tmp_path: Path) -> None:
    with (killed / "perf.jsonl").open("ab") as file:
        file.write(b'{"timestamp": 1')
    world_at(tmp_path).resume(killed)
    rows = RunFolder(killed)
    assert names(list(rows.perf()))[-1] == "perf-stage-finish"
    assert rows.damage["perf.jsonl"].unreadable == 1


def _passed(folder: Path) -> None:
    change(folder / "status.json", outcome="passed")


def _living(folder: Path) -> None:
    owner = Owner.current()
    change(
        folder / "status.json",
        owner={"pid": owner.pid, "start": owner.start, "host": owner.host},
    )


def _elsewhere(folder: Path) -> None:
    change(folder / "status.json", owner={"pid": 1, "start": "boot-1", "host": "there"})


def _ended_elsewhere(folder: Path) -> None:
    _elsewhere(folder)
    change(folder / "status.json", outcome="failed", exit_code=4)
    change(folder / "run.json", host={"hostname": "there", "machine": "riscv64"})


def _pruned(folder: Path) -> None:
    (folder / "pruned.json").write_text("{}")


def _without_plan(folder: Path) -> None:
    (folder / "run.json").unlink()


def _of_a_network(folder: Path) -> None:
    plan = json.loads((folder / "run.json").read_bytes())["plan"]
    change(folder / "run.json", plan={**plan, "origin": "https://testnet.example"})


def _by_hand(folder: Path) -> None:
    plan = json.loads((folder / "run.json").read_bytes())["plan"]
    change(folder / "run.json", plan={**plan, "by_hand": True})


def _without_storage(folder: Path) -> None:
    (folder / "client-storage-stage-1.tar.zst").unlink()


def _without_state(folder: Path) -> None:
    _without_storage(folder)
    shutil.rmtree(folder / "state")


def _of_the_original(folder: Path) -> None:
    for name in ("run.json", "status.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_passed, "nothing is left to do"),
        (_living, "still running"),
        (_elsewhere, "this machine cannot check that"),
        (_ended_elsewhere, "another machine (there)"),
        (_pruned, "removed to free space"),
        (_without_plan, "before run.json was written"),
        (_of_a_network, "a network that others run"),
        (_by_hand, "driven by hand"),
        (_without_storage, "client-storage-stage-1.tar.zst is missing, and in stage 2"),
        (_without_state, "does not hold the chain of this run"),
        (_of_the_original, "of the original load generator"),
    ],
)
def test_what_cannot_be_resumed_says_why(
    killed: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(killed)
    assert told in refusal(killed)


def test_another_sdk_or_image_is_refused_before_or_without_loss(
    killed: Path, tmp_path: Path
) -> None:
    document = json.loads((killed / "run.json").read_bytes())
    change(killed / "run.json", sdk={**document["sdk"], "content_id": "tree-other"})
    before = sorted(killed.iterdir())
    with pytest.raises(UsageError, match="its SDK was tree-other"):
        world_at(tmp_path).resume(killed)
    assert sorted(killed.iterdir()) == before
    change(killed / "run.json", sdk=document["sdk"], image={"tag": "sim:older", "id": "x"})
    ending = world_at(tmp_path, hours=0).resume(killed)
    assert ending.error is not None
    assert "ran in the image sim:older" in ending.error.message
    assert examine(killed).stage == 2


def test_an_sdk_that_was_built_with_other_overrides_is_refused(
    killed: Path, tmp_path: Path
) -> None:
    document = json.loads((killed / "run.json").read_bytes())
    change(killed / "run.json", sdk={**document["sdk"], "deviations": ["npm x: dropped"]})
    with pytest.raises(UsageError, match="built with other overrides of the site") as caught:
        world_at(tmp_path).resume(killed)
    assert "[site.npm]" in str(caught.value.hint)
    # Runs of before overrides were recorded.
    before = {name: value for name, value in document["sdk"].items() if name != "deviations"}
    change(killed / "run.json", sdk=before)
    assert world_at(tmp_path).resume(killed).error is None


def test_a_state_folder_that_is_somebody_else_s_is_left_alone(killed: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "project" / "chain").mkdir(parents=True)
    plan = json.loads((killed / "run.json").read_bytes())["plan"]
    change(killed / "run.json", plan={**plan, "state_dir": str(theirs)})
    ending = world_at(tmp_path).resume(killed)
    assert ending.exit_code == 2
    assert "was not made by loadgenctl" in str(ending.error)
    assert (theirs / "project" / "chain").is_dir()


def test_what_is_left_of_later_stages_is_set_aside_too(killed: Path, tmp_path: Path) -> None:
    # As after a power cut that took the last lines of perf.jsonl, but not the files.
    lines = (killed / "perf.jsonl").read_bytes().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if b"perf-stage-finish" in line]
    (killed / "perf.jsonl").write_bytes(b"".join(lines[: ends[1]]))
    found = examine(killed)
    assert (found.stage, found.start.chain) == (1, 0)
    assert world_at(tmp_path).resume(killed).error is None
    for stage in (1, 2):
        assert (killed / f"chain-stage-{stage}.attempt-1.slog.gz").exists()
    blocks = [height for stage in heights(killed).values() for height in stage]
    assert blocks == list(range(1, len(blocks) + 1))


def test_a_damaged_archive_is_told_and_the_folder_can_be_resumed_with_a_good_one(
    killed: Path, tmp_path: Path
) -> None:
    archive = killed / "chain-storage-stage-1.tar.zst"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    ending = world_at(tmp_path, hours=0).resume(killed)
    assert ending.exit_code == 2
    assert "cannot be unpacked" in str(ending.error)
    assert [path.name for path in (killed / "state").glob(".restored-*")] == []
    archive.write_bytes(whole)
    assert world_at(tmp_path / "again").resume(killed).error is None


def test_the_command_shows_what_it_would_do_and_says_how_to_go_on(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, capsys)
    resume = ("run", "--resume", str(killed))
    said = shell.run(*resume, "--dry-run")
    assert said.exit_code == 0
    assert "resuming at stage 2 (attempt 2)" in said.words
    assert said.stdout.startswith("SDK sim, bundled\n")
    document = json.loads(shell.run(*resume, "--dry-run", "--json").stdout)
    assert (document["attempt"], document["resumed_at_stage"]) == (2, 2)
    refused = shell.run(*resume, "--stages", "9")
    assert refused.exit_code == 2
    assert "--stages cannot be given with --resume" in refused.stderr
    near = shell.run(*resume, "--timout.chain", "9")
    assert near.exit_code == 2
    assert "did you mean --timeout.chain?" in near.stderr
    failed = LoadFailed("nothing was loaded")
    tell(RunResult(killed, failed), files=ReportFiles(), quiet=True, json_output=False)
    assert (
        f"to resume from stage 2, run: loadgenctl run --resume {killed}" in capsys.readouterr().err
    )
    _passed(killed)
    tell(RunResult(killed, failed), files=ReportFiles(), quiet=True, json_output=False)
    assert "to resume from" not in capsys.readouterr().err


def test_a_folder_that_was_moved_takes_its_state_along(killed: Path) -> None:
    found: Resumption = examine(killed)
    assert found.plan.output_dir == killed
    assert found.plan.state_dir == killed / "state"
    assert found.words() == (
        "resuming at stage 2 (attempt 2) with the chain as saved at the end of stage 1;"
        " kept: stages 0 and 1"
    )


def test_a_new_run_in_a_folder_that_can_be_resumed_is_told_so(killed: Path, tmp_path: Path) -> None:
    world = world_at(tmp_path / "world")
    plan = replace(world.plan(LOADED), output_dir=killed)
    with pytest.raises(OutputFolderError, match="already holds a run") as raised:
        execute(plan, world.services())
    assert str(raised.value.hint).startswith(f"resume it with --resume {killed}, or give another")


def test_a_folder_that_cannot_be_resumed_gets_no_such_hint(tmp_path: Path) -> None:
    world = world_at(tmp_path / "world")
    assert world.run("--stages 1").exit_code == 0
    with pytest.raises(OutputFolderError, match="already holds a run") as raised:
        world.run("--stages 1")
    assert "--resume" not in str(raised.value.hint)
