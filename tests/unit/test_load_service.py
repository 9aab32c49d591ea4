"""The load service as a process: its driver, its events and its end. The test plays the driver."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from tests.load_support import DEADLINE, HELLO, LoadService, running
from tests.waiting import eventually

FOREVER = {"interval": 600}


def test_it_says_that_it_runs_once_the_driver_is_ready(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.ready_line.startswith("server running on 127.0.0.1:")
        assert "simulated" in service.ready_line
        event = service.event("driver")
        assert (event["state"], event["tasks"]) == ("hello", HELLO["tasks"])
        assert service.get() == {}


def test_a_cycle_from_config_to_finish(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        before = time.time()
        assert service.put({"faucet": FOREVER}) == (200, b"config updated\n")
        service.prepared("faucet")
        number = service.take_run("faucet", 0)
        assert service.get("/status")["faucet"]["active"] == 1
        service.finish(number, detail={"height": 12})
        finish, start = service.event("finish"), service.event("start")
        assert before <= start["intended"] <= start["time"] <= finish["time"] <= time.time()
        assert (finish["task"], finish["seq"], finish["success"]) == ("faucet", 0, True)
        assert 0 <= finish["duration"] <= finish["latency"] < DEADLINE
        assert finish["detail"] == {"height": 12}
        assert "error" not in finish
        assert service.event("prepare")["success"] is True
        assert service.event("config")["config"] == {
            "faucet": {"interval": 600, "wait": 0, "limit": 1}
        }
        status = service.get("/status")["faucet"]
        assert [status[key] for key in ("active", "succeeded", "failed", "next", "missed")] == [
            *(0, 1, 0, 1, 0)
        ]
        assert list(service.event("status")["status"]) == HELLO["tasks"]


def test_a_preparation_says_how_many_cycles_may_be_in_flight(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": {"interval": 600, "limit": 4}})
        message = service.receive()
        assert (message["type"], message["limit"]) == ("prepare", 4)


def test_a_failed_cycle_is_told_with_its_error_and_stops_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": {"interval": 1}})
        service.prepared("faucet")
        service.finish(service.take_run("faucet", 0), success=False, error="purse is empty")
        assert service.event("finish")["error"] == "purse is empty"
        service.finish(service.take_run("faucet", 1), success=False)
        assert service.event("finish", 2)["error"] == "the driver gave no reason"
        assert service.get("/status")["faucet"]["failed"] == 2


def test_tasks_are_prepared_one_after_the_other(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"vault": FOREVER, "faucet": FOREVER})
        message = service.receive()
        assert message["task"] == "faucet"
        assert service.get("/status")["vault"]["state"] == "preparing"
        service.send({"type": "prepared", "id": message["id"], "success": True})
        assert {service.receive()["type"], service.receive()["type"]} == {"run", "prepare"}


def test_a_failed_preparation_is_an_event_and_no_cycle_starts(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": FOREVER, "amm": FOREVER})
        service.prepared("faucet", success=False, error="no such offer")
        service.prepared("amm")
        service.take_run("amm", 0)
        event = service.event("prepare")
        assert (event["task"], event["success"], event["error"]) == (
            *("faucet", False, "no such offer"),
        )
        assert service.get("/status")["faucet"]["state"] == "failed"
        assert [start["task"] for start in service.events("start")] == ["amm"]


def test_missed_starts_are_told(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": {"interval": 1}})
        service.prepared("faucet")
        number = service.take_run("faucet", 0)
        missed = service.event("missed")
        assert (missed["task"], missed["count"]) == ("faucet", 1)
        service.finish(number)
        service.take_run("faucet", 1)
        pending = service.event("start", 2)
        assert pending["time"] - pending["intended"] > 0.9
        assert service.get("/status")["faucet"]["missed"] >= 1


def test_a_new_rate_holds_at_once_and_cycles_go_on(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": {"interval": 600, "limit": 3}})
        service.prepared("faucet")
        first = service.take_run("faucet", 0)
        service.put({"faucet": {"interval": 1, "limit": 3}})
        service.take_run("faucet", 1)
        service.take_run("faucet", 2)
        service.finish(first)
        assert service.event("finish")["seq"] == 0
        service.put({})
        assert service.get("/status")["faucet"]["active"] == 2


def test_the_same_config_again_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": FOREVER})
        assert service.put({"faucet": {**FOREVER, "limit": 1.0}, "amm": None})[0] == 200
        service.put({})
        service.event("config", 2)
        assert len(service.events("config")) == 2


def test_unknown_messages_and_answers_to_nothing_are_ignored(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.send({"type": "gossip"})
        service.send({"type": "result", "id": 77, "success": True})
        service.send({"type": "result", "id": [1], "success": True})
        service.send({"type": "prepared", "id": 5, "success": True})
        service.put({"faucet": FOREVER})
        service.prepared("faucet")
        service.finish(service.take_run("faucet", 0))
        service.event("finish")


def test_the_driver_s_exit_ends_the_service_and_fails_its_cycles(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": FOREVER})
        service.prepared("faucet")
        service.take_run("faucet", 0)
        service.order("!exit 7")
        assert service.exit_code() == 3
        finish = service.event("finish")
        assert (finish["success"], finish["error"]) == (False, "the driver exited with code 7")
        end = service.event("driver", 2)
        assert (end["state"], end["expected"], end["code"]) == ("exit", False, 7)
        assert "the driver exited with code 7" in service.said()


def test_results_sent_just_before_the_driver_s_exit_count(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": FOREVER})
        service.prepared("faucet")
        service.finish(service.take_run("faucet", 0))
        service.order("!exit 0")
        assert service.exit_code() == 3
        assert service.event("finish")["success"] is True


def test_a_driver_that_hangs_up_is_gone(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.order("!hangup")
        assert service.exit_code() == 3
        assert service.event("driver", 2)["reason"] == "the driver closed its connection"
        assert not service.driver_lives()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("this is not JSON", "not JSON"),
        ("[1]", "not an object"),
        ('{"x":"' + "y" * 1024 * 1024 + '"}', "more than 1048576 bytes"),
    ],
    ids=["garbage", "list", "huge"],
)
def test_a_driver_that_breaks_the_protocol_is_refused(
    tmp_path: Path, line: str, reason: str
) -> None:
    with running(tmp_path) as service:
        service.order(line)
        assert service.exit_code() == 3
        assert reason in service.event("driver", 2)["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": 2}, "speaks protocol 2, this service 1"),
        ({"tasks": []}, "names no tasks"),
        ({"tasks": [], "unavailable": {}}, "names no tasks"),
        ({"unavailable": ["amm"]}, "says of no task why it cannot run"),
        ({"unavailable": {"amm": None}}, "says of no task why it cannot run"),
        ({"tasks": ["faucet", "faucet"]}, "names a task twice"),
    ],
)
def test_a_hello_that_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    with LoadService(tmp_path) as service:
        service.connect()
        service.send({**HELLO, **change})
        assert service.exit_code() == 3
        assert reason in service.event("driver")["reason"]


def test_a_task_that_cannot_run_is_refused_with_the_driver_s_reason(tmp_path: Path) -> None:
    with LoadService(tmp_path) as service:
        why = {"amm": "the chain has no amm"}
        service.hello({**HELLO, "tasks": ["faucet"], "unavailable": why})
        assert service.event("driver")["unavailable"] == why
        status, body = service.put({"faucet": {}, "amm": {"interval": 5}})
        assert status == 400
        assert b"'amm' cannot run here: the chain has no amm; offered are faucet" in body
        # It may be turned off, as any task.
        status, _ = service.put({"faucet": {"wait": 9}, "amm": None})
        assert status == 200


def test_a_driver_that_can_run_nothing_is_heard_with_its_reasons(tmp_path: Path) -> None:
    with LoadService(tmp_path) as service:
        service.hello({**HELLO, "tasks": [], "unavailable": {"faucet": "no board"}})
        _, body = service.put({"faucet": {}})
        assert b"no board; offered are none" in body


def test_a_driver_that_cannot_be_started(tmp_path: Path) -> None:
    with LoadService(tmp_path, driver=["/no/such/driver"]) as service:
        assert service.exit_code() == 3
        assert "cannot start the driver /no/such/driver" in service.said()
        assert service.event("driver")["state"] == "exit"


def test_a_driver_that_ends_before_hello(tmp_path: Path) -> None:
    driver = [sys.executable, "-c", "import sys; print('no solo here'); sys.exit(5)"]
    with LoadService(tmp_path, driver=driver) as service:
        assert service.exit_code() == 3
        assert "no solo here" in service.said(), "the driver's output is in the role's log"
        assert service.event("driver")["code"] == 5


def test_a_driver_that_never_says_hello(tmp_path: Path) -> None:
    with LoadService(tmp_path, "--hello-timeout", "0.1", "--stop-grace", "0.1") as service:
        assert service.exit_code() == 3
        assert "no hello within" in service.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_driver_to_stop_and_takes_its_last_results(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path) as service:
        service.put({"faucet": {"interval": 1}})
        service.prepared("faucet")
        cycle = service.take_run("faucet", 0)
        service.signal(number)
        assert service.receive() == {"type": "stop"}
        service.finish(cycle)
        service.order("!exit 0")
        assert service.exit_code() == 0
        assert service.event("finish")["success"] is True
        assert service.event("driver", 2)["expected"] is True
        assert service.event("service")["code"] == 0
        assert not service.driver_lives()


def test_a_driver_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "--stop-grace", "0.1", "--kill-after", "0.1") as service:
        service.order("!stubborn")
        service.expect_relay("stubborn")
        service.signal()
        assert service.exit_code() == 0
        assert not service.driver_lives()


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with running(tmp_path, "--stop-grace", "600") as service:
        service.order("!stubborn")
        service.expect_relay("stubborn")
        service.signal()
        assert service.receive() == {"type": "stop"}
        service.signal()
        assert service.exit_code() == 0
        assert not service.driver_lives()


def test_a_signal_while_the_driver_is_getting_ready(tmp_path: Path) -> None:
    with LoadService(tmp_path) as service:
        service.connect()
        service.signal()
        assert service.receive() == {"type": "stop"}
        service.order("!exit 0")
        assert service.exit_code() == 0


def test_a_killed_service_leaves_the_driver_an_end_of_file(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.signal(signal.SIGKILL)
        service.expect_relay("eof")


def test_helpers_of_the_driver_do_not_outlive_the_service(tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    driver = [
        *("sh", "-c", 'sleep 600 & echo $! > "$0.new"; mv "$0.new" "$0"; exit 4', str(helper))
    ]
    with LoadService(tmp_path, driver=driver) as service:
        assert service.exit_code() == 3
        # Nobody here can reap it, but it must not run any more.
        stat = Path(f"/proc/{helper.read_text().strip()}/stat")
        eventually(
            lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z",
            "the helper's end",
        )


def test_fail_fast_turns_all_off_lets_cycles_end_and_fails(tmp_path: Path) -> None:
    with running(tmp_path, "--fail-fast") as service:
        service.put({"faucet": {"interval": 1}, "amm": FOREVER})
        service.prepared("faucet")
        orders = [service.receive(), service.receive()]
        prepare = next(order for order in orders if order["type"] == "prepare")
        faucet = next(order for order in orders if order["type"] == "run")
        service.send({"type": "prepared", "id": prepare["id"], "success": True})
        amm = service.take_run("amm", 0)
        service.finish(faucet["id"], success=False, error="broken")
        eventually(lambda: service.get() == {}, "everything to be off")
        assert service.put({"faucet": FOREVER})[0] == 503
        service.finish(amm)
        assert service.receive() == {"type": "stop"}
        service.order("!exit 0")
        assert service.exit_code() == 4
        assert [event["success"] for event in service.events("finish")] == [False, True]


def test_fail_fast_after_a_failed_preparation(tmp_path: Path) -> None:
    with running(tmp_path, "--fail-fast") as service:
        service.put({"faucet": FOREVER})
        service.prepared("faucet", success=False)
        assert service.receive() == {"type": "stop"}
        service.order("!exit 0")
        assert service.exit_code() == 4


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with LoadService(tmp_path, "--port", port) as service:
            assert service.exit_code() == 1
            assert f"cannot listen on 127.0.0.1:{port}" in service.said()


def test_an_events_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with LoadService(tmp_path, "--events", str(tmp_path / "no" / "events")) as service:
        assert service.exit_code() == 1
        assert "cannot write events" in service.said()


def test_events_that_cannot_be_recorded_end_the_service(tmp_path: Path) -> None:
    with LoadService(tmp_path, "--events", "/dev/full", "--stop-grace", "0.1") as service:
        service.connect()
        service.send(HELLO)
        assert service.exit_code() == 1
        assert "cannot write events to /dev/full" in service.said()


def test_a_torn_line_of_an_earlier_service_stays_alone(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"time":1,"type":"sta')
    with running(tmp_path) as service:
        assert service.event("driver")["state"] == "hello"
        assert (tmp_path / "events.jsonl").read_text().startswith('{"time":1,"type":"sta\n{')


def test_events_on_standard_output(tmp_path: Path) -> None:
    with LoadService(tmp_path, "--events", "-") as service:
        service.connect()
        service.signal()
        assert service.receive() == {"type": "stop"}
        service.order("!exit 0")
        assert service.exit_code() == 0
        stdout = service.process.stdout
        assert stdout is not None
        assert b'"type":"service","state":"exit","code":0' in stdout.read()


def test_bad_usage(tmp_path: Path) -> None:
    with LoadService(tmp_path, "--port", "70000") as service:
        assert service.exit_code() == 2
