"""The service that follows a branch: order, skipping, retries, stops, and going on afterwards."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.daily_support import POLL, RETRY, RUN_SECONDS, Desk, commit
from tests.fakes import EPOCH

from loadgenctl.daily.history import LONGEST_PAUSE, Attempt, History, read_attempt
from loadgenctl.daily.make_attempt import RunRequest
from loadgenctl.errors import EngineUnavailable, Interrupted, RevisionNotFound, UsageError

UNREACHABLE = UsageError("cannot fetch from /sdk.git", detail="fatal: no route")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_newest_revision_is_run_with_the_options_and_recorded(desk: Desk) -> None:
    desk.follow(RUN_SECONDS + 1)
    (request,) = desk.runs.requests
    assert (request.commit, request.options) == (commit(1), ("--stages", "1"))
    assert desk.runs.folders == [desk.attempt(1)]
    about = json.loads((desk.attempt(1) / "attempt.json").read_bytes())
    assert about == {
        "commit": commit(1),
        "attempt": 1,
        "started_at": EPOCH,
        "options": ["--stages", "1"],
        "branch": "main",
        "repository": "/sdk.git",
        "commit_time": 1_600_000_001,
        "ended_at": EPOCH + RUN_SECONDS,
        "exit_code": 0,
    }


def test_a_finished_revision_waits_for_the_next_one_at_every_poll(desk: Desk) -> None:
    desk.follow(RUN_SECONDS + 5 * POLL - 1)
    assert desk.runs.done == ["1"]
    assert desk.branch.looks == 1 + 5
    assert desk.clock.slept == [0.0] + [POLL] * 5
    assert len(desk.events("idle")) == 1, "it is not said at every look"


def test_a_new_revision_is_run_at_the_next_poll(desk: Desk) -> None:
    desk.clock.at(RUN_SECONDS + 1, desk.branch.moves(2))
    desk.follow(3 * POLL)
    assert desk.runs.done == ["1", "2"]
    assert desk.runs.times[1] == RUN_SECONDS + POLL


def test_of_several_that_came_meanwhile_the_newest_is_run(desk: Desk) -> None:
    desk.clock.at(10, desk.branch.moves(2))
    desk.clock.at(20, desk.branch.moves(3))
    desk.follow(5 * POLL)
    assert desk.runs.done == ["1", "3"]
    assert desk.folders() == ["1/attempt-1", "3/attempt-1"]
    assert desk.runs.times[1] == RUN_SECONDS, "after a run it looks at once"


def test_a_branch_that_goes_back_to_a_finished_revision_runs_nothing(desk: Desk) -> None:
    desk.clock.at(10, desk.branch.moves(2))
    desk.clock.at(2 * RUN_SECONDS + 10, desk.branch.moves(1))
    desk.follow(10 * POLL)
    assert desk.runs.done == ["1", "2"]


def test_a_failed_attempt_is_tried_again_after_a_pause_that_doubles(desk: Desk) -> None:
    desk.limit = 4
    desk.runs.endings[commit(1)] = ["died", "build", "error"]
    desk.follow(20 * POLL)
    assert desk.runs.done == ["1"] * 4
    starts = [0.0]
    for pause in (RETRY, 2 * RETRY, 4 * RETRY):
        starts.append(starts[-1] + RUN_SECONDS + pause)
    assert desk.runs.times == pytest.approx(starts)
    assert [desk.outcome(1, n) for n in (1, 2, 3, 4)] == ["died", "failed", "error", "passed"]
    assert [row["failures"] for row in desk.events("retry")] == [1, 2, 3]


def test_after_the_last_attempt_it_is_given_up_and_not_taken_for_done(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = ["failed"] * 9
    desk.clock.at(20 * POLL, desk.branch.moves(2))
    desk.follow(30 * POLL)
    assert desk.runs.done == ["1", "1", "1", "2"]
    (gave_up,) = desk.events("gave-up")
    assert (gave_up["commit"], gave_up["failures"]) == (commit(1), 3)
    assert [row["outcome"] for row in desk.events("idle")] == ["gave-up", "passed"]


def test_the_pause_has_an_end(desk: Desk) -> None:
    desk.limit = 12
    desk.runs.endings[commit(1)] = ["failed"] * 12
    desk.follow(12 * (LONGEST_PAUSE + RUN_SECONDS + POLL))
    pauses = [
        b - a - RUN_SECONDS for a, b in zip(desk.runs.times, desk.runs.times[1:], strict=False)
    ]
    assert max(pauses) == LONGEST_PAUSE
    assert len(pauses) == 11


def test_a_newer_revision_goes_before_a_retry(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = ["failed"]
    desk.clock.at(RUN_SECONDS + 10, desk.branch.moves(2))
    desk.follow(5 * POLL)
    assert desk.runs.done == ["1", "2"]
    (overtaken,) = desk.events("overtaken")
    assert (overtaken["commit"], overtaken["by"]) == (commit(1), commit(2))


def test_a_failed_look_is_told_and_waited_out(desk: Desk) -> None:
    desk.branch.now = UNREACHABLE
    desk.clock.at(3 * POLL - 1, desk.branch.moves(1))
    desk.follow(10 * POLL)
    assert desk.runs.done == ["1"]
    assert desk.runs.times == [3 * POLL]
    rows = desk.events("look-failed")
    assert len(rows) == 3
    assert rows[0]["reason"] == UNREACHABLE.message
    assert rows[0]["detail"] == "fatal: no route"


def test_a_branch_that_never_was_ends_the_service(desk: Desk) -> None:
    desk.branch.now = RevisionNotFound("no branch 'mian'")
    with pytest.raises(RevisionNotFound):
        desk.service().forever()
    assert desk.runs.requests == []


def test_a_branch_that_goes_away_does_not(desk: Desk) -> None:
    desk.clock.at(10, desk.branch.moves(RevisionNotFound("no branch 'main'")))
    desk.clock.at(3 * POLL, desk.branch.moves(2))
    desk.follow(6 * POLL)
    assert desk.runs.done == ["1", "2"]
    assert "the branch is gone" in " ".join(desk.said)


def test_without_an_engine_no_attempt_is_spent(desk: Desk) -> None:
    desk.not_ready = EngineUnavailable("no engine answers")

    def engine_comes() -> None:
        desk.not_ready = None

    desk.clock.at(10 * RETRY - 1, engine_comes)
    desk.follow(10 * POLL)
    assert desk.runs.times == [10 * RETRY]
    assert desk.folders() == ["1/attempt-1"]
    assert len(desk.events("not-ready")) == 10


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (RuntimeError("boom"), "internal error: RuntimeError: boom"),
        (UsageError("the program x is not installed"), "the program x is not installed"),
    ],
)
def test_a_run_that_raises_is_a_failed_attempt(desk: Desk, trouble: Exception, reason: str) -> None:
    desk.runs.endings[commit(1)] = [trouble]
    desk.follow(5 * POLL)
    assert desk.runs.done == ["1", "1"]
    status = json.loads((desk.attempt(1) / "status.json").read_bytes())
    assert status["outcome"] in {"error", "failed"}
    assert status["reason"] == reason
    assert desk.outcome(1, 2) == "passed"


def test_a_run_without_results_gets_a_status_that_says_why(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = ["no-status"] * 3
    desk.follow(10 * POLL)
    assert desk.runs.done == ["1"] * 3, "it counts as a failure, whatever its code"
    status = json.loads((desk.attempt(1) / "status.json").read_bytes())
    assert (status["outcome"], status["exit_code"]) == ("failed", 2)
    assert status["reason"] == "no engine answers"
    assert status["last_lines"] == ["starting", "error: no engine answers", "hint: x"]


@pytest.mark.parametrize("ending", ["killed", "swept"])
def test_a_killed_run_counts_and_its_pause_begins_at_its_end(desk: Desk, ending: str) -> None:
    desk.runs.endings[commit(1)] = [ending]
    desk.follow(5 * POLL)
    assert desk.runs.times == [0, RUN_SECONDS + RETRY]
    (first, _) = desk.events("attempt-ended")
    assert first["outcome"] == "killed"


def test_what_a_killed_run_left_on_the_engine_does_not_go_on_until_the_next_one(
    desk: Desk,
) -> None:
    desk.limit = 1
    desk.left = ["container of a service that was killed"]
    desk.runs.endings[commit(1)] = ["killed"]
    desk.runs.while_running = lambda _request, _folder: desk.left.append("container of this run")
    desk.follow(5 * POLL)
    assert [row["name"] for row in desk.events("swept")] == [
        "container of a service that was killed",
        "container of this run",
    ]


def test_a_stop_in_mid_run_waits_for_its_end_and_does_not_count(desk: Desk) -> None:
    desk.limit = 1
    desk.follow(RUN_SECONDS / 2)
    assert desk.clock.monotonic() == RUN_SECONDS, "the run ends in its own way"
    assert desk.outcome(1) == "interrupted"
    desk.follow(RUN_SECONDS + 1)
    assert desk.runs.done == ["1", "1"]
    assert desk.runs.times[1] == RUN_SECONDS, "what was interrupted goes on at once"
    assert desk.outcome(1, 2) == "passed"


def test_a_run_that_somebody_else_ended_is_not_begun_again_at_once(desk: Desk) -> None:
    desk.limit = 1
    desk.runs.endings[commit(1)] = ["interrupted"]
    desk.follow(5 * POLL)
    assert desk.runs.times == [0, RUN_SECONDS + RETRY]
    assert desk.outcome(1, 2) == "passed"


def test_a_stop_while_waiting_ends_at_once(desk: Desk) -> None:
    desk.follow(RUN_SECONDS + 7)
    assert desk.clock.monotonic() == RUN_SECONDS + 7


def test_the_next_start_runs_nothing_that_is_done(desk: Desk) -> None:
    desk.follow(RUN_SECONDS + 1)
    desk.follow(5 * POLL)
    assert desk.runs.done == ["1"]


def test_the_next_start_goes_on_counting_and_waits_the_pause_out(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = ["failed"] * 3
    desk.follow(RUN_SECONDS + 1)
    desk.follow(10 * POLL)
    assert desk.runs.done == ["1"] * 3
    assert desk.runs.times[1] == RUN_SECONDS + RETRY


@pytest.mark.parametrize(
    "text",
    [
        '{"commit": 7, "started_at": "yesterday", "ended_at": []}',
        '{"commit": "c", "started_at": 1e300, "ended_at": true}',
        '{"commit": "c", "started_at": {"a": 1}, "ended_at": "nan"}',
        '{"a": ' * 5000 + "1" + "}" * 5000,
        "[]",
        '{"commit": "c", ',
        "\x00",
        "",
    ],
)
@pytest.mark.parametrize("name", ["attempt.json", "status.json"])
def test_a_damaged_document_of_an_attempt_does_not_end_the_service(
    desk: Desk, name: str, text: str
) -> None:
    desk.runs.endings[commit(1)] = ["failed"]
    desk.follow(RUN_SECONDS + 1)
    (desk.attempt(1) / name).write_text(text)
    desk.follow(RUN_SECONDS + 3 * POLL)
    assert desk.runs.done == ["1", "1"]
    assert desk.outcome(1, 2) == "passed"


def test_a_pipe_or_a_link_named_as_an_attempts_document_holds_nothing_up(
    desk: Desk, tmp_path: Path
) -> None:
    desk.follow(RUN_SECONDS + 1)
    document = desk.attempt(1) / "attempt.json"
    document.unlink()
    os.mkfifo(document)
    assert read_attempt(desk.attempt(1)) is None
    document.unlink()
    document.symlink_to("/etc/passwd")
    assert read_attempt(desk.attempt(1)) is None


def test_a_clock_that_was_set_back_makes_no_pause_longer(desk: Desk) -> None:
    # The failure seems to be ten years ahead.
    ended = EPOCH + 10 * 365 * 86400
    failed = Attempt(1, desk.folder, commit(1), EPOCH, "failed", ended)
    stopped = Attempt(1, desk.folder, commit(1), EPOCH, "interrupted", ended)
    for attempts, longest in (
        ((failed,), RETRY),
        ((failed, failed), 2 * RETRY),
        ((stopped,), RETRY),
    ):
        assert History(attempts).pause(EPOCH, first=RETRY, since=EPOCH) == longest


@pytest.mark.parametrize(
    ("code", "outcome", "failures"),
    [
        (0, "error", 1),
        (1, "error", 1),
        (2, "failed", 1),
        (4, "failed", 1),
        (129, "interrupted", 0),
        (130, "interrupted", 0),
        (134, "error", 1),
        (137, "error", 1),
        (143, "interrupted", 0),
    ],
)
def test_a_run_that_left_no_status_is_judged_by_its_exit_code(
    desk: Desk, code: int, outcome: str, failures: int
) -> None:
    desk.runs.endings[commit(1)] = [code]
    desk.follow(RUN_SECONDS + 1)
    assert desk.outcome(1) == outcome
    history = desk.attempts().history(RunRequest(desk.attempt(1).parent.name, commit(1)))
    assert history.failures == failures
    assert not history.passed, "a run without results did not pass, whatever it says"
    assert history.attempts[0].reason


def test_a_start_that_was_killed_before_its_run_leaves_a_number(desk: Desk) -> None:
    desk.attempt(1).mkdir(parents=True)
    desk.attempt(1, 7).parent.joinpath("attempt-7").mkdir()
    desk.follow(RUN_SECONDS + 1)
    assert desk.runs.folders[0] == desk.attempt(1, 8)


def test_a_folder_of_that_name_is_not_taken_for_done(desk: Desk) -> None:
    folder = desk.attempt(1).parent
    folder.mkdir()
    (folder / "perf.jsonl").write_text("{}\n")
    desk.follow(RUN_SECONDS + 1)
    assert desk.runs.done == ["1"]


def test_a_folder_that_cannot_be_made_is_told_and_waited_out(desk: Desk) -> None:
    in_the_way = desk.attempt(1).parent
    in_the_way.write_text("a file")
    desk.clock.at(2 * POLL - 1, in_the_way.unlink)
    desk.follow(5 * POLL)
    assert desk.runs.times == [2 * POLL]
    assert len(desk.events("trouble")) == 2


def room(size: int) -> None:
    """From now on this process can write no file that is longer, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def a_full_disk() -> Iterator[None]:
    room(0)
    try:
        yield
    finally:
        room(resource.RLIM_INFINITY)


