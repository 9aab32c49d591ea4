"""The controller's reader of load events and its way to the config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.engines.base import ExecResult
from loadgenctl.errors import LoadFailed
from loadgenctl.records.reader import MAX_ROW
from loadgenctl.roles.load_client import Failures, LoadClient, LoadEvents


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def append(file: Path, *events: dict[str, Any] | str) -> None:
    with file.open("a") as out:
        for event in events:
            out.write(event if isinstance(event, str) else json.dumps(event) + "\n")


def start(task: str, seq: int, time: float, intended: float) -> dict[str, Any]:
    return {"time": time, "type": "start", "task": task, "seq": seq, "intended": intended}


def finish(task: str, seq: int, time: float, **fields: Any) -> dict[str, Any]:
    return {"time": time, "type": "finish", "task": task, "seq": seq, "success": True, **fields}


def test_a_file_that_is_not_there_yet_holds_no_events(file: Path) -> None:
    events = LoadEvents(file, 1)
    assert events.poll() == []
    append(file, start("faucet", 0, 100, 100))
    assert [event["type"] for event in events.poll()] == ["start"]
    assert events.poll() == []


def test_a_finished_cycle_is_a_row(file: Path) -> None:
    events = LoadEvents(file, 3)
    append(
        file,
        start("amm", 4, 110.5, 108.0),
        finish("amm", 4, 131.5, duration=20.75, latency=23.25),
    )
    events.poll()
    assert events.take_cycles() == [
        {
            "stage": 3,
            "task": "amm",
            "seq": 4,
            "intended_start": 108.0,
            "start": 110.5,
            "finish": 131.5,
            "duration_s": 20.75,
            "latency_s": 23.25,
            "success": True,
            "error": None,
        }
    ]
    assert events.take_cycles() == []
    assert events.longest_cycle == 20.75


def test_durations_that_are_not_told_are_differences_of_times(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(file, start("amm", 0, 110, 108), finish("amm", 0, 131.5))
    events.poll()
    (row,) = events.take_cycles()
    assert (row["duration_s"], row["latency_s"]) == (21.5, 23.5)


def test_counters_per_task(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(
        file,
        *(start("faucet", seq, 100, 100) for seq in range(3)),
        finish("faucet", 0, 120),
        finish("faucet", 1, 121, success=False, error="no funds"),
        {"time": 122, "type": "missed", "task": "faucet", "count": 2},
        {"time": 123, "type": "missed", "task": "faucet", "count": 1},
        start("amm", 0, 124, 124),
        {"time": 125, "type": "prepare", "task": "vault", "success": False, "error": "no vault"},
        {"time": 125, "type": "status", "status": {}},
    )
    assert len(events.poll()) == 10
    assert events.counts() == {"faucet": (1, 1, 1), "amm": (0, 0, 1), "vault": (0, 1, 0)}
    assert (events.active, events.finished, events.tasks["faucet"].missed) == (2, 2, 3)
    assert events.failures == Failures(cycles=1, preparations=1)
    assert events.last_error == "preparing vault: no vault"
    assert [(row["task"], row["seq"]) for row in events.unfinished()] == [("faucet", 2), ("amm", 0)]
    failed = events.take_cycles()[1]
    assert (failed["success"], failed["error"]) == (False, "no funds")


def test_a_torn_last_line_waits_for_its_end(file: Path) -> None:
    events = LoadEvents(file, 0)
    line = json.dumps(start("faucet", 0, 100, 100)) + "\n"
    for piece in (line[:10], line[10:-1]):
        append(file, piece)
        assert events.poll() == []
    append(file, line[-1:])
    assert len(events.poll()) == 1
    assert events.garbage == 0


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "[1]",
        '{"time":1,"type":"sta',
        '{"type":"start","task":"faucet","seq":0}',
        '{"time":true,"type":"start"}',
        '{"time":1,"type":7}',
        '{"time":1e300,"type":"start","task":"faucet","seq":0}',
        '{"time":1,"type":"start","task":"faucet","seq":"x"}',
        '{"time":1,"type":"start","task":["faucet"],"seq":1}',
        '{"time":1,"type":"finish","detail":' + "[" * 500 + "]" * 500 + "}",
        "\x00\x01",
    ],
)
def test_garbage_is_counted_and_passed_over(file: Path, line: str) -> None:
    events = LoadEvents(file, 0)
    append(file, line + "\n", "\n", start("faucet", 0, 100, 100))
    assert len(events.poll()) == 1
    assert events.garbage == 1


@pytest.mark.parametrize(
    "event",
    [
        {"time": 1, "type": "finish", "task": "faucet"},
        {"time": 1, "type": "finish", "seq": 1},
        {"time": 1, "type": "unheard-of", "task": "faucet"},
    ],
)
def test_events_that_say_nothing_make_no_row(file: Path, event: dict[str, Any]) -> None:
    events = LoadEvents(file, 0)
    append(file, event)
    assert events.poll() == [event]
    assert events.take_cycles() == []
    assert (events.active, events.finished) == (0, 0)


def test_an_endless_line_is_not_kept(file: Path) -> None:
    events = LoadEvents(file, 0)
    for _ in range(3):
        append(file, "x" * MAX_ROW)
        events.poll()
    append(file, "x\n", start("faucet", 0, 100, 100))
    assert len(events.poll()) == 1
    assert events.garbage == 1


def test_a_finish_whose_start_is_lost_is_still_a_row(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(file, finish("faucet", 7, 130, duration=5.0, latency=6.0))
    events.poll()
    (row,) = events.take_cycles()
    assert (row["start"], row["duration_s"], row["success"]) == (None, 5.0, True)
    assert events.counts() == {"faucet": (1, 0, 0)}


def test_more_events_than_a_poll_reads_at_once_are_all_taken(file: Path) -> None:
    events = LoadEvents(file, 0)
    long = {"time": 1, "type": "finish", "task": "amm", "success": True, "detail": {"x": "y" * 900}}
    append(file, *({**long, "seq": seq} for seq in range(10_000)))
    assert len(events.poll()) == 10_000
    assert events.finished == 10_000


def test_a_service_that_starts_again_has_nothing_in_flight(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(
        file,
        start("faucet", 0, 100, 100),
        {"time": 110, "type": "driver", "state": "hello"},
        start("faucet", 0, 111, 111),
    )
    events.poll()
    assert events.active == 1
    assert events.counts()["faucet"] == (0, 0, 1)


def test_a_file_that_was_begun_anew_is_read_from_its_start(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(file, start("faucet", 0, 100, 100), start("faucet", 1, 100, 100))
    events.poll()
    file.write_text("")
    append(file, start("amm", 0, 100, 100))
    assert [event["task"] for event in events.poll()] == ["amm"]


def test_a_file_that_is_begun_again_amid_a_line_too_long_loses_no_event(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(file, "x" * (MAX_ROW + 1))
    assert events.poll() == []
    file.write_text("")
    append(file, start("amm", 0, 100, 100), start("amm", 1, 101, 101))
    assert [event["seq"] for event in events.poll()] == [0, 1]


class Container:
    """Answers every command the same and keeps what it was asked."""

    def __init__(self, exit_code: int, output: bytes) -> None:
        self.asked: list[Sequence[str]] = []
        self._answer = ExecResult(exit_code, output)

    def execute(self, argv: Sequence[str]) -> ExecResult:
        self.asked.append(argv)
        return self._answer


def test_a_config_is_put_from_inside_the_container() -> None:
    container = Container(0, b"config updated\n")
    LoadClient(container.execute).put({"faucet": {"interval": 5}})
    assert container.asked == [
        [
            *("python3", "/out/tools/service/client.py"),
            *("put", '{"faucet": {"interval": 5}}'),
        ]
    ]


def test_config_and_status_are_read() -> None:
    container = Container(0, b'{"faucet": {"interval": 5}}\n')
    assert LoadClient(container.execute).get() == {"faucet": {"interval": 5}}
    assert LoadClient(container.execute).status() == {"faucet": {"interval": 5}}
    assert [argv[-1] for argv in container.asked] == ["get", "status"]


def test_a_refused_config_is_a_failed_load_with_the_service_s_words() -> None:
    container = Container(1, b"the load service refused: no task\n")
    with pytest.raises(LoadFailed) as caught:
        LoadClient(container.execute).put({})
    assert caught.value.detail == "the load service refused: no task"
    assert caught.value.role == "loadgen"


def test_an_answer_that_is_no_object_is_a_failed_load() -> None:
    with pytest.raises(LoadFailed, match="not a JSON object"):
        LoadClient(Container(0, b"[1]").execute).get()


def test_the_config_in_force_tells_how_seldom_cycles_start(file: Path) -> None:
    events = LoadEvents(file, 0)
    assert events.pause is None
    faucet, amm = {"interval": 60, "wait": 5, "limit": 1}, {"interval": 30, "wait": 90, "limit": 1}
    append(file, {"time": 1, "type": "config", "config": {"faucet": faucet, "amm": amm}})
    events.poll()
    # The amm begins late; the faucet never leaves more than its interval.
    assert events.pause == 60
    append(file, {"time": 2, "type": "config", "config": {"amm": amm}})
    events.poll()
    assert events.pause == 90
    append(file, {"time": 3, "type": "config", "config": {}})
    events.poll()
    assert events.pause is None


@pytest.mark.parametrize("config", [None, [], "x", {"faucet": None}, {"faucet": 7}])
def test_a_config_of_another_kind_turns_nothing_on(file: Path, config: object) -> None:
    events = LoadEvents(file, 0)
    append(file, {"time": 1, "type": "config", "config": config})
    events.poll()
    assert events.pause is None


def test_the_last_finished_cycles_are_remembered(file: Path) -> None:
    events = LoadEvents(file, 0)
    append(file, *(finish("faucet", seq, seq) for seq in range(10)))
    events.poll()
    assert [row["seq"] for row in events.recent] == [7, 8, 9]
