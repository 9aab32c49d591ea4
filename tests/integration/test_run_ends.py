"""How runs on a real engine end before their time, and what is left of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import (
    CHAIN_STOPPED,
    PROMPT,
    ROLES,
    SIM,
    Desk,
    Loadgenctl,
    Records,
)
from tests.waiting import eventually

from loadgenctl.process import Runner

pytestmark = pytest.mark.docker

Under = Callable[..., tuple[Loadgenctl, Records]]


def test_ctrl_c_under_load_ends_the_stage_and_keeps_the_records(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(settings=desk.settings())
    assert desk.engine.owned(command.pid) == dict.fromkeys(ROLES, "running")
    command.ctrl_c()
    ended = command.end()
    assert ended.exit_code == 130, ended.stderr
    assert desk.engine.left(command.pid) == []
    assert "interrupted" in ended.stderr
    assert "faucet" in ended.stdout, "the summary is shown"
    assert (records.status["outcome"], records.status["exit_code"]) == ("interrupted", 130)
    assert records.perf(0)[-4:] == ["client-stopped", *CHAIN_STOPPED]
    assert records.rows("blocks.jsonl")
    assert records.rows("samples.jsonl")
    assert records.slog("chain-stage-0.slog.gz")
    assert records.document("summary.json")["run"]["outcome"] == "interrupted"
    shown, _ = desk.do("stats", str(records.folder))
    assert shown.exit_code == 0, shown.stderr
    assert "interrupted" in shown.stdout


def test_a_second_ctrl_c_does_not_wait_for_cycles(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    hangs = 'kind = "driver-hang"\nat_cycle = 2'
    command, records = under_load(settings=desk.settings(hangs))
    command.until(
        lambda: any(row.get("seq") == 2 for row in records.rows("events.jsonl")), "the cycle hangs"
    )
    command.ctrl_c()
    command.until_said("press Ctrl-C again to stop immediately")
    command.ctrl_c()
    ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []


def test_a_stop_while_the_chain_starts(desk: Desk) -> None:
    slow = 'kind = "slow-start"\nseconds = 300'
    command, records = desk.start(*SIM, "--stages", "1", *desk.settings(slow))
    with command:
        command.until(
            lambda: desk.engine.owned(command.pid).get("chain") == "running", "the chain starts"
        )
        command.signal(signal.SIGTERM)
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    assert "SIGTERM" in ended.stderr
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []


def test_what_a_killed_run_leaves_is_swept_by_the_next_command(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(settings=desk.settings())
    command.signal(signal.SIGKILL)
    assert command.end().exit_code == -signal.SIGKILL
    names = desk.engine.left(command.pid)
    assert len(names) >= len(ROLES)

    # Until then a reader finds it out by itself, and writes nothing.
    shown, _ = desk.do("stats", str(records.folder))
    assert shown.exit_code == 0, shown.stderr
    assert "killed" in shown.stdout
    assert records.status["outcome"] == "running"

    would, _ = desk.do("clean", "--dry-run")
    assert f"would mark {records.folder} as interrupted" in would.stdout
    assert all(f"would remove container {name.lstrip('/')}" in would.stdout for name in names)
    assert desk.engine.left(command.pid) == names
    swept, _ = desk.do("clean")
    assert swept.exit_code == 0, swept.stderr
    assert all(f"removed container {name.lstrip('/')}" in swept.stdout for name in names)
    assert desk.engine.left(command.pid) == []

    assert f"marked {records.folder} as interrupted" in swept.stdout
    assert (records.status["outcome"], records.status["exit_code"]) == ("interrupted", None)
    shown, _ = desk.do("stats", str(records.folder))
    assert shown.exit_code == 0, shown.stderr
    assert "interrupted" in shown.stdout
    assert "its process is gone" in shown.stdout
    assert "faucet" in shown.stdout


def test_regen_of_a_killed_run_has_every_block_that_stands_in_the_slog(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(settings=desk.settings())
    command.signal(signal.SIGKILL)
    command.end()
    # The chain goes on alone, and its slog with it, until it is swept away in mid-block.
    recorded = len(records.rows("blocks.jsonl"))
    slog = records.folder / "shared" / "chain-stage-0.slog"
    grown = slog.stat().st_size
    eventually(lambda: slog.stat().st_size > grown, "the chain goes on", evidence=str)
    desk.do("clean")

    told, _ = desk.do("slog", "blocks", "--json", str(slog))
    made, _ = desk.do("regen", str(records.folder))
    assert made.exit_code == 0, made.stderr
    # What only the run knows of a block: its stage, and whether the chain was ready.
    blocks, expected = (
        [
            {name: value for name, value in row.items() if name not in {"stage", "liveMode"}}
            for row in rows
        ]
        for rows in (records.rows("blocks.jsonl"), json.loads(told.stdout)["blocks"])
    )
    assert blocks == expected
    assert len(blocks) >= recorded > 0


def test_a_chain_that_crashes_is_named_with_its_last_lines(desk: Desk) -> None:
    crash = 'kind = "chain-crash"\nafter_blocks = 4\nexit_code = 3'
    options = ("--stages", "1", "--stage.0.duration", "5", "--chain-only")
    page, report = desk.folder / "step.md", desk.folder / "junit.xml"
    wanted = ("--junit", str(report))
    ended, records = desk.do(
        *SIM, *options, *wanted, *desk.settings(crash), GITHUB_STEP_SUMMARY=str(page)
    )
    assert ended.exit_code == 4
    assert "chain ended unexpectedly: exit code 3" in ended.stderr
    assert "`chain ended unexpectedly: exit code 3`, role `chain`" in page.read_text()
    assert 'message="chain: chain ended unexpectedly: exit code 3"' in report.read_text()
    status = records.status
    assert (status["outcome"], status["role"], status["role_exit_code"]) == ("died", "chain", 3)
    assert status["last_lines"]
    assert records.document("summary.json")["run"]["outcome"] == "died"


def test_a_failed_cycle_fails_the_run(desk: Desk) -> None:
    fails = 'kind = "cycle-fails"'
    load = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--fail-fast")
    ended, records = desk.do(*SIM, *load, *desk.settings(fails))
    assert ended.exit_code == 4
    assert "a cycle failed: faucet" in ended.stderr
    assert records.status["role"] == "loadgen"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes that is empty."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    done = Runner().run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)])
    assert done.exit_code == 0, done.last_lines()
    yield folder
    Runner().run(["umount", "--lazy", str(folder)])


def _fill(folder: Path, *, leave: int = 0) -> None:
    usage = os.statvfs(folder)
    piece = b"\0" * usage.f_frsize
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while os.statvfs(folder).f_bavail * usage.f_frsize > leave or not leave:
            filler.write(piece)


def test_a_disk_that_fills_up_ends_the_run_with_its_reason(
    desk: Desk, small_disk: Path, tmp_path: Path
) -> None:
    records = Records(small_disk / "out")
    options = ("--stages", "1", "--chain-only", "--stage.0.duration", "10")
    output = ("--output-dir", str(records.folder))
    unguarded = ("--disk.needed", "0", "--disk.reserve", "0")
    command = Loadgenctl(tmp_path / "c", *SIM, *options, *output, *unguarded, *desk.settings())
    with command:
        command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
        _fill(small_disk)
        ended = command.end()
    assert ended.exit_code == 4, ended.stderr
    assert "there is no space left for results" in ended.stderr
    assert desk.engine.left(command.pid) == []
    assert records.status["outcome"] == "failed"


def test_a_disk_that_is_almost_full_ends_the_stage_while_there_is_room(
    desk: Desk, small_disk: Path, tmp_path: Path
) -> None:
    records = Records(small_disk / "out")
    options = ("--stages", "1", "--chain-only", "--stage.0.duration", "10")
    output = ("--output-dir", str(records.folder), "--disk.reserve", "4m")
    command = Loadgenctl(tmp_path / "c", *SIM, *options, *output, *desk.settings())
    with command:
        command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
        _fill(small_disk, leave=3 * 1024 * 1024)
        ended = command.end()
    assert ended.exit_code == 4, ended.stderr
    assert "the disk of the results is almost full" in ended.stderr
    assert desk.engine.left(command.pid) == []
    assert (records.status["outcome"], records.status["step"]) == ("failed", "disk")
    (chain,) = records.status["containers"]
    assert (chain["role"], chain["exit_code"], chain["oom_killed"]) == ("chain", 0, False)
    assert records.document("summary.json")["run"]["outcome"] == "failed"
