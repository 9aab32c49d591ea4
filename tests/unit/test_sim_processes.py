"""Chain, solo and driver as real processes on free ports: cycles, restarts, faults, ends."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from images.sim.simsdk.web import Client, UnreachableError
from tests.waiting import eventually

from loadgenctl import resources
from loadgenctl.slog.scan import SlogScanner

BIN = resources.images("sim", "bin")
PATIENCE = 60.0
"""Seconds after which a wait is a failure; no test needs them."""
QUICK = """
[chain]
block_time = 0.05
[vats]
static = ["bank", "zoe", "comms"]
dynamic = 1
[cost]
bootstrap_deliveries = 6
deliveries = 3
work = 0.1
[solo]
start_seconds = 0.0
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One of the programs, its output line by line."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for text in output:
                self._lines.put(text.rstrip())
        self._lines.put(None)

    def wait_for(self, words: str) -> str:
        """The next line that holds the words."""
        while True:
            text = self._lines.get(timeout=PATIENCE)
            assert text is not None, f"ended without {words!r}: {self.seen}"
            self.seen.append(text)
            if words in text:
                return text

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, and wait; the exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        while (text := self._lines.get(timeout=PATIENCE)) is not None:
            self.seen.append(text)
        return code

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


class Service:
    """The load service's end of the driver protocol, one exchange at a time."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(PATIENCE)
        self._channel: socket.socket | None = None

    def hello(self) -> dict[str, Any]:
        self._channel, _ = self._listener.accept()
        self._channel.settimeout(PATIENCE)
        self._lines = self._channel.makefile("rb")
        return self.receive()

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._lines.readline())
        return message

    def send(self, **message: Any) -> None:
        assert self._channel is not None
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def ask(self, **message: Any) -> dict[str, Any]:
        self.send(**message)
        return self.receive()

    def close(self) -> None:
        if self._channel is not None:
            self._lines.close()
            self._channel.close()
        self._listener.close()


class World:
    """A folder, two ports, and the programs started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rpc_port = free_port()
        self.config = folder / "sim.toml"
        self.config.write_text(QUICK)
        self.env = {
            "SIM_CONFIG": str(self.config),
            "SIM_RPC_PORT": str(self.rpc_port),
            "SIM_SOLO_PORT": str(free_port()),
            "SIM_STAGE": "0",
        }
        self.programs: list[Program] = []
        self.services: list[Service] = []

    def start(self, program: str, *arguments: str, **env: str) -> Program:
        self.programs.append(Program([str(BIN / program), *arguments], {**self.env, **env}))
        return self.programs[-1]

    def run(self, program: str, *arguments: str) -> Program:
        done = self.start(program, *arguments)
        done.end()
        return done

    def fault(self, text: str) -> None:
        self.config.write_text(f"{QUICK}\n[[fault]]\n{text}\n")

    def chain(self, slog: str = "chain.slog", *, wait: bool = True) -> Program:
        home = str(self.folder / "chain")
        assert self.run("sim-chain", "init", "--home", home).process.returncode == 0
        path = str(self.folder / slog)
        chain = self.start("sim-chain", "start", "--home", home, SLOGFILE=path)
        if wait:
            chain.wait_for("block-manager: block")
        return chain

    def solo(self) -> Program:
        home = str(self.folder / "solo")
        assert self.run("sim-solo", "init", "--home", home).process.returncode == 0
        assert self.run("sim-solo", "provision", "--home", home).process.returncode == 0
        solo = self.start("sim-solo", "start", "--home", home, SOLO_SLOGFILE=f"{home}.slog")
        solo.wait_for("swingset running")
        solo.wait_for("Deployed Wallet!")
        return solo

    def driver(self, *arguments: str) -> tuple[Program, Service]:
        path = self.folder / f"driver-{len(self.services)}.sock"
        service = Service(path)
        self.services.append(service)
        return self.start("sim-driver", *arguments, LOADGEN_SOCKET=str(path)), service

    def rpc(self, path: str) -> Any:
        client = Client(self.rpc_port)
        try:
            return client.get(path)["result"]
        finally:
            client.close()

    def height(self) -> int:
        return int(self.rpc("/status")["sync_info"]["latest_block_height"])

    def scanned(self, slog: str) -> SlogScanner:
        scanner = SlogScanner()
        scanner.feed((self.folder / slog).read_bytes())
        scanner.finish()
        return scanner

    def close(self) -> None:
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
                program.end()
        for service in self.services:
            service.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def test_cycles_pass_through_solo_and_chain_also_after_a_restart_of_the_chain(world: World) -> None:
    chain = world.chain("first.slog")
    solo = world.solo()
    driver, service = world.driver()
    hello = service.hello()
    assert (hello["simulated"], hello["tasks"]) == (True, ["faucet", "amm", "vault"])
    for number, task in enumerate(hello["tasks"]):
        answer = service.ask(type="prepare", id=number, task=task)
        assert answer == {"type": "prepared", "id": number, "success": True}
        answer = service.ask(type="run", id=number, task=task, seq=1)
        assert answer["success"], answer
    height = world.height()
    assert chain.end(signal.SIGINT) == 0

    # The solo and the driver live on; a cycle begun while the chain is away ends when it is back.
    service.send(type="run", id=9, task="faucet", seq=2)
    chain = world.chain("second.slog")
    answer = service.receive()
    assert (answer["id"], answer["success"]) == (9, True)
    assert world.height() > height

    service.send(type="stop")
    assert driver.end() == 0
    assert solo.end(signal.SIGTERM) == 0
    assert chain.end(signal.SIGTERM) == 0
    state = json.loads((world.folder / "solo" / "solo.json").read_text())
    assert set(state["scratch"]) == {"faucet", "amm", "vault"}
    for slog in ("first.slog", "second.slog"):
        scanner = world.scanned(slog)
        assert not scanner.anomalies
        assert sum(block.deliveries for block in scanner.take_blocks()) >= 9


