from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.errors import OutputFolderError
from loadgenctl.owner import Owner
from loadgenctl.records import schema
from loadgenctl.records.reader import RowFollower, RunFolder
from loadgenctl.records.schema import sample_row
from loadgenctl.records.status import Status


def test_a_torn_last_line_and_garbage_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / schema.PERF).write_bytes(
        b'{"type":"perf-start"}\n\xff\x00garbage\n[1]\n\n{"type":"perf-finish"}\n{"type":"to'
    )
    run = RunFolder(tmp_path)
    assert [row["type"] for row in run.perf()] == ["perf-start", "perf-finish"]
    assert run.damage[schema.PERF].torn == 1
    assert run.damage[schema.PERF].unreadable == 2


def test_the_original_s_folder_has_perf_and_slogs_only(tmp_path: Path) -> None:
    (tmp_path / schema.PERF).write_text('{"type":"perf-start"}\n')
    for name in ("client-stage-1.slog.gz", "chain-stage-10.slog.gz", "chain-stage-2.slog.gz"):
        (tmp_path / name).write_bytes(b"")
    run = RunFolder(tmp_path)
    assert run.original
    assert run.outcome is None
    assert run.run == {}
    assert [(slog.role, slog.stage, slog.codec) for slog in run.slogs()] == [
        ("chain", 2, "gzip"),
        ("chain", 10, "gzip"),
        ("client", 1, "gzip"),
    ]
    assert list(run.blocks()) == []


def test_a_run_in_a_newer_format_is_refused_and_the_remedy_named(tmp_path: Path) -> None:
    (tmp_path / schema.RUN).write_text(
        json.dumps({"schema": schema.SCHEMA_VERSION + 1, "loadgenctl": "9.0"})
    )
    with pytest.raises(OutputFolderError, match=r"loadgenctl 9\.0") as caught:
        RunFolder(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["", "nothing-here"])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputFolderError) as caught:
        RunFolder(tmp_path / name)
    assert caught.value.hint


def test_a_torn_run_json_is_counted(tmp_path: Path) -> None:
    (tmp_path / schema.RUN).write_text('{"schema":')
    run = RunFolder(tmp_path)
    assert run.run == {}
    assert run.damage[schema.RUN].unreadable == 1


def test_a_running_run_without_its_process_was_killed() -> None:
    me = Owner.current()
    assert Status(owner=me).as_found().outcome == "running"
    assert Status(owner=None).as_found().outcome == "running"
    gone = replace(me, start="another-boot-1")
    assert Status(owner=gone).as_found().outcome == "killed"
    assert Status(outcome="passed", owner=gone).as_found().outcome == "passed"


def test_a_run_of_another_host_is_taken_at_its_word() -> None:
    there = replace(Owner.current(), start="another-boot-1", host="another host")
    assert Status(owner=there).as_found().outcome == "running"


def test_status_survives_the_way_to_json_and_back() -> None:
    owner = Owner(1, "boot-2", "host")
    status = Status(outcome="failed", stage=1, last_lines=("a", "b"), owner=owner)
    assert Status.from_json(json.loads(json.dumps(status.to_json()))) == status
    odd = Status.from_json({"outcome": "exploded", "owner": 3, "from_the_future": True})
    assert odd.outcome == "error"
    assert odd.reason == "unknown outcome 'exploded'"
    odd = Status.from_json({"outcome": ["running"], "last_lines": 7})
    assert (odd.outcome, odd.last_lines) == ("error", ())


@pytest.mark.parametrize("owner", [{}, {"pid": 1, "start": 2, "host": "x"}, {"pid": "1"}, [1]])
def test_an_owner_in_another_form_is_none(owner: object) -> None:
    assert Status.from_json({"outcome": "running", "owner": owner}).owner is None


def test_a_sample_is_a_flat_row() -> None:
    values = {"memory_rss_kib": None}
    row = sample_row(1.0, 0, "agent", "process", "v1", values, name="bank", reason="gone")
    assert row == {
        "time": 1.0,
        "stage": 0,
        "source": "agent",
        "kind": "process",
        "role": "chain",
        "subject": "v1",
        "name": "bank",
        "memory_rss_kib": None,
        "reason": "gone",
    }


@given(st.lists(st.integers(1, 30), max_size=20))
def test_a_growing_file_gives_every_row_once_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("grow") / "rows.jsonl"
    content = b"".join(b'{"n":%d}\n' % number for number in range(12)) + b"broken\n" + b'{"n":12}\n'
    follower = RowFollower(path, most=17)
    got = follower.poll()
    with path.open("ab", buffering=0) as stream:
        position = 0
        for cut in [*cuts, len(content)]:
            stream.write(content[position : position + cut])
            position += cut
            got += follower.poll()
    while more := follower.poll():
        got += more
    got += follower.poll()
    assert [row["n"] for row in got] == list(range(13))
    assert follower.unreadable == 1
    assert not follower.torn


def test_a_file_that_was_replaced_by_a_shorter_one_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n":1}\n{"n":2}\n{"n"')
    follower = RowFollower(path)
    assert len(follower.poll()) == 2
    assert follower.torn
    path.write_text('{"n":3}\n')
    assert follower.poll() == [{"n": 3}]


@given(st.integers(0, 90))
def test_only_the_lines_that_begin_near_the_end(
    tmp_path_factory: pytest.TempPathFactory, last: int
) -> None:
    path = tmp_path_factory.mktemp("end") / "rows.jsonl"
    content = b"".join(b'{"n":%d}\n' % number for number in range(8, 12))
    path.write_bytes(content + b'{"n":')
    follower = RowFollower(path, last=last, most=3)
    with path.open("ab") as stream:
        stream.write(b'12}\n{"n":13}\n')
    got = []
    for _ in range(40):
        got += follower.poll()
    size = len(content) + 5
    starts = {8: 0, 9: 8, 10: 16, 11: 25, 12: 34}
    near = [number for number, start in starts.items() if start >= size - last]
    assert [row["n"] for row in got] == [*near, 13]
    assert follower.unreadable == 0


def test_an_end_that_is_not_there_yet_or_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    follower = RowFollower(path, last=0)
    path.write_text('{"n":1}\n')
    assert follower.poll() == [{"n": 1}]
    path.write_text('{"n":"a long line without an end')
    amid = RowFollower(path, last=5)
    assert amid.poll() == []
    path.write_text('{"n":2}\n')
    assert amid.poll() == [{"n": 2}]
