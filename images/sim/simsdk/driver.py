"""The load driver: receives commands over a Unix socket, runs cycles, reports each result."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from .config import SimConfig
from .console import complain, say
from .faults import FaultBook
from .tasks import CYCLES, PREPARATIONS, CycleError, Scratch
from .web import Client, UnreachableError

Json = Any
MAX_LINE = 1 << 20


class SoloLink:
    """The solo's interface for one cycle; one object per thread."""

    def __init__(self, config: SimConfig) -> None:
        """The time limit of calls is a little longer than the solo's."""
        self._client = Client(config.solo.port, timeout=config.solo.tx_timeout + 5)
        self.scratch = Scratch(self._read, self._write)

    def send(self, contract: str, method: str, args: Mapping[str, Json]) -> Json:
        """One round trip to the chain and back. Raises `CycleError`."""
        message = {"contract": contract, "method": method, "args": args}
        try:
            status, answer = self._client.call("POST", "/tx", {"message": message})
        except UnreachableError as error:
            raise CycleError(f"{contract}.{method}: the solo did not answer: {error}") from error
        if status != 200 or "error" in answer:
            raise CycleError(f"{contract}.{method}: {answer.get('error')}")
        return answer["data"]

    def ready(self) -> bool:
        """True if the solo accepts transactions."""
        try:
            return bool(self._client.get("/status")["ready"])
        except UnreachableError:
            return False

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _read(self, key: str) -> Json:
        try:
            return self._client.get(f"/scratch/{key}")["value"]
        except UnreachableError as error:
            raise CycleError(str(error)) from error

    def _write(self, key: str, value: Json) -> None:
        try:
            self._client.call("PUT", f"/scratch/{key}", {"value": value})
        except UnreachableError as error:
            raise CycleError(str(error)) from error


class Load(Protocol):
    """What the driver uses to run cycles; each cycle has its own thread."""

    @property
    def tasks(self) -> Sequence[str]:
        """The names of the tasks."""

    def ready(self) -> bool:
        """True if cycles can run."""

    def prepare(self, task: str) -> None:
        """Prepare a task. Raises `CycleError`."""

    def cycle(self, task: str, seq: int) -> Json:
        """Run a cycle; return its detail. Raises `CycleError`."""


class SoloLoad:
    """The load through a solo."""

    tasks = tuple(CYCLES)

    def __init__(self, config: SimConfig) -> None:
        """The solo need not be running yet."""
        self._config = config

    def ready(self) -> bool:
        """True if the solo accepts transactions."""
        with closing(SoloLink(self._config)) as link:
            return link.ready()

    def prepare(self, task: str) -> None:
        """See `tasks.PREPARATIONS`."""
        with closing(SoloLink(self._config)) as link:
            PREPARATIONS[task](link.send, link.scratch)

    def cycle(self, task: str, _seq: int) -> Json:
        """See `tasks.CYCLES`."""
        with closing(SoloLink(self._config)) as link:
            return CYCLES[task](link.send)


class Driver:
    """One connection to the load service."""

    def __init__(
        self, config: SimConfig, load: Load, stage: int | None, channel: socket.socket
    ) -> None:
        """`channel` is connected."""
        self._config = config
        self._load = load
        self._faults = FaultBook(config.faults, stage, config.seed)
        self._channel = channel
        self._write_lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def run(self) -> int:
        """Run until a stop (0), the end of the connection (1), or a timeout before readiness
        (1).
        """
        if not self._wait_ready():
            complain("sim-driver: the solo was not ready in time, or the wallets were not")
            return 1
        unavailable = {
            task: f"simulated lack of {task}"
            for task in self._load.tasks
            if self._faults.unavailable(task)
        }
        if self._faults.first("driver-silent") is not None:
            say("sim-driver", "simulated silence: no hello")
        else:
            self._write(
                {
                    "type": "hello",
                    "protocol": 1,
                    "driver": "sim",
                    "simulated": True,
                    "tasks": [task for task in self._load.tasks if task not in unavailable],
                    "unavailable": unavailable,
                }
            )
        with self._channel.makefile("rb") as lines:
            while True:
                line = lines.readline(MAX_LINE + 1)
                if not line.endswith(b"\n"):
                    complain("sim-driver: the load service is gone")
                    return 1
                message = json.loads(line)
                if message.get("type") == "stop":
                    return self._finish()
                if message.get("type") in ("prepare", "run"):
                    self._spawn(message)

    def _wait_ready(self) -> bool:
        deadline = time.monotonic() + self._config.driver.connect_timeout
        pause = min(max(self._config.chain.block_time / 4, 0.02), 0.5)
        while not self._load.ready():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
        return True

    def _spawn(self, message: Json) -> None:
        self._running = {thread for thread in self._running if thread.is_alive()}
        thread = threading.Thread(target=self._handle, args=(message,), daemon=True)
        self._running.add(thread)
        thread.start()

    def _finish(self) -> int:
        deadline = time.monotonic() + self._config.driver.stop_grace
        for thread in self._running:
            thread.join(max(0.0, deadline - time.monotonic()))
        return 0

    def _handle(self, message: Json) -> None:
        kind = "prepared" if message["type"] == "prepare" else "result"
        answer: dict[str, Json] = {"type": kind, "id": message["id"], "success": True}
        try:
            if kind == "prepared":
                self._prepare(message["task"])
            else:
                answer["detail"] = self._cycle(message["task"], message["seq"])
        except (CycleError, KeyError, TypeError) as error:
            text = str(error) if isinstance(error, CycleError) else f"unexpected answer: {error!r}"
            complain(f"sim-driver: {message.get('task')} {kind} {message['id']} failed: {text}")
            answer.update(success=False, error=text)
            if isinstance(error, CycleError) and error.detail is not None:
                answer["detail"] = error.detail
        self._write(answer)

    def _prepare(self, task: str) -> None:
        if task not in self._load.tasks:
            raise CycleError(f"there is no task {task!r}")
        if self._faults.for_prepare(task) is not None:
            raise CycleError(f"simulated failure of the preparation of {task}")
        self._load.prepare(task)
        say("sim-driver", f"{task} is prepared")

    def _cycle(self, task: str, seq: int) -> Json:
        if task not in self._load.tasks:
            raise CycleError(f"there is no task {task!r}")
        fault = self._faults.for_cycle(task, seq)
        if fault is not None and fault.kind == "driver-exit":
            complain(f"sim-driver: simulated exit at cycle {seq} of {task}")
            os._exit(fault["exit_code"])
        if fault is not None and fault.kind == "driver-hang":
            threading.Event().wait()
        detail = self._load.cycle(task, seq)
        if fault is not None:
            failure = CycleError(f"simulated failure of cycle {seq} of {task}")
            failure.detail = detail
            raise failure
        return detail

    def _write(self, message: Json) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            with self._write_lock:
                self._channel.sendall(data)
        except OSError as error:
            # The reading thread detects the end of the connection and ends the driver.
            complain(f"sim-driver: an answer is lost: {error}")