def test_provisioning_may_be_repeated(world: World) -> None:
    world.chain()
    world.solo()
    again = world.run("sim-solo", "provision", "--home", str(world.folder / "solo"))
    assert again.process.returncode == 0
    assert "was provisioned already" in again.seen[-1]


def test_workers_look_like_the_real_ones_and_leave_with_the_chain(world: World) -> None:
    chain = world.chain()
    workers = chain.workers()
    assert [worker.name() for worker in workers] == ["xsnap"] * 3
    shown = [worker.cmdline() for worker in workers]
    assert [argv[1] for argv in shown] == ["v1:bank", "v2:zoe", "v4:undefined"]
    assert {Path(argv[0]).name for argv in shown} == {"xsnap"}
    assert chain.end(signal.SIGTERM) == 0
    assert not any(worker.is_running() for worker in workers)


def test_a_killed_chain_leaves_no_worker_and_loses_no_block(world: World) -> None:
    chain = world.chain("first.slog")
    eventually(lambda: world.height() >= 3, "block 3")
    workers = chain.workers()
    height = world.height()
    assert chain.end(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not any(worker.is_running() for worker in workers), "the workers' end")
    world.chain("second.slog")
    assert world.rpc(f"/block?height={height}")["block"]["header"]["height"] == str(height)


def test_a_dead_worker_ends_the_chain(world: World) -> None:
    chain = world.chain()
    next(worker for worker in chain.workers() if worker.cmdline()[1] == "v2:zoe").kill()
    world.run("sim-solo", "init", "--home", str(world.folder / "solo"))
    world.start("sim-solo", "provision", "--home", str(world.folder / "solo"))
    assert chain.end() == 1
    assert any("panic: v2:zoe exited" in text for text in chain.seen)


def test_the_rpc_answers_like_the_real_one(world: World) -> None:
    world.chain()
    assert world.rpc("/health") == {}
    status = world.rpc("/status")
    assert status["node_info"]["moniker"] == "simulated"
    assert status["sync_info"]["catching_up"] is False
    assert world.rpc("/num_unconfirmed_txs")["n_txs"] == "0"
    with pytest.raises(UnreachableError, match="must be less than or equal to"):
        world.rpc("/block?height=1000000")
    with pytest.raises(UnreachableError, match="answered 404"):
        world.rpc("/nothing")


def test_a_crash_fault_ends_with_its_code_before_the_block_is_committed(world: World) -> None:
    world.fault('kind = "chain-crash"\nat_block = 3\nexit_code = 7')
    chain = world.chain(wait=False)
    assert chain.end() == 7
    finished = [text for text in chain.seen if text.endswith("commit")]
    assert "block 2 commit" in finished[-1]


def test_a_consensus_failure_stops_the_blocks_but_not_the_node(world: World) -> None:
    world.fault('kind = "consensus-failure"\nat_block = 2')
    chain = world.chain()
    chain.wait_for("CONSENSUS FAILURE!!!")
    assert world.height() == 1
    assert chain.end(signal.SIGINT) == 0


def test_spoiled_slog_lines_cost_only_themselves(world: World) -> None:
    world.config.write_text(
        QUICK
        + '[[fault]]\nkind = "slog-torn"\nat_block = 2\n'
        + '[[fault]]\nkind = "slog-garbage"\nat_block = 3\n'
        + '[[fault]]\nkind = "slog-huge"\nat_block = 4\nmib = 1\n'
    )
    chain = world.chain()
    chain.wait_for("block 5 commit")
    chain.end(signal.SIGINT)
    heights = [block.block_height for block in world.scanned("chain.slog").take_blocks()]
    assert heights[:5] == [1, 2, 3, 4, 5]


