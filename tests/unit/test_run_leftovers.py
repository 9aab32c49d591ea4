"""The sweep, on a fake engine: what goes, what stays, and what is written into results folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FakeClock, FakeEngine

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Leftover
from loadgenctl.errors import EngineError
from loadgenctl.model import Command, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.mark_interrupted import mark_interrupted
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.status import Status
from loadgenctl.run.leftovers import SweepResult, sweep

LIVE = Owner(pid=10, start="boot-100", host="here")
DEAD = Owner(pid=11, start="boot-101", host="here")
REUSED = Owner(pid=10, start="boot-99", host="here")
ELSEWHERE = Owner(pid=11, start="boot-101", host="there")


def start_of(pid: int) -> str | None:
    """The process table of this test: only pid 10 lives."""
    return {10: "boot-100"}.get(pid)


def swept(engine: FakeEngine, *, dry_run: bool = False) -> SweepResult:
    return sweep(engine, dry_run=dry_run, host="here", start_of=start_of)


def spec(name: str, owner: Owner, results: Path | None = None) -> RoleSpec:
    made = ownership_labels.make(owner, "run", "chain", results)
    return RoleSpec(name, "chain", "image", Command(("true",)), labels=made)


def leftover(kind: str, owner: Owner) -> Leftover:
    name = f"{kind}-{owner.start}"
    return Leftover(kind, name, name, ownership_labels.make(owner, "run", kind))


def test_containers_go_before_networks_and_volumes() -> None:
    engine = FakeEngine(FakeClock())
    for owner in (LIVE, DEAD, ELSEWHERE, REUSED):
        engine.create(spec(f"c-{owner.host}-{owner.start}", owner))
    for owner in (DEAD, LIVE):
        engine.other_leftovers += [leftover("volume", owner), leftover("network", owner)]

    assert swept(engine).removed == (
        "container c-here-boot-101",
        "container c-here-boot-99",
        "network network-boot-101",
        "volume volume-boot-101",
    )
    kept = {item.name for item in engine.leftovers()}
    assert kept == {
        "c-here-boot-100",
        "c-there-boot-101",
        "network-boot-100",
        "volume-boot-100",
    }


def test_volumes_without_an_owner_are_kept() -> None:
    engine = FakeEngine(FakeClock())
    engine.other_leftovers.append(
        Leftover("volume", "v", "cache", {ownership_labels.ROLE: "cache"})
    )
    assert sweep(engine).removed == ()
    assert len(engine.leftovers()) == 1


class StubbornEngine(FakeEngine):
    """One container cannot be removed."""

    def remove_leftover(self, item: Leftover) -> None:
        if item.name == "stuck":
            raise EngineError("stuck")
        super().remove_leftover(item)


def test_what_cannot_be_removed_does_not_keep_the_others(tmp_path: Path) -> None:
    engine = StubbornEngine(FakeClock())
    folder = results(tmp_path / "run")
    for name in ("stuck", "other"):
        engine.create(spec(name, DEAD, folder))
    done = swept(engine)
    with pytest.raises(EngineError, match="stuck"):
        done.check()
    assert [item.name for item in engine.leftovers()] == ["stuck"]
    assert status(folder)["outcome"] == "interrupted"


def results(folder: Path, **fields: Any) -> Path:
    """A results folder of the dead owner's run, unless told otherwise."""
    folder.mkdir()
    said = Status(**{"step": "stage 1", "stage": 1, "owner": DEAD, **fields})
    (folder / "status.json").write_bytes(document_bytes(said.to_json()))
    return folder


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "status.json").read_bytes())
    return found


def test_the_results_of_a_dead_run_are_marked_once_for_all_its_containers(tmp_path: Path) -> None:
    folder = results(tmp_path / "run")
    engine = FakeEngine(FakeClock())
    for name in ("chain", "holder"):
        engine.create(spec(name, DEAD, folder))

    assert swept(engine, dry_run=True).marked == (f"would mark {folder} as interrupted",)
    assert status(folder)["outcome"] == "running"
    assert len(engine.leftovers()) == 2
    assert swept(engine).marked == (f"marked {folder} as interrupted",)

    said = status(folder)
    assert (said["outcome"], said["exit_code"], said["stage"]) == ("interrupted", None, 1)
    assert "process is gone" in said["reason"]
    found = RunFolder(folder).status
    assert found is not None
    assert found.killed
    assert swept(engine).marked == ()


@pytest.mark.parametrize("owner", [LIVE, ELSEWHERE])
def test_a_folder_whose_owner_lives_or_is_not_of_this_host_is_not_touched(
    tmp_path: Path, owner: Owner
) -> None:
    folder = results(tmp_path / "run", owner=owner)
    engine = FakeEngine(FakeClock())
    engine.create(spec("chain", owner, folder))
    before = (folder / "status.json").stat()
    assert swept(engine) == SweepResult()
    assert (folder / "status.json").stat() == before
    assert mark_interrupted(folder, owner, host="here", start_of=start_of) is None


@pytest.mark.parametrize(
    "fields", [{"owner": LIVE}, {"outcome": "failed", "exit_code": 4}, {"owner": None}]
)
def test_a_folder_that_another_run_has_or_whose_run_has_ended_stays(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    folder = results(tmp_path / "run", **fields)
    before = (folder / "status.json").read_bytes()
    engine = FakeEngine(FakeClock())
    engine.create(spec("chain", DEAD, folder))
    done = swept(engine)
    assert (done.removed, done.marked) == (("container chain",), ())
    assert (folder / "status.json").read_bytes() == before


def test_a_folder_that_is_gone_or_damaged_is_told_and_keeps_nothing(tmp_path: Path) -> None:
    engine = FakeEngine(FakeClock())
    engine.create(spec("a", DEAD, tmp_path / "gone"))
    damaged = results(tmp_path / "damaged")
    (damaged / "status.json").write_bytes(b"\x00{")
    engine.create(spec("b", DEAD, damaged))
    done = swept(engine)
    assert done.removed == ("container a", "container b")
    assert done.error is None
    gone, broken = done.marked
    assert f"there is no results folder {tmp_path / 'gone'}" in gone
    assert f"{damaged} has no status" in broken


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = results(tmp_path / "run")
    # A folder in the place of the file that is written first: that fails for root, too.
    (folder / ".status.json.tmp").mkdir()
    told = mark_interrupted(folder, DEAD, host="here", start_of=start_of)
    assert told is not None
    assert told.startswith(f"{folder} cannot be marked as interrupted: ")
    assert status(folder)["outcome"] == "running"


def test_this_process_marks_nothing_of_its_own(tmp_path: Path) -> None:
    folder = results(tmp_path / "run", owner=Owner.current())
    assert Owner.current().pid == os.getpid()
    assert mark_interrupted(folder, Owner.current()) is None
    assert status(folder)["outcome"] == "running"
