"""Raw data goes, the oldest first; what is small, foreign or going on stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.daily_support import POLL, RAW, RUN_SECONDS, Desk, commit, raw_left
from tests.fakes import EPOCH

from loadgenctl.daily.make_attempt import RunRequest
from loadgenctl.daily.pruning import Retention
from loadgenctl.owner import Owner
from loadgenctl.sources.sdk_cache import BuildRecord, disk_usage, key_of

KIB = 64


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.runs.kib = KIB
    return desk


def run_five(desk: Desk) -> None:
    for number in range(1, 6):
        desk.branch.now = number
        assert desk.service().once() == 0


def with_raw(desk: Desk) -> list[int]:
    return [number for number in range(1, 6) if raw_left(desk.attempt(number))]


def test_the_newest_revisions_keep_their_raw_data(desk: Desk) -> None:
    desk.retention = Retention(keep=2)
    run_five(desk)
    assert with_raw(desk) == [4, 5]
    assert raw_left(desk.attempt(5)) == list(RAW)
    for number in range(1, 6):
        names = {"run.json", "status.json", "summary.json", "attempt.json"}
        assert names <= {path.name for path in desk.attempt(number).iterdir()}
        assert desk.outcome(number) == "passed"
    assert len(desk.events("pruned")) == 3


def test_none_may_be_kept(desk: Desk) -> None:
    desk.retention = Retention(keep=0)
    run_five(desk)
    assert with_raw(desk) == []


def test_what_was_removed_is_noted(desk: Desk) -> None:
    desk.retention = Retention(keep=0)
    assert desk.service().once() == 0
    note = json.loads((desk.attempt(1) / "pruned.json").read_bytes())
    assert note["removed"] == sorted(RAW)
    assert note["bytes"] >= len(RAW) * KIB * 1024
    assert note["time"] == EPOCH + RUN_SECONDS
    (event,) = desk.events("pruned")
    assert event["bytes"] == note["bytes"]


def test_the_oldest_goes_first_until_there_is_room(desk: Desk) -> None:
    one = len(RAW) * KIB * 1024
    desk.retention = Retention(keep=10, most=3 * one + one // 2)
    run_five(desk)
    assert with_raw(desk) == [3, 4, 5]


def test_a_limit_that_cannot_be_kept_is_told(desk: Desk) -> None:
    desk.retention = Retention(keep=10, most=1)
    assert desk.service().once() == 0
    assert raw_left(desk.attempt(1)) == []
    assert len(desk.events("disk-full")) == 1


def test_a_revision_that_is_still_tried_does_not_count_as_kept(desk: Desk) -> None:
    desk.retention = Retention(keep=1)
    desk.runs.endings[commit(2)] = ["failed"]
    desk.clock.at(10, desk.branch.moves(2))
    desk.follow(2 * RUN_SECONDS + 10)
    assert desk.runs.done == ["1", "2"]
    assert raw_left(desk.attempt(1))
    assert raw_left(desk.attempt(2))
    desk.follow(POLL)
    assert desk.outcome(2, 2) == "passed"
    assert not raw_left(desk.attempt(1))
    assert raw_left(desk.attempt(2))
    assert raw_left(desk.attempt(2, 2))


def test_state_and_logs_are_raw_data_wherever_they_lie(desk: Desk) -> None:
    def leave(_request: object, _folder: object) -> None:
        deep = desk.attempt(1) / "state" / "project" / "chain"
        deep.mkdir(parents=True)
        (deep / "data.mdb").write_bytes(b"x" * 1024)
        deep.chmod(0o500)
        (desk.attempt(1) / "logs").mkdir()

    desk.retention = Retention(keep=0)
    desk.runs.while_running = leave
    assert desk.service().once() == 0
    assert not (desk.attempt(1) / "state").exists()
    assert not (desk.attempt(1) / "logs").exists()


class TestWhatIsNotTouched:
    def prune(self, desk: Desk) -> list[Path]:
        pruner = desk.pruner(Retention(keep=0, most=0))
        return [desk.folder / pruned.name for pruned in pruner.prune()]

    def test_a_running_attempt(self, desk: Desk) -> None:
        assert desk.service().once() == 0
        owner = Owner.current()
        status = {
            "outcome": "running",
            "owner": {"pid": owner.pid, "start": owner.start, "host": owner.host},
        }
        (desk.attempt(1) / "status.json").write_text(json.dumps(status))
        assert self.prune(desk) == []
        assert raw_left(desk.attempt(1)) == list(RAW)

    def test_folders_that_the_service_did_not_make(self, desk: Desk) -> None:
        assert desk.service().once() == 0
        by_hand, original = desk.attempt(1, 2), desk.folder / "daily-perf-0123456789ab"
        other = desk.folder / "results" / "run-1"
        for folder in (by_hand, original, other):
            folder.mkdir(parents=True)
            (folder / RAW[0]).write_bytes(b"x")
        assert self.prune(desk) == [desk.attempt(1)]
        assert all((folder / RAW[0]).exists() for folder in (by_hand, original, other))

    def test_what_links_lead_to(self, desk: Desk, tmp_path: Path) -> None:
        assert desk.service().once() == 0
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious").write_text("x")
        (desk.attempt(1) / "state").symlink_to(elsewhere)
        desk.attempt(1).parent.rename(tmp_path / "moved")
        desk.attempt(1).parent.symlink_to(tmp_path / "moved")
        assert self.prune(desk) == []
        desk.attempt(1).parent.unlink()
        (tmp_path / "moved").rename(desk.attempt(1).parent)
        assert self.prune(desk) == [desk.attempt(1)]
        assert (elsewhere / "precious").exists()
        assert not (desk.attempt(1) / "state").is_symlink()


def test_what_is_used_is_what_the_attempts_take(desk: Desk) -> None:
    run_five(desk)
    pruner = desk.pruner(Retention(keep=0))
    assert pruner.used() == sum(disk_usage(desk.attempt(number)) for number in range(1, 6))


def build(desk: Desk, one: str) -> BuildRecord:
    """Build a commit's SDK now."""
    record = BuildRecord("agoric", one, "HEAD", "/sdk.git", "sha256:" + "ab" * 32, "1", one)
    record = replace(record, built_at=desk.clock.wall())
    key = key_of(record)
    with desk.builds.building(key, desk.clock):
        desk.builds.finish(key, desk.builds.partial(key), record)
    return record


def test_the_builds_of_old_revisions_go_unless_somebody_else_made_or_uses_them(desk: Desk) -> None:
    desk.retention = Retention(keep=1)
    foreign = build(desk, commit(1))
    desk.clock.advance(1)

    def builds_unless_built(request: RunRequest, _folder: Path) -> None:
        if request.commit != commit(1):
            build(desk, request.commit)

    desk.runs.while_running = builds_unless_built
    for number in (1, 2, 3):
        desk.branch.now = number
        assert desk.service().once() == 0
    used = next(entry for entry in desk.builds.list() if entry.record.commit == commit(3))
    with desk.builds.in_use(used.source):
        for number in (4, 5):
            desk.branch.now = number
            assert desk.service().once() == 0
    kept = {entry.record.commit for entry in desk.builds.list()}
    assert kept == {commit(1), commit(3), commit(5)}
    assert desk.builds.lookup(foreign) is not None
    assert [row["what"] for row in desk.events("pruned")].count("build") == 2
    desk.branch.now = 6
    assert desk.service().once() == 0
    assert {entry.record.commit for entry in desk.builds.list()} == {commit(1), commit(6)}
