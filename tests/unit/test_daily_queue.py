"""A list of revisions: how it is read, refused, worked off and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.daily_support import RETRY, RUN_SECONDS, Desk, commit, revision

from loadgenctl.cli.queue import show_results
from loadgenctl.daily.queue_service import Entry, Line, Queue, exit_code, parse, prepare
from loadgenctl.errors import EngineUnavailable, Interrupted, RevisionNotFound, UsageError
from loadgenctl.model import ResolvedRevision

COMMON = ("--stages", "2")


def accept(revision: str, options: tuple[str, ...]) -> None:
    if "--bad" in options:
        raise UsageError(f"unknown option --bad of {revision}", hint="did you mean --good?")


def resolve(name: str, options: tuple[str, ...]) -> ResolvedRevision:
    """`r7` is the revision of that number; `branch` stands at 1."""
    if name == "branch":
        return revision(1, name)
    if not name.startswith("r"):
        raise RevisionNotFound(f"no commit, tag or branch {name!r}")
    return revision(int(name[1:]), name)


def entries(text: str) -> list[Entry]:
    return prepare(parse(text), COMMON, accept, resolve)


class Lists(Desk):
    """Works lists off; `limit` is 1 as by default."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.limit = 1

    def queue(self) -> Queue:
        self.interrupts = self.runs.interrupts = type(self.interrupts)()
        return Queue(
            self.attempts(), self.journal, self.clock, self.limit, RETRY, self.ready, self.check
        )

    def work_off(self, text: str) -> int:
        queue, found = self.queue(), entries(text)
        queue.run(found)
        return exit_code(queue.results(found))


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def test_lines_have_comments_blank_ones_and_options_quoted_as_for_a_shell() -> None:
    text = """\
# the winter
fa7ff5e55e
  v2   --stages 3 --test-data.note "before # after"   # why not, don't ask

feat/#12 --test-data.note=a#b --test-data.why 'it''s'
a\\ b
"""
    assert parse(text) == [
        Line(2, "fa7ff5e55e", ()),
        Line(3, "v2", ("--stages", "3", "--test-data.note", "before # after")),
        Line(5, "feat/#12", ("--test-data.note=a#b", "--test-data.why", "its")),
        Line(6, "a b", ()),
    ]


def test_a_list_without_revisions_is_refused() -> None:
    with pytest.raises(UsageError, match="no revision"):
        parse("# nothing\n\n")


def test_all_lines_that_cannot_be_read_are_told() -> None:
    with pytest.raises(UsageError) as refused:
        parse("fine\n'open\n--stages 3\n")
    assert "lines 2, 3 cannot be run" in refused.value.message
    assert refused.value.detail == (
        "line 2: no closing quotation\nline 3: begins with the option --stages, not with a revision"
    )


def test_all_lines_with_bad_options_or_revisions_are_told(lists: Lists) -> None:
    with pytest.raises(UsageError) as refused:
        lists.work_off("r1\n\nr2 --bad\nnope\nr3 --bad")
    assert "lines 3, 5" in refused.value.message
    assert "line 3: unknown option --bad of r2 (did you mean --good?)" in str(refused.value.detail)
    with pytest.raises(UsageError) as refused:
        lists.work_off("r1\nnope\nr2\nneither")
    assert "lines 2, 4" in refused.value.message
    assert lists.runs.requests == []


def test_of_many_bad_lines_the_first_are_told_in_full() -> None:
    with pytest.raises(UsageError) as refused:
        entries("nope\n" * 50)
    detail = str(refused.value.detail).splitlines()
    assert len(detail) == 20
    assert detail[-1] == "and 31 more"
    assert ", 50 cannot" in refused.value.message


def test_the_order_is_kept_and_a_line_s_own_options_come_last(lists: Lists) -> None:
    assert lists.work_off("r3\nr1 --stages 9\nr2") == 0
    assert lists.runs.done == ["3", "1", "2"]
    assert lists.runs.requests[1].options == ("--stages", "2", "--stages", "9")
    assert lists.runs.folders[0] == (lists.folder / f"queue-{commit(3)[:12]}" / "attempt-1")


