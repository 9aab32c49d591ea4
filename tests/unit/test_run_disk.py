"""What a run says when it ends before its time: room on disks that are made up, and the status."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Script
from tests.worlds import World

from loadgenctl.errors import DiskFull, LoadFailed, OutputFolderError, RoleDied
from loadgenctl.records.store import RunStore
from loadgenctl.run.context import Services
from loadgenctl.run.disk_space import MIB, Disks, kind_of_mount, needs, preflight
from loadgenctl.run.runner import RunResult, execute

PLENTY = 1000 * 1024 * MIB
ONE = "--stages 1 --chain-only --stage.0.duration 10"


class MadeUp(Disks):
    """Says what a test wants."""

    def __init__(self, free: Callable[[], int] = lambda: PLENTY) -> None:
        self._free = free
        self.mount: str | None = "ext4"
        self.can_lock = True
        self.read_only = False

    def free(self, path: Path) -> int | None:
        return self._free()

    def writable(self, path: Path) -> bool:
        return not self.read_only

    def kind(self, path: Path) -> str | None:
        return self.mount

    def locks(self, path: Path) -> bool:
        return self.can_lock


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, line: str, disks: Disks) -> RunResult:
    return execute(world.plan(line), replace(world.services(), disks=disks))


def test_too_little_room_is_told_before_anything_is_made(world: World) -> None:
    with pytest.raises(OutputFolderError, match=r"200 MiB are free.*is estimated to need"):
        run(world, ONE, MadeUp(lambda: 200 * MIB))
    assert not (world.folder / "out").exists()
    with pytest.raises(OutputFolderError, match="is configured to require 300 MiB"):
        run(world, ONE + " --disk.needed 300m", MadeUp(lambda: 200 * MIB))


def test_on_one_disk_results_and_state_need_room_together(world: World) -> None:
    plan = world.plan("--stages 1")
    wanted = needs(plan, simulated=True)
    assert wanted.results > 0 < wanted.state
    enough = plan.disk_reserve + wanted.results + wanted.state
    preflight(plan, wanted, MadeUp(lambda: enough), world.progress.warn)
    with pytest.raises(OutputFolderError, match="too little space"):
        preflight(plan, wanted, MadeUp(lambda: enough - 1), world.progress.warn)


def test_a_person_may_know_better(world: World) -> None:
    line = ONE + " --stage.0.duration 0 --disk.needed 0 --disk.reserve 1m"
    assert run(world, line, MadeUp(lambda: 2 * MIB)).error is None


def test_the_estimate_grows_with_the_stages(world: World) -> None:
    short, long = (
        needs(world.plan(f"--stages 4 --stage.duration {minutes}"), simulated=False)
        for minutes in (10, 360)
    )
    assert short.results < long.results < 100 * 1024 * MIB
    assert short.state < long.state
    open_end = world.plan("--stages 1 --stage.0.duration -1")
    assert needs(open_end, simulated=True).results > 0


def test_a_folder_that_cannot_be_written_is_refused(world: World) -> None:
    disks = MadeUp()
    disks.read_only = True
    with pytest.raises(OutputFolderError, match="cannot be written"):
        run(world, ONE, disks)


def test_a_network_mount_is_warned_of_and_without_locks_refused(world: World) -> None:
    disks = MadeUp()
    disks.mount = "nfs4"
    assert run(world, ONE + " --stage.0.duration 0", disks).error is None
    assert any("network mount (nfs4)" in text for text in world.progress.warnings)
    disks.can_lock = False
    with pytest.raises(OutputFolderError, match="cannot be locked"):
        run(world, ONE + f" --output-dir {world.folder / 'other'}", disks)


def test_the_stage_ends_before_the_disk_is_full(world: World) -> None:
    disks = MadeUp(lambda: PLENTY if world.clock.monotonic() < 60 else 255 * MIB)
    ending = run(world, ONE, disks)
    assert isinstance(ending.error, DiskFull)
    assert ending.exit_code == 4
    assert "almost full" in ending.error.message
    assert world.clock.monotonic() < 80
    status = world.status()
    assert (status["outcome"], status["step"], status["stage"]) == ("failed", "disk", 0)
    assert [end["role"] for end in status["containers"]] == ["chain"]
    assert world.engine.leftovers() == []
    assert world.finished == [ending.folder]
    assert (ending.folder / "chain-stage-0.slog.gz").exists()


def test_the_mount_that_is_nearest_counts() -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /data\\040one rw shared:1 - nfs4 host:/x rw\n"
        "3 1 0:6 / /data rw - xfs /dev/sdb rw\n"
        "torn"
    )
    assert kind_of_mount(Path("/data one/out"), mounts) == "nfs4"
    assert kind_of_mount(Path("/data/out"), mounts) == "xfs"
    assert kind_of_mount(Path("/home"), mounts) == "ext4"
    assert kind_of_mount(Path("/home"), "") is None


def test_the_real_disks_answer(tmp_path: Path) -> None:
    disks, missing = Disks(), tmp_path / "not" / "there"
    free = disks.free(missing)
    assert free is not None
    assert free > 0
    assert disks.locks(missing)
    assert disks.writable(missing)
    assert disks.kind(missing) is not None
    assert disks.device(missing) == tmp_path.stat().st_dev


def failing_finish(services: Services, error: Exception) -> Services:
    def finish(store: RunStore) -> dict[str, Any]:
        raise error

    return replace(services, finish=finish)


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(errno.ENOSPC, "No space left on device"), 4), (ValueError("a bug"), 1)],
)
def test_a_summary_that_fails_is_told_and_hides_no_other_error(
    world: World, error: Exception, code: int
) -> None:
    line = ONE + " --stage.0.duration 0"
    ending = execute(world.plan(line), failing_finish(world.services(), error))
    assert ending.exit_code == code
    assert world.status()["exit_code"] == code
    assert any("no summary was written" in text for text in world.progress.warnings)


def test_why_a_run_failed_goes_before_a_summary_that_fails(world: World) -> None:
    world.chain = Script(exit_after=2.0, exit_code=3)
    ending = execute(world.plan(ONE), failing_finish(world.services(), ValueError("a bug")))
    assert isinstance(ending.error, RoleDied)
    assert world.status()["outcome"] == "died"
    assert world.status()["containers"][0]["exit_code"] == 3


def test_failed_cycles_are_told_with_their_stage(world: World) -> None:
    world.cycles_succeed = False
    ending = world.run("--stages 3 --stage.duration 1 --stage.loadgen.faucet.interval 5")
    assert isinstance(ending.error, LoadFailed)
    assert ending.error.message.endswith("load cycles failed in stage 1")
    status = world.status()
    assert (status["outcome"], status["stage"]) == ("failed", 1)
    ends = [(end["stage"], end["role"]) for end in status["containers"]]
    assert ends.count((1, "solo")) == 1
    assert (2, "chain") in ends


def test_a_chain_without_blocks_has_stalled(world: World) -> None:
    world.last_block = 5
    world.run(ONE)
    assert world.status()["outcome"] == "stalled"


def test_a_role_that_the_kernel_killed_for_memory_is_told_as_that(world: World) -> None:
    services = world.services()
    world.clock.after(60, lambda: world.engine.latest("chain").end(137, oom=True))
    ending = execute(world.plan(ONE), services)
    assert isinstance(ending.error, RoleDied)
    status = world.status()
    assert (status["outcome"], status["role_exit_code"]) == ("out-of-memory", 137)
    (end,) = status["containers"]
    assert (end["exit_code"], end["signal"], end["oom_killed"]) == (137, "SIGKILL", True)
