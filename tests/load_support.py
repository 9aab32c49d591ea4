"""A real load service process whose driver is played by the test.

The service starts a small relay as its driver; the relay connects the service's socket with the
test, which then reads the service's messages and answers them when it likes. Nothing has to sleep.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import eventually

from loadgenctl.records.load_cycles import Event
from loadgenctl.resources import images
from loadgenctl.roles.load_client import LoadEvents

DEADLINE = 20.0
"""Seconds after which a test gives up."""
TASKS = ("faucet", "amm", "vault")
HELLO = {"type": "hello", "protocol": 1, "driver": "fake", "simulated": True, "tasks": list(TASKS)}

# Runs as the driver: bytes go both ways; `!exit N`, `!hangup` and `!stubborn` are for itself.
RELAY = """
import os, select, signal, socket, sys, time
test = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
service = socket.socket(socket.AF_UNIX)
service.connect(os.environ["LOADGEN_SOCKET"])
test.sendall(b"!pid %d\\n" % os.getpid())
orders, open_ends = b"", [test, service]
while True:
    for end in select.select(open_ends, [], [])[0]:
        try:
            data = end.recv(65536)
        except ConnectionError:
            data = b""
        if end is service:
            if data:
                test.sendall(data)
            else:
                test.sendall(b"!eof\\n")
                open_ends.remove(service)
            continue
        if not data:
            sys.exit(9)
        *lines, orders = (orders + data).split(b"\\n")
        for line in lines:
            if line.startswith(b"!exit"):
                sys.exit(int(line.split()[1]))
            elif line == b"!hangup":
                open_ends.remove(service)
                service.close()
            elif line == b"!stubborn":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                test.sendall(b"!stubborn\\n")
            else:
                service.sendall(line + b"\\n")
"""


class LoadService:
    """The service, its driver (played by the test) and its events."""

    def __init__(self, folder: Path, *flags: str, driver: Sequence[str] | None = None) -> None:
        """Start it. `driver` replaces the relay."""
        self.events_file = folder / "events.jsonl"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE)
        relay = [sys.executable, "-c", RELAY, str(self._listener.getsockname()[1])]
        self._stderr = (folder / "stderr").open("w+b")
        # Killed, the service leaves its socket's folder; a test's own folder is too long a path.
        self._temporary = tempfile.TemporaryDirectory(prefix="lg")
        events = [] if "--events" in flags else ["--events", str(self.events_file)]
        port = [] if "--port" in flags else ["--port", "0"]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-B", str(images("loadgen", "service", "main.py"))),
                *(*events, *port, *flags, "--", *(driver or relay)),
            ],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "TMPDIR": self._temporary.name},
        )
        self.port = 0
        self.ready_line = ""
        self.driver_pid = 0
        self._driver: socket.socket | None = None
        self._received = b""
        self._reader = LoadEvents(self.events_file, stage=0)
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self._driver:
            self._driver.close()
        self._listener.close()
        said = self.said()
        self._stderr.close()
        self._temporary.cleanup()
        if self.driver_pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.driver_pid, signal.SIGKILL)
        if error is None:
            for trouble in ("Traceback", "never retrieved", "destroyed but", "Exception ignored"):
                assert trouble not in said, said

    # The driver's part.

    def connect(self) -> None:
        """Wait for the relay."""
        self._driver, _ = self._listener.accept()
        self._driver.settimeout(DEADLINE)
        self.driver_pid = int(self._line().split()[1])

    def hello(self, message: Mapping[str, Any] = HELLO) -> None:
        """Wait for the relay, say hello, and wait for the service's `server running`."""
        self.connect()
        self.send(message)
        stdout = self.process.stdout
        assert stdout is not None
        assert select.select([stdout], [], [], DEADLINE)[0], "the service printed nothing"
        self.ready_line = stdout.readline().decode()
        self.port = int(self.ready_line.split("127.0.0.1:")[1].split()[0])

    def send(self, message: Mapping[str, Any]) -> None:
        """A message to the service."""
        self.order(json.dumps(message))

    def order(self, line: str) -> None:
        """A raw line; one that begins with `!` is for the relay."""
        assert self._driver is not None
        self._driver.sendall(line.encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next message of the service."""
        message = json.loads(self._line())
        assert isinstance(message, dict)
        return message

    def _line(self) -> bytes:
        assert self._driver is not None
        while b"\n" not in self._received:
            data = self._driver.recv(65536)
            assert data, "the relay is gone"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line

    def expect_relay(self, word: str) -> None:
        """The next line is one of the relay's own."""
        assert self._line() == f"!{word}".encode()

    def prepared(self, task: str, **outcome: Any) -> None:
        """Take the order to prepare `task` and answer it (with success unless told otherwise)."""
        message = self.receive()
        assert (message["type"], message["task"]) == ("prepare", task)
        self.send({"type": "prepared", "id": message["id"], "success": True, **outcome})

    def take_run(self, task: str, seq: int) -> int:
        """Take the order to run a cycle; its id."""
        message = self.receive()
        assert (message["type"], message["task"], message["seq"]) == ("run", task, seq)
        return int(message["id"])

    def finish(self, number: int, **outcome: Any) -> None:
        """Report a cycle's end (with success unless told otherwise)."""
        self.send({"type": "result", "id": number, "success": True, **outcome})

    # The user's part.

    def http(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """One request; status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def put(self, config: object) -> tuple[int, bytes]:
        """PUT /config."""
        return self.http("PUT", "/config", json.dumps(config).encode())

    def get(self, path: str = "/config") -> Any:
        """A JSON answer."""
        status, body = self.http("GET", path)
        assert status == 200, body
        return json.loads(body)

    def raw(self, request: bytes) -> bytes:
        """Bytes out, all bytes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    # The watcher's part.

    def events(self, kind: str | None = None) -> list[Event]:
        """All events so far, or those of a type."""
        self._events += self._reader.poll()
        return [event for event in self._events if kind in {None, event["type"]}]

    def event(self, kind: str, count: int = 1) -> Event:
        """Wait for the `count`-th event of a type."""
        eventually(lambda: len(self.events(kind)) >= count, f"{count} {kind} events")
        return self.events(kind)[count - 1]

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """To the service alone."""
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(timeout=DEADLINE)

    def said(self) -> str:
        """Its standard error so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def driver_lives(self) -> bool:
        """True while the driver's process exists (as a zombie, too)."""
        try:
            os.kill(self.driver_pid, 0)
        except ProcessLookupError:
            return False
        return True


@contextlib.contextmanager
def running(folder: Path, *flags: str) -> Iterator[LoadService]:
    """A service whose driver has said hello."""
    with LoadService(folder, *flags) as service:
        service.hello()
        yield service


def client(service: LoadService, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the client that lives beside the service in the container."""
    script = str(images("loadgen", "service", "client.py"))
    return subprocess.run(
        [sys.executable, "-B", script, "--port", str(service.port), *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
