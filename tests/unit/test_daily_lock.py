"""One instance per folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.fakes import EPOCH, FakeClock

from loadgenctl.daily.lock import LOCK, LockOwner, read_owner, sole_instance
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.owner import Owner


@contextmanager
def held(folder: Path, owner: Owner | None) -> Iterator[int]:
    """The lock held by another process, with this owner written into it."""
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if owner is not None:
            file.write(json.dumps(asdict(LockOwner("queue", EPOCH, owner))).encode())
            file.flush()
        yield file.fileno()


def gone() -> Owner:
    return replace(Owner.current(), start="long-ago")


def enter(folder: Path, clock: FakeClock, said: list[str]) -> None:
    with sole_instance(folder, "daily", clock, said.append):
        said.append("entered")


def test_the_holder_is_written_down(tmp_path: Path) -> None:
    with sole_instance(tmp_path, "daily", FakeClock(), print) as descriptor:
        assert read_owner(tmp_path / LOCK) == LockOwner("daily", EPOCH, Owner.current())
        assert os.fstat(descriptor).st_ino == (tmp_path / LOCK).stat().st_ino


def test_a_second_instance_is_told_who_holds_it(tmp_path: Path) -> None:
    said: list[str] = []
    with held(tmp_path, Owner.current()), pytest.raises(UsageError) as refused:
        enter(tmp_path, FakeClock(), said)
    assert refused.value.exit_code == 2
    for word in ("loadgenctl queue", f"process {os.getpid()}", "since 20"):
        assert word in refused.value.message
    assert said == []


def test_a_holder_that_nobody_here_can_know_is_believed(tmp_path: Path) -> None:
    away = replace(Owner.current(), host="elsewhere")
    with held(tmp_path, away), pytest.raises(UsageError, match="of another host or container"):
        enter(tmp_path, FakeClock(), [])
    (tmp_path / LOCK).unlink()
    with held(tmp_path, None), pytest.raises(UsageError, match="another loadgenctl"):
        enter(tmp_path, FakeClock(), [])


@pytest.mark.parametrize(
    "change",
    [
        {"since": "today"},
        {"since": 1e17},
        {"owner": []},
        {"owner": {"pid": "1"}},
        {"command": None},
    ],
)
def test_a_damaged_holder_is_nobody(tmp_path: Path, change: dict[str, object]) -> None:
    with held(tmp_path, Owner.current()):
        document = json.loads((tmp_path / LOCK).read_bytes()) | change
        (tmp_path / LOCK).write_text(json.dumps(document))
        with pytest.raises(UsageError, match="in use by another loadgenctl"):
            enter(tmp_path, FakeClock(), [])
    for text in ("", "[" * 9000, "[]", "7"):
        (tmp_path / LOCK).write_text(text)
        assert read_owner(tmp_path / LOCK) is None


def test_a_dead_owner_s_lock_is_taken_over(tmp_path: Path) -> None:
    with held(tmp_path, gone()):
        pass
    said: list[str] = []
    enter(tmp_path, FakeClock(), said)
    assert said == ["entered"]
    holder = read_owner(tmp_path / LOCK)
    assert holder is not None
    assert holder.owner == Owner.current()


def test_the_run_of_a_dead_owner_is_waited_for(tmp_path: Path) -> None:
    clock, said = FakeClock(), list[str]()
    with held(tmp_path, gone()) as descriptor:
        # The run inherited the descriptor: when it ends, the lock is free.
        clock.at(100, lambda: fcntl.flock(descriptor, fcntl.LOCK_UN))
        enter(tmp_path, clock, said)
    assert said == [
        "a run of a killed service is still in progress; waiting for its end",
        "entered",
    ]
    assert 100 <= clock.monotonic() < 101


def test_whoever_takes_it_while_it_is_waited_for_goes_first(tmp_path: Path) -> None:
    clock = FakeClock()

    def takes_it() -> None:
        document = json.dumps(asdict(LockOwner("daily", EPOCH, Owner.current())))
        (tmp_path / LOCK).write_text(document)

    with held(tmp_path, gone()):
        clock.at(50, takes_it)
        with pytest.raises(UsageError, match="loadgenctl daily"):
            enter(tmp_path, clock, [])


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match=r"cannot use .*missing"):
        enter(tmp_path / "missing", FakeClock(), [])
