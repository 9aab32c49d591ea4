"""The real SDK, built and put under all three loads: about a quarter of an hour, more to build it.

Two variables say where it is to be found:

    LOADGENCTL_REAL_SDK      its git repository: a path or a URL
    LOADGENCTL_REAL_CONFIG   a loadgenctl.toml with the site's settings, where the build needs any

The build is kept in the cache as that of any run.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.loadgenctl_process import ROLES, Desk, Ended, Records

REPOSITORY = os.environ.get("LOADGENCTL_REAL_SDK", "")
CONFIG = os.environ.get("LOADGENCTL_REAL_CONFIG")

pytestmark = [
    pytest.mark.docker,
    pytest.mark.real,
    pytest.mark.skipif(not REPOSITORY, reason="LOADGENCTL_REAL_SDK does not say where it is"),
]

REVISION = "fa7ff5e55e"
TASKS = ("faucet", "amm", "vault")
BUILD = 3 * 3600.0
"""Seconds until the chain must be started; the SDK is built before."""
LOAD_MINUTES = 8
RUN = 3600.0
"""Seconds the run itself may take."""
SECOND_START = 15.0
"""Seconds from the command to the chain's container, once the revision is built."""


def options(*more: str) -> tuple[str, ...]:
    """Which SDK, as a run is told."""
    site = ("--config", str(Path(CONFIG).resolve())) if CONFIG else ()
    return ("run", *site, "--sdk-repo", REPOSITORY, "--revision", REVISION, *more)


@dataclass(frozen=True, slots=True)
class RealRun:
    """A run that has ended, and what its containers were while it was under load."""

    ended: Ended
    records: Records
    containers: dict[str, dict[str, Any]]
    left: list[str]


@pytest.fixture(scope="module")
def whole(desk: Desk) -> RealRun:
    """Three stages, the one in the middle with all three tasks."""
    load = [word for task in TASKS for word in (f"--stage.loadgen.{task}.interval", "15")]
    stages = ("--stages", "3", "--stage.duration", str(LOAD_MINUTES), "--monitor-interval", "1")
    command, records = desk.start(*options(*stages, *load))
    with command:
        command.until(lambda: records.reached("run-chain-start", 0), "it is built", BUILD)
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes", RUN)
        containers = {role: desk.engine.inspect(command.pid, role) for role in ROLES}
        ended = command.end(RUN)
    return RealRun(ended, records, containers, desk.engine.left(command.pid))


def test_it_passes_with_cycles_of_every_task_and_leaves_nothing(whole: RealRun) -> None:
    assert whole.ended.exit_code == 0, whole.ended.stderr
    assert whole.left == []
    cycles = whole.records.rows("cycles.jsonl")
    assert [row for row in cycles if row["success"] is not True] == []
    done = Counter(row["task"] for row in cycles)
    assert {task: done[task] > 0 for task in TASKS} == dict.fromkeys(TASKS, True)


def test_roles_were_separate_containers_without_privileges(whole: RealRun) -> None:
    assert len({document["Id"] for document in whole.containers.values()}) == len(ROLES)
    for role in ROLES - {"holder"}:
        document = whole.containers[role]
        host = document["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
        assert document["Config"]["User"].partition(":")[0] not in {"", "0", "root"}


def test_the_kernel_and_its_vats_were_sampled(whole: RealRun) -> None:
    names = {
        row["subject"]: row["name"]
        for row in whole.records.rows("samples.jsonl")
        if row["stage"] == 1 and row["kind"] == "process" and row["reason"] is None
    }
    assert "kernel" in names
    vats = {subject: name for subject, name in names.items() if re.fullmatch(r"v\d+", subject)}
    assert len(vats) >= 20
    assert {"bank", "zoe"} <= set(vats.values())


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_slogs_are_whole(whole: RealRun, stage: int) -> None:
    events = whole.records.slog(f"chain-stage-{stage}.slog.gz")
    assert events[-1]["type"] == "cosmic-swingset-end-block-finish"


def test_storage_was_saved(whole: RealRun) -> None:
    for name in ("chain-storage-stage-0", "chain-storage-stage-1", "client-storage-stage-1"):
        assert (whole.records.folder / f"{name}.tar.zst").stat().st_size > 1_000_000


def test_a_second_run_starts_its_chain_at_once(whole: RealRun, desk: Desk) -> None:
    assert whole.ended.exit_code == 0
    command, records = desk.start(*options("--stages", "1"))
    with command:
        command.until(
            lambda: desk.engine.owned(command.pid).get("chain") == "running",
            "the chain's container runs",
            SECOND_START,
        )
        command.ctrl_c()
        ended = command.end(RUN)
    assert ended.exit_code == 130
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []
