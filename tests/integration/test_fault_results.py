"""The results folder is taken away in mid-run: the run ends, says why, and what it had is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.faulty import NOTICED, Observed, assert_whole, crowd, now
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records

from loadgenctl.process import Runner
from loadgenctl.run.disk_space import LOOK

pytestmark = pytest.mark.docker

ALONE = "--stages 1 --chain-only --stage.0.duration 5"
LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5"
SIZE = 64 * 1024 * 1024


def _do(*words: str | Path) -> None:
    done = Runner().run([str(word) for word in words])
    assert done.exit_code == 0, done.last_lines()


def _file_system(folder: Path) -> None:
    """One in a file, mounted at the folder."""
    image = folder.with_name("image")
    with image.open("wb") as file:
        file.truncate(SIZE)
    folder.mkdir()
    _do("env", f"PATH={os.environ['PATH']}:/usr/sbin:/sbin", "mkfs.ext4", "-q", image)
    _do("mount", "-o", "loop,errors=remount-ro", image, folder)


def _fail(folder: Path) -> None:
    """What the kernel does about damage that it finds: nobody may write any more."""
    device = folder.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    assert found.startswith("loop"), "the test's own file system, and no other"
    Path(f"/sys/fs/ext4/{found}/trigger_fs_error").write_text("asked for by a test")


def _mounts() -> bool:
    """CAP_SYS_ADMIN is in effect."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 21 & 1)


def _mounts_file_systems() -> bool:
    tools = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    return _mounts() and tools is not None and Path("/dev/loop-control").exists()


def _make_read_only(folder: Path) -> None:
    """What is open goes on, what is opened does not."""
    _do("mount", "--bind", folder, folder)
    _do("mount", "-o", "remount,bind,ro", folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    # What roles made meanwhile.
    shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A way to take the folder away in mid-run, and what is said of it."""

    name: str
    strike: Callable[[Path], None]
    says: str
    options: str = ALONE
    prepare: Callable[[Path], None] | None = None
    needs: Callable[[], bool] | None = None
    """Whether this can be done here; None: everywhere."""
    kept: str | None = "results"
    """Where the records are after that; None: nowhere."""

    def observe(self, desk: Desk) -> Observed:
        """See `Case.observe`."""
        assert self.possible, "its test is skipped"
        folder = desk.folder / self.name
        folder.mkdir()
        results = folder / "results"
        if self.prepare is not None:
            self.prepare(results)
        words = (*SIM, *self.options.split(), "--disk.needed", "0", *desk.settings())
        # The small file system has a folder of its own at its top.
        limits = ("--disk.reserve", "0", "--output-dir", str(results))
        records = Records(results)
        with Loadgenctl(folder / "command", *words, *limits) as command:
            command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
            if self.options is LOAD:
                command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
            struck_at = now()
            self.strike(results)
            command.until_said("ending the run")
            named_at = now()
            ended = command.end()
            left = desk.engine.left(command.pid)
        return Observed(ended, Records(folder / (self.kept or "")), left, named_at, struck_at)

    @property
    def possible(self) -> bool:
        """Whether this machine lets it be done."""
        return self.needs is None or self.needs()

    def __str__(self) -> str:
        """Names the test."""
        return self.name


CASES = (
    Taken("read-only", _make_read_only, "cannot be written: Read-only file system", needs=_mounts),
    Taken(
        "file-system-fails",
        _fail,
        "cannot be written: Read-only file system",
        prepare=_file_system,
        needs=_mounts_file_systems,
    ),
    Taken("removed", _remove, "was removed or moved away during the run", LOAD, kept=None),
    Taken("moved", _move, "was removed or moved away during the run", kept="moved"),
)


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Taken], Observed]]:
    with crowd(request, desk) as become:
        yield become
    mounted = Path("/proc/self/mounts").read_text()
    for case in CASES:
        point = desk.folder / case.name / "results"
        if f" {point} " in mounted:
            _do("umount", point)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_run_ends_and_says_why(case: Taken, request: pytest.FixtureRequest, desk: Desk) -> None:
    if not case.possible:
        pytest.skip("who runs this may not mount what it needs, or has no loop device or mkfs.ext4")
    run = request.getfixturevalue("observed")(case)
    assert run.ended.exit_code == 4, run.ended.stderr
    told = " ".join(run.ended.stderr.split())
    assert f"error: the results folder {desk.folder / case.name / 'results'} {case.says}" in told
    assert "ended unexpectedly" not in told, "a role that went with the folder is not the reason"
    assert "internal error" not in told
    assert "Traceback" not in told
    assert run.left == []
    assert run.named_at is not None
    assert run.struck_at is not None
    assert run.named_at - run.struck_at < LOOK + NOTICED
    if case.kept is None:
        assert not (desk.folder / case.name / "results").exists(), "it is not made again"
        return
    assert run.records.rows("blocks.jsonl"), "what was measured is kept"
    assert_whole(desk, run.records, killed=True)
    shown, _ = desk.do("stats", str(run.records.folder))
    assert "its process is gone" in shown.stdout
