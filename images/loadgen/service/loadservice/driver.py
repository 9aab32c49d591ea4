"""The driver: a child process that runs cycles, and exchanges JSON lines over a Unix socket.

See docs/load-service.md for the messages. The driver connects to the socket named by
LOADGEN_SOCKET, says hello once it can run cycles, and answers each `prepare` and `run` by its id.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

PROTOCOL = 1
MAX_LINE = 1024 * 1024
"""Bytes of one message."""
SOCKET_VARIABLE = "LOADGEN_SOCKET"

Message = Dict[str, Any]


class DriverError(Exception):
    """The driver could not be started, broke the protocol, or ended."""


class Driver:
    """The child process and its connection. `on_message` gets everything after hello."""

    def __init__(self, argv: Sequence[str], on_message: Callable[[Message], None]) -> None:
        """Nothing is started yet."""
        self._argv = list(argv)
        self._on_message = on_message
        self._folder: Optional[str] = None
        self._server: Optional[asyncio.AbstractServer] = None
        self._child: Optional["asyncio.subprocess.Process"] = None
        self._writer: Optional[asyncio.StreamWriter] = None
        loop = asyncio.get_running_loop()
        self._hello: "asyncio.Future[Message]" = loop.create_future()
        self._ended: "asyncio.Future[str]" = loop.create_future()
        self._eof = asyncio.Event()
        self._tasks: List["asyncio.Task[None]"] = []

    @property
    def ended(self) -> "asyncio.Future[str]":
        """Done when the driver can run no more cycles; the result says why."""
        return self._ended

    @property
    def exit_code(self) -> Optional[int]:
        """The exit code, negative for a signal; None while the driver runs or if it never did."""
        return self._child.returncode if self._child is not None else None

    async def start(self) -> None:
        """Open the socket and start the child; `DriverError` if its program cannot be run."""
        # Only this user can enter the folder, so no other user's process can pose as the driver.
        self._folder = tempfile.mkdtemp(prefix="loadgen-")
        path = str(Path(self._folder, "driver.sock"))
        self._server = await asyncio.start_unix_server(self._connected, path, limit=MAX_LINE)
        try:
            self._child = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sys.stderr,
                stderr=sys.stderr,
                env={**os.environ, SOCKET_VARIABLE: path},
                # Its own group: a Ctrl-C for the service must not kill it before it gets the
                # message `stop`, and the processes that it leaves can be killed.
                start_new_session=True,
            )
        except OSError as error:
            reason = "cannot start the driver %s: %s" % (self._argv[0], error.strerror)
            raise DriverError(reason) from error
        self._tasks.append(asyncio.ensure_future(self._watch(self._child)))

    async def hello(self, timeout: float) -> Message:
        """The driver's hello; `DriverError` if the driver ends before, or sends none in time."""
        either: "List[asyncio.Future[Any]]" = [self._hello, self._ended]
        await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self._hello.done():
            return self._hello.result()
        if self._ended.done():
            raise DriverError(self._ended.result())
        raise DriverError("the driver said no hello within %.0f s" % timeout)

    def send(self, message: Message) -> None:
        """Queue one message; without effect if the driver has ended."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode("utf-8") + b"\n")

    def hurry(self) -> None:
        """Kill the driver now, so that `stop` need not wait."""
        if self._child is not None and self._child.returncode is None:
            _signal_group(self._child.pid, signal.SIGKILL)

    async def stop(self, grace: float, kill_after: float) -> None:
        """Send `stop`, then SIGTERM, then SIGKILL; no process of it remains. Idempotent."""
        self.send({"type": "stop"})
        child = self._child
        if child is not None:
            if self._writer is not None:
                await _exited(child, grace)
            for number in (signal.SIGTERM, signal.SIGKILL):
                if child.returncode is None:
                    _signal_group(child.pid, number)
                    await _exited(child, kill_after)
            # Helpers of the driver that outlived it.
            _signal_group(child.pid, signal.SIGKILL)
        # The last results of the driver may still be in the socket.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._close()

    def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._server is not None:
            self._server.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _watch(self, child: "asyncio.subprocess.Process") -> None:
        code = await child.wait()
        if self._writer is not None:
            # Its last results may still be unread; EOF follows them.
            await asyncio.wait([asyncio.ensure_future(self._eof.wait())], timeout=1.0)
        self._end(_describe_exit(code))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        try:
            await self._read(reader)
            self._eof.set()
            reason = await self._reason_of_eof()
        except DriverError as error:
            reason = str(error)
        except OSError as error:
            reason = "the driver's connection broke: %s" % error
        self._end(reason)

    async def _reason_of_eof(self) -> str:
        """A driver that hangs up is usually about to exit, and its exit code says more."""
        if self._child is not None and await _exited(self._child, 2.0):
            return _describe_exit(self._child.returncode)
        return "the driver closed its connection"

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                raise DriverError(
                    "the driver sent a line of more than %d bytes" % MAX_LINE
                ) from None
            if not line.endswith(b"\n"):
                return
            message = _parse(line)
            if message.get("type") == "hello" and not self._hello.done():
                self._hello.set_result(_checked_hello(message))
            elif self._hello.done():
                self._on_message(message)


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise DriverError("the driver sent a line that is not JSON: %r" % line[:200]) from None
    if not isinstance(message, dict):
        raise DriverError("the driver sent a line that is not an object: %r" % line[:200])
    return message


def _checked_hello(message: Message) -> Message:
    if message.get("protocol") != PROTOCOL:
        raise DriverError(
            "the driver speaks protocol %r, this service %d" % (message.get("protocol"), PROTOCOL)
        )
    tasks = message.get("tasks")
    unavailable = message.setdefault("unavailable", {})
    if not isinstance(unavailable, dict) or not all(
        _is_name(name) and isinstance(why, str) for name, why in unavailable.items()
    ):
        raise DriverError("the driver's hello says of no task why it cannot run")
    if not isinstance(tasks, list) or not all(_is_name(t) for t in tasks):
        raise DriverError("the driver's hello names no tasks")
    if not tasks and not unavailable:
        raise DriverError("the driver's hello names no tasks")
    if len(set(tasks)) != len(tasks):
        raise DriverError("the driver's hello names a task twice")
    return message


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _describe_exit(code: Optional[int]) -> str:
    if code is not None and code < 0:
        return "the driver was killed by signal %d" % -code
    return "the driver exited with code %s" % code


async def _exited(child: "asyncio.subprocess.Process", seconds: float) -> bool:
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(child.wait())), seconds)
    except asyncio.TimeoutError:
        return False
    return True


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