def test_a_stall_with_an_end_only_delays_the_blocks(world: World) -> None:
    world.fault('kind = "chain-stall"\nat_block = 2\nseconds = 0.2')
    chain = world.chain()
    chain.wait_for("block 3 commit")
    began = [text for text in chain.seen if text.endswith("begin")]
    assert len(set(began)) == len(began)
    first, second = world.rpc("/block?height=2"), world.rpc("/block?height=3")
    assert first["block"]["header"]["time"] < second["block"]["header"]["time"]


def test_a_memory_hog_keeps_what_it_takes(world: World) -> None:
    world.fault('kind = "memory-hog"\nat_block = 2\nmib = 80')
    chain = world.chain()
    chain.wait_for("block 2 commit")
    assert psutil.Process(chain.process.pid).memory_info().rss > 80 << 20


def test_a_solo_that_is_never_ready_and_a_driver_that_gives_up(world: World) -> None:
    world.chain()
    world.config.write_text(
        f'{QUICK}\n[driver]\nconnect_timeout = 0.5\n[[fault]]\nkind = "solo-never-ready"\n'
    )
    home = str(world.folder / "solo")
    world.run("sim-solo", "init", "--home", home)
    world.start("sim-solo", "start", "--home", home).wait_for("swingset running")
    driver, _service = world.driver()
    assert driver.end() == 1
    assert "the solo was not ready in time" in driver.seen[-1]


def test_a_hanging_cycle_does_not_keep_the_driver_from_ending(world: World) -> None:
    world.chain()
    world.solo()
    world.config.write_text(
        f'{QUICK}\n[driver]\nstop_grace = 0.2\n[[fault]]\nkind = "driver-hang"\nat_cycle = 1\n'
        '[[fault]]\nkind = "prepare-fails"\ntask = "amm"\n'
    )
    driver, service = world.driver()
    service.hello()
    answer = service.ask(type="prepare", id=1, task="amm")
    assert answer["error"] == "simulated failure of the preparation of amm"
    service.send(type="run", id=2, task="faucet", seq=1)
    service.send(type="stop")
    assert driver.end() == 0


def test_a_provisioning_that_fails(world: World) -> None:
    world.fault('kind = "provision-fails"\nstage = 0')
    home = str(world.folder / "solo")
    world.run("sim-solo", "init", "--home", home)
    assert world.run("sim-solo", "provision", "--home", home).process.returncode == 1


def test_failing_cycles_and_a_driver_that_exits(world: World) -> None:
    world.config.write_text(
        QUICK
        + '[[fault]]\nkind = "cycle-fails"\ntask = "faucet"\nevery = 2\n'
        + '[[fault]]\nkind = "driver-exit"\ntask = "faucet"\nat_cycle = 3\nexit_code = 5\n'
    )
    world.chain()
    world.solo()
    driver, service = world.driver()
    service.hello()
    assert service.ask(type="run", id=1, task="faucet", seq=1)["success"]
    answer = service.ask(type="run", id=2, task="faucet", seq=2)
    assert not answer["success"]
    assert answer["error"] == "simulated failure of cycle 2 of faucet"
    assert "no task" in service.ask(type="run", id=3, task="dance", seq=1)["error"]
    service.send(type="run", id=4, task="faucet", seq=3)
    assert driver.end() == 5


def test_a_solo_that_dies_after_some_transactions(world: World) -> None:
    world.chain()
    world.fault('kind = "solo-dies"\nafter_txs = 1\nexit_code = 6')
    home = str(world.folder / "solo")
    world.run("sim-solo", "init", "--home", home)
    world.run("sim-solo", "provision", "--home", home)
    assert world.start("sim-solo", "start", "--home", home).end() == 6


def test_a_driver_whose_service_is_gone_fails(world: World) -> None:
    world.chain()
    world.solo()
    driver, service = world.driver()
    service.hello()
    service.close()
    assert driver.end() == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("sim-chain", "start", "--home", "/nonexistent"), "run `sim-chain init"),
        (("sim-solo", "start", "--home", "/nonexistent"), "run `sim-solo init"),
        (("sim-driver",), "LOADGEN_SOCKET is not set"),
        (("sim-chain", "init", "--home", "/x", "--config", "/nonexistent"), "cannot read"),
    ],
)
def test_bad_usage_says_what_to_do(world: World, argv: tuple[str, ...], words: str) -> None:
    done = world.run(*argv)
    assert done.process.returncode == 2
    assert words in done.seen[-1]