def test_the_same_revision_twice_is_measured_twice(lists: Lists) -> None:
    text = "r1\nbranch\nr1 --stages 3\nr1 --stages 4\nr1 --stages 3"
    assert lists.work_off(text) == 0
    names = [folder.parent.name for folder in lists.runs.folders]
    assert len(set(names)) == 5
    assert names[:2] == [f"queue-{commit(1)[:12]}", f"queue-{commit(1)[:12]}-2"]
    assert names[4] == f"{names[2]}-2"
    assert lists.work_off(text) == 0
    assert len(lists.runs.requests) == 5


def test_the_next_start_goes_on_where_it_was_stopped(lists: Lists) -> None:
    lists.clock.at(RUN_SECONDS * 1.5, lambda: lists.interrupts.request("SIGINT"))
    with pytest.raises(Interrupted):
        lists.work_off("r1\nr2\nr3")
    assert lists.runs.done == ["1", "2"]
    assert lists.work_off("r1\nr2\nr3") == 0
    assert lists.runs.done == ["1", "2", "2", "3"]
    assert lists.runs.times[2] == 2 * RUN_SECONDS, "at once"


def test_a_list_may_grow(lists: Lists) -> None:
    lists.work_off("r2\nr4")
    assert lists.work_off("r1\nr2 # done\nr3\nr4") == 0
    assert lists.runs.done == ["2", "4", "1", "3"]
    skipped = lists.events("skipped")
    assert [row["line"] for row in skipped] == [2, 4]


def test_a_failure_ends_nothing_and_the_first_one_gives_the_code(lists: Lists) -> None:
    lists.runs.endings = {commit(1): ["build"], commit(2): ["died"], commit(4): ["killed"]}
    assert lists.work_off("r3\nr1\nr2\nr4") == 3
    assert lists.runs.done == ["3", "1", "2", "4"]
    assert lists.work_off("r2\nr1") == 4, "in the list's order, also when nothing is run"
    assert len(lists.runs.requests) == 4


def test_more_attempts_try_a_failed_line_again(lists: Lists) -> None:
    lists.runs.endings = {commit(1): ["died"]}
    assert lists.work_off("r1\nr2") == 4
    lists.limit = 2
    assert lists.work_off("r1\nr2") == 0
    assert lists.runs.done == ["1", "2", "1"]


def test_a_line_is_tried_again_after_a_pause_before_the_next_one(lists: Lists) -> None:
    lists.limit = 3
    lists.runs.endings = {commit(1): ["died", "error"]}
    assert lists.work_off("r1\nr2") == 0
    assert lists.runs.done == ["1", "1", "1", "2"]
    assert lists.runs.times[1:3] == [
        RUN_SECONDS + RETRY,
        2 * RUN_SECONDS + 3 * RETRY,
    ]


def test_without_an_engine_no_line_is_spent(lists: Lists) -> None:
    lists.not_ready = EngineUnavailable("no engine answers")
    with pytest.raises(EngineUnavailable):
        lists.work_off("r1\nr2")
    lists.not_ready = None
    assert lists.work_off("r1\nr2") == 0


def test_the_table_tells_of_every_line(lists: Lists, capsys: pytest.CaptureFixture[str]) -> None:
    lists.runs.endings = {commit(2): ["died"]}
    lists.work_off("r1")
    queue, found = lists.queue(), entries("r1\nr2\nbranch\nr5")
    before = queue.done(found)
    lists.runs.while_running = lambda request, _folder: (
        lists.interrupts.request("SIGINT") if request.commit == commit(1) else None
    )
    with pytest.raises(Interrupted):
        queue.run(found)
    show_results(queue.results(found, before))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    short = commit(1)[:12]
    assert rows[0] == ["line", "revision", "commit", "outcome", "attempts", "minutes", "folder"]
    assert rows[1] == f"1 r1 {short} passed (before) 1 10.0 queue-{short}/attempt-1".split()
    assert rows[2][3:6] == ["died", "1", "10.0"]
    assert rows[3][:4] == ["3", "branch", short, "interrupted"]
    assert rows[4] == f"4 r5 {commit(5)[:12]} not run 0 queue-{commit(5)[:12]}".split()
    assert exit_code(queue.results(found)) == 4