def test_a_full_disk_leaves_no_folder_at_any_poll(desk: Desk) -> None:
    with a_full_disk():
        desk.follow(4 * POLL)
    assert desk.runs.requests == []
    assert not desk.attempt(1).parent.exists()
    desk.follow(RUN_SECONDS + 1)
    assert desk.folders() == ["1/attempt-1"]


def test_a_disk_that_is_full_when_a_run_ends_leaves_no_folder_without_results(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = [UsageError("no room for results") for _ in range(4)]
    desk.runs.while_running = lambda _request, _folder: room(0)
    try:
        desk.follow(4 * POLL)
    finally:
        room(resource.RLIM_INFINITY)
    assert len(desk.runs.requests) == 1, "the next one cannot begin"
    assert desk.folders() == []
    assert any("cannot be kept" in line for line in desk.said)


def test_the_attempts_before_a_full_disk_stay(desk: Desk) -> None:
    desk.runs.endings[commit(1)] = ["failed"]
    desk.follow(RUN_SECONDS + 1)
    with a_full_disk():
        desk.follow(4 * POLL)
    assert desk.folders() == ["1/attempt-1"]


def test_a_journal_that_cannot_be_written_ends_nothing(desk: Desk) -> None:
    (desk.folder / "daily.jsonl").mkdir()
    desk.clock.at(10, desk.branch.moves(2))
    desk.follow(5 * POLL)
    assert desk.runs.done == ["1", "2"]
    warnings = [line for line in desk.said if "cannot be written" in line]
    assert len(warnings) == 1


def test_passwords_in_addresses_are_not_written_down(desk: Desk) -> None:
    desk.options = ("--sdk-repo", "https://me:secret@host.test/sdk.git")
    assert desk.service().once() == 0
    assert desk.runs.requests[0].options == desk.options
    written = [path.read_text() for path in desk.folder.rglob("*.json*")]
    assert not any("secret" in text for text in written)


class TestOnce:
    def test_it_runs_what_is_due_and_ends_with_its_code(self, desk: Desk) -> None:
        desk.runs.endings[commit(1)] = ["died"]
        assert desk.service().once() == 4
        assert desk.service().once() == 0
        assert desk.runs.times == [0, RUN_SECONDS], "cron's interval is the pause"

    def test_nothing_due_is_0(self, desk: Desk) -> None:
        assert desk.service().once() == 0
        assert desk.service().once() == 0
        assert desk.runs.done == ["1"]

    def test_what_was_given_up_is_not_due(self, desk: Desk) -> None:
        desk.runs.endings[commit(1)] = ["build"] * 9
        assert [desk.service().once() for _ in range(4)] == [3, 3, 3, 0]
        assert len(desk.events("gave-up")) == 1

    def test_one_newest_revision_and_no_more(self, desk: Desk) -> None:
        desk.runs.while_running = lambda _request, _folder: desk.branch.moves(5)()
        assert desk.service().once() == 0
        assert desk.runs.done == ["1"]

    def test_what_the_service_waits_out_is_raised(self, desk: Desk) -> None:
        desk.branch.now = UNREACHABLE
        with pytest.raises(UsageError, match="cannot fetch"):
            desk.service().once()
        desk.branch.now = 1
        desk.not_ready = EngineUnavailable("no engine answers")
        with pytest.raises(EngineUnavailable):
            desk.service().once()
        assert desk.folders() == []

    def test_an_interrupted_run_is_130(self, desk: Desk) -> None:
        service = desk.service()
        desk.clock.after(10, lambda: desk.interrupts.request("SIGTERM"))
        assert service.once() == 130
        assert desk.outcome(1) == "interrupted"

    def test_a_killed_run_is_1(self, desk: Desk) -> None:
        desk.runs.endings[commit(1)] = ["killed"]
        assert desk.service().once() == 1


def test_a_stop_while_looking_ends_at_once(desk: Desk) -> None:
    desk.branch.now = Interrupted("interrupted by SIGINT")
    with pytest.raises(Interrupted):
        desk.service().forever()
