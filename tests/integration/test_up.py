"""`loadgenctl up` on a real engine: the documented requests work, and Ctrl-C is a good end.

The ports are the documented ones: what holds them is no business of these tests, which then skip.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from tests.docker_support import DockerUnderTest
from tests.integration.loadgenctl_process import (
    CHAIN_STOPPED,
    PROMPT,
    ROLES,
    Desk,
    Loadgenctl,
    Records,
)
from tests.integration.published import LOAD, PUBLISHED, RPC, ask, free

from loadgenctl.model import RELAYED

pytestmark = pytest.mark.docker

READY = "press Ctrl-C to end it"
EVERY_SECOND = '{"faucet":{"interval":1}}'
STRANGER = """
import json, socket, sys
said = []
for port in sys.argv[2:]:
    try:
        with socket.create_connection((sys.argv[1], int(port)), 20) as link:
            link.sendall(b"GET /status HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
            said.append(link.recv(100).decode())
    except OSError as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""
"""Asks each port of an address for something; prints the answers, or what kept it from one."""
Up = Callable[..., tuple[Loadgenctl, Records]]


@pytest.fixture
def up(desk: Desk) -> Iterator[Up]:
    """Brings up the simulated SDK and waits until a person is told that all is ready."""
    if not free(*PUBLISHED):
        pytest.skip("somebody uses the ports that would be published")
    started: list[Loadgenctl] = []

    def start(*options: str) -> tuple[Loadgenctl, Records]:
        command, records = desk.start("up", "--sdk", "sim", *desk.settings(), *options)
        started.append(command)
        command.until(lambda: READY in command.stdout, "all is ready")
        return command, records

    yield start
    for command in started:
        with command:
            pass


def config() -> object:
    """The load config in force."""
    return json.loads(ask(LOAD, "/config").text)


def test_the_load_is_driven_by_hand_until_ctrl_c(desk: Desk, up: Up) -> None:
    command, records = up()
    assert set(desk.engine.owned(command.pid)) == ROLES | {"relay"}
    assert config() == {}
    status = json.loads(ask(RPC, "/status").text)
    assert int(status["result"]["sync_info"]["latest_block_height"]) > 0

    assert ask(LOAD, "/config", put=EVERY_SECOND).status == 200
    command.until(lambda: records.cycles(finished_in=0) > 1, "cycles are recorded")
    on = config()
    assert on == {"faucet": {"interval": 1, "wait": 0, "limit": 1}}
    for nonsense, reason in (
        ('{"faucet":{"intervall":1}}', "did you mean 'interval'?"),
        ('{"faucett":{}}', "did you mean 'faucet'?"),
        ("nonsense", "not valid JSON"),
    ):
        refused = ask(LOAD, "/config", put=nonsense)
        assert refused.status == 400
        assert reason in json.loads(refused.text)["error"]
        assert config() == on
    assert ask(LOAD, "/config", put="{}").status == 200
    assert config() == {}

    command.ctrl_c()
    ended = command.end()
    assert ended.exit_code == 0, ended.stderr
    assert desk.engine.left(command.pid) == []
    assert free(*PUBLISHED)
    assert ended.stdout.index(READY) < ended.stdout.index("faucet  "), "then the summary is shown"
    assert "warning: interrupted" not in ended.stderr
    assert (records.status["outcome"], records.status["exit_code"]) == ("passed", 0)
    assert records.perf(0)[-4:] == ["client-stopped", *CHAIN_STOPPED]
    assert all(row["success"] for row in records.rows("cycles.jsonl"))
    assert records.rows("blocks.jsonl")
    assert records.slog("chain-stage-0.slog.gz")
    assert records.document("run.json")["plan"]["by_hand"] is True


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_other_containers_do_not_reach_what_is_published_for_this_machine(
    desk: Desk, up: Up, docker_under_test: DockerUnderTest
) -> None:
    command, _ = up("--chain-only")
    assert ask(RPC, "/status").status == 200
    with closing(docker_under_test.client()) as client:
        (holder,) = client.containers.list(filters={"publish": str(RPC)})
        address = holder.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        ports = [port + RELAYED for port in PUBLISHED]
        said = client.containers.run(
            holder.attrs["Config"]["Image"],
            ["python3", "-c", STRANGER, address, *map(str, ports)],
            remove=True,
        )
    # Closed or reset, by what is there first: the question or the refusal. No byte is answered.
    assert len(json.loads(said)) == len(ports)
    assert set(json.loads(said)) <= {"", "ConnectionResetError"}
    assert ask(RPC, "/status").status == 200
    command.ctrl_c()
    assert command.end(timeout=PROMPT).exit_code == 0
    assert desk.engine.left(command.pid) == []


def test_the_lines_that_are_printed_work_in_a_shell(desk: Desk, up: Up) -> None:
    command, records = up("--stage.loadgen.amm.interval", "1")
    assert 'read and set the load (now: {"amm":{"interval":1}})' in command.stdout
    command.until(lambda: records.cycles(finished_in=0) > 0, "the load at first runs")
    lines = [line.strip() for line in command.stdout.splitlines() if "curl " in line]
    said = [_paste(line) for line in lines]
    assert len(said) == 5
    assert json.loads(said[0])["result"]["sync_info"]
    assert json.loads(said[1]) == {"amm": {"interval": 1, "wait": 0, "limit": 1}}
    assert said[2:4] == ["config updated\n", "config updated\n"]
    states = {task: row["state"] for task, row in json.loads(said[4]).items()}
    assert states == dict.fromkeys(("faucet", "amm", "vault"), "off")
    command.signal(signal.SIGTERM)
    ended = command.end()
    assert ended.exit_code == 0, ended.stderr
    assert desk.engine.left(command.pid) == []


def _paste(line: str) -> str:
    """What a shell prints for a line; an answer that is a refusal is a failure."""
    done = subprocess.run(
        ["sh", "-c", line.replace("curl ", "curl -sS --fail ", 1)],
        check=False,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=PROMPT,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def test_a_chain_that_is_killed_ends_it_by_its_name(desk: Desk, up: Up) -> None:
    command, records = up("--chain-only")
    assert set(desk.engine.owned(command.pid)) == {"holder", "relay", "chain"}
    assert json.loads(ask(RPC, "/status").text)["result"]
    desk.engine.kill(command.pid, "chain")
    ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 4, ended.stderr
    assert "chain ended unexpectedly: killed by SIGKILL" in ended.stderr
    assert (records.status["outcome"], records.status["role"]) == ("died", "chain")
    assert desk.engine.left(command.pid) == []


def test_ports_that_are_taken_are_told(desk: Desk, up: Up) -> None:
    command, _ = up("--chain-only")
    second, records = desk.do("up", "--sdk", "sim", *desk.settings())
    assert second.exit_code == 2
    assert "of 127.0.0.1 is in use" in second.stderr
    assert "hint: stop the program that listens there" in second.stderr
    assert records.status["outcome"] == "failed"
    command.ctrl_c()
    assert command.end().exit_code == 0
