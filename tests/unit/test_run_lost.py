"""What is lost in mid-run on fakes: the results folder, the engine's containers, time to pack."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import Reaction, Script
from tests.worlds import World

from loadgenctl.errors import (
    EngineError,
    Interrupted,
    LoadgenError,
    OutputFolderLost,
    RoleDied,
    RunError,
)
from loadgenctl.process import Child, Runner
from loadgenctl.run.failure import as_error
from loadgenctl.run.runner import execute

ALONE = "--stages 1 --chain-only --stage.0.duration 10"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("moved", [False, True])
def test_a_results_folder_that_is_gone_ends_the_run_within_seconds(
    world: World, moved: bool
) -> None:
    out = world.folder / "out"

    def take() -> None:
        if moved:
            out.rename(world.folder / "elsewhere")
            # Another folder of that name is not the run's.
            (out / "shared").mkdir(parents=True)
        else:
            shutil.rmtree(out)

    world.clock.after(60, take)
    began = world.clock.monotonic()
    ending = world.run(ALONE)
    assert isinstance(ending.error, OutputFolderLost)
    assert ending.exit_code == 4
    assert "was removed or moved away during the run" in ending.error.message
    assert world.clock.monotonic() - began < 70
    assert world.engine.leftovers() == []
    if moved:
        assert [path.name for path in out.iterdir()] == ["shared"], "nothing is written or removed"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_whoever_meets_a_disk_that_fails_first_the_results_are_named(
    tmp_path: Path, number: int
) -> None:
    error = as_error(OSError(number, os.strerror(number), "/x/chain.slog.gz"), tmp_path)
    assert isinstance(error, OutputFolderLost)
    assert str(tmp_path) in error.message
    assert "/x/chain.slog.gz" in (error.detail or "")
    assert error.hint


@pytest.mark.parametrize(
    "error", [RoleDied("chain ended", role="chain"), EngineError("no mount"), OSError(2, "no file")]
)
def test_what_fails_with_the_folder_is_not_the_reason(tmp_path: Path, error: Exception) -> None:
    told = as_error(error, tmp_path / "gone")
    assert isinstance(told, OutputFolderLost)
    assert str(error) in (told.detail or "")
    assert not isinstance(as_error(error, tmp_path), OutputFolderLost)


def test_a_chain_that_ends_with_the_whole_pod_is_not_called_dead(world: World) -> None:
    def restart() -> None:
        for role in ("holder", "chain"):
            world.engine.latest(role).end(0)

    services = world.services()
    world.clock.after(60, restart)
    ending = execute(world.plan(ALONE), services)
    assert isinstance(ending.error, EngineError)
    assert "the engine has ended all containers of the run (chain: exit code 0)" in str(
        ending.error
    )
    status = world.status()
    assert (status["outcome"], status["role"], status["exit_code"]) == ("failed", None, 4)
    assert world.engine.leftovers() == []


def test_a_one_shot_that_ends_with_the_whole_pod_has_not_failed(world: World) -> None:
    world.setup = replace(world.setup, exit_after=5.0, exit_code=137)
    services = world.services()
    world.clock.after(2, lambda: world.engine.latest("holder").end(137))
    ending = execute(world.plan(ALONE), services)
    assert isinstance(ending.error, EngineError)
    assert "the engine has ended all containers" in ending.error.message


def test_who_interrupts_a_run_that_is_failing_already_hastens_its_end_alone(world: World) -> None:
    slow = {"SIGINT": Reaction(0, 50.0), "SIGKILL": Reaction(137)}
    world.chain = replace(world.chain, on_signal=slow)
    world.last_block = 5
    line = "--stages 1 --stage.0.loadgen.faucet.interval 5 --timeout.block 30"

    def when_it_is_told() -> None:
        if not world.status().get("reason"):
            world.clock.after(1.0, when_it_is_told)
            return
        world.interrupts.request("SIGINT")
        world.interrupts.request("SIGINT")

    world.clock.after(20, when_it_is_told)
    ending = world.run(line)
    assert isinstance(ending.error, RunError)
    assert ending.exit_code == 4
    assert (world.status()["outcome"], world.status()["exit_code"]) == ("stalled", 4)
    assert world.engine.latest("chain").signals == ["SIGINT", "SIGKILL"]


class Packer(Runner):
    """Packs in its own time, and does something else meanwhile."""

    def __init__(self, seconds: float = 0.3, meanwhile: LoadgenError | None = None) -> None:
        self.seconds = seconds
        self.meanwhile = meanwhile
        self.started: list[Child] = []

    def start(self, argv: Sequence[str]) -> Child:
        target = argv[-1]
        script = f"touch {target}.partial; sleep {self.seconds}; mv {target}.partial {target}"
        child = super().start(["sh", "-c", f"{script}; rm -r {argv[-2]}"])
        if self.meanwhile is not None:
            child = Impatient(child, self.meanwhile)
        self.started.append(child)
        return child


class Full(Runner):
    """Has no room to pack in."""

    def start(self, argv: Sequence[str]) -> Child:
        return super().start(["sh", "-c", f"rm -r {argv[-2]}; echo no room >&2; exit 1"])


class Impatient(Child):
    """Waiting for it is cut short, as a signal does it."""

    def __init__(self, child: Child, error: LoadgenError) -> None:
        self._child, self._error = child, error

    @property
    def running(self) -> bool:
        return self._child.running

    def finish(self, timeout: float) -> str | None:
        raise self._error

    def end(self) -> None:
        self._child.end()


SAVED = "chain-storage-stage-0.tar.zst"
TWO = (
    "--stages 2 --chain-only --stage.0.duration 0.1 --stage.1.duration 10 --stage.0.save-storage"
    " --no-stage.1.save-storage"
)


def dies_in_stage_1(world: World) -> None:
    world.clock.after(60, lambda: world.engine.latest("chain").end(3))


def test_what_a_stage_saved_is_packed_also_if_a_later_one_fails(world: World) -> None:
    packer = Packer()
    services = replace(world.services(), processes=packer)
    dies_in_stage_1(world)
    ending = execute(world.plan(TWO), services)
    assert isinstance(ending.error, RoleDied)
    assert len(packer.started) == 1
    assert (ending.folder / SAVED).exists()
    assert not (ending.folder / "copies").exists()
    assert world.progress.warnings[-1].startswith("stage 1: chain ended unexpectedly")


def test_what_cannot_be_packed_is_told_beside_why_the_run_failed(world: World) -> None:
    services = replace(world.services(), processes=Full())
    dies_in_stage_1(world)
    ending = execute(world.plan(TWO), services)
    assert isinstance(ending.error, RoleDied)
    assert f"storage was not saved: {SAVED}: no room" in world.progress.warnings
    assert not (ending.folder / "copies").exists()


def test_storage_that_cannot_be_packed_fails_a_run_that_did_well(world: World) -> None:
    services = replace(world.services(), processes=Full())
    ending = execute(world.plan("--stages 1 --chain-only"), services)
    assert isinstance(ending.error, OutputFolderLost)
    assert (ending.exit_code, world.status()["outcome"]) == (4, "failed")


def test_who_does_not_wait_for_the_packing_leaves_no_half_of_it(world: World) -> None:
    packer = Packer(60.0, Interrupted("interrupted by SIGINT"))
    services = replace(world.services(), processes=packer)
    dies_in_stage_1(world)
    ending = execute(world.plan(TWO), services)
    assert isinstance(ending.error, RoleDied), "why the run failed is not changed by that"
    assert not packer.started[0].running
    assert [path.name for path in ending.folder.glob("*storage*")] == []
    assert (ending.folder / "copies" / f"{SAVED}.copy").is_dir(), "a resumed run may need it"
    assert f"{SAVED} was not saved: its packing was stopped" in world.progress.warnings


def test_a_second_interrupt_does_not_wait_for_the_packing(world: World) -> None:
    packer = Packer(60.0)
    services = replace(world.services(), processes=packer)

    def twice() -> None:
        world.interrupts.request("SIGINT")
        world.clock.after(0.5, lambda: world.interrupts.request("SIGINT"))

    slow = {"SIGINT": Reaction(0, 5.0), "SIGKILL": Reaction(137)}
    world.chain = Script(
        lines=world.chain.lines,
        on_signal=slow,
        execs=world.chain.execs,
        on_start=world.chain.on_start,
    )
    world.clock.after(60, twice)
    ending = execute(world.plan(TWO), services)
    assert isinstance(ending.error, Interrupted)
    assert not packer.started[0].running
    assert [path.name for path in ending.folder.glob("*storage*")] == []
