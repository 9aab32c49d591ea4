"""The keeper of a local container: `python -m loadgenctl.engines.local_keeper FOLDER`.

The parent process of the container's main process and of every command executed in it. It adopts
all their orphans, of any session, so the container consists of exactly the keeper's descendants.
When the main process has ended, the keeper ends the rest, records the exit code and exits. If the
controller is killed, the container continues to run.

Its only output is `started`, or why the main process could not be started.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from loadgenctl.engines import local_log_file
from loadgenctl.engines.local_processes import (
    adopt_orphans,
    all_processes,
    descendants,
    die_with_parent,
    kill,
    kill_all,
    read_process,
)
from loadgenctl.engines.local_registry import Container, Folder, Process, State
from loadgenctl.owner import process_start
from loadgenctl.process import Job, begin_job

STARTED = "started"
TRIM_EVERY = 10.0
"""Interval, in seconds, at which the log's size is checked."""
END_WITHIN = 5.0
"""Time limit, in seconds, for killed processes to end."""
NOT_FOUND = 127
_REQUEST = 256 * 1024


@dataclass(slots=True)
class Client:
    """A connection that requests the execution of a command; it ends with the response."""

    channel: socket.socket
    received: bytes = b""
    output: int | None = None
    """File descriptor for both outputs of the command."""
    pid: int | None = None
    """The command, while a client waits for it."""


class Keeper:
    """Runs one container from its start to its end."""

    def __init__(self, folder: Folder, container: Container) -> None:
        """Does not start anything yet; see `run`."""
        self._folder = folder
        self._container = container
        self._clients: list[Client] = []
        self._jobs: dict[int, Job] = {}
        """All running children that were started here."""
        self._selector = selectors.DefaultSelector()
        self._ending = False

    def run(self) -> int:
        """Start the main process and wait for its end; return the keeper's own exit code."""
        adopt_orphans()
        self._handle_signals()
        log = os.open(self._folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._listen()
        try:
            main = self._begin(self._container.argv, log)
        except OSError as error:
            _say(f"{error.filename or self._container.argv[0]}: {error.strerror}")
            return 1
        state = State(
            self._container.id,
            keeper=_this(os.getpid()),
            main=_this(main.pid),
            started_at=time.time(),
        )
        self._folder.write_state(state)
        _say(STARTED)
        try:
            state = replace(state, exit_code=self._stay(main, log))
        except BaseException as error:
            state = replace(state, exit_code=137, error=f"its keeper failed: {error!r}")
            raise
        finally:
            self._end_the_rest()
            local_log_file.trim(log, self._container.log_max_bytes)
            self._folder.write_state(state)
        return 0

    def _begin(self, argv: Sequence[str], output: int) -> Job:
        job = begin_job(
            argv,
            env=dict(os.environ),
            cwd=self._container.workdir,
            output=output,
            prepare=die_with_parent,
        )
        self._jobs[job.pid] = job
        return job

    def _handle_signals(self) -> None:
        def end(_number: int, _frame: FrameType | None) -> None:
            self._ending = True

        def ignore(_number: int, _frame: FrameType | None) -> None:
            # Not SIG_IGN: the container's processes would inherit that.
            return

        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, end)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, ignore)
        self._selector.register(reading, selectors.EVENT_READ, lambda: os.read(reading, 4096))

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        descriptor = os.open(self._folder.path, os.O_RDONLY | os.O_DIRECTORY)
        address = Path(self._folder.socket(descriptor))
        address.unlink(missing_ok=True)
        listener.bind(str(address))
        os.close(descriptor)
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def _stay(self, main: Job, log: int) -> int:
        """Wait until the main process has ended or SIGTERM arrives; return its exit code."""
        trim_at = time.monotonic() + TRIM_EVERY
        while not self._ending:
            for key, _ in self._selector.select(max(0.0, trim_at - time.monotonic())):
                respond: Callable[[], object] = key.data
                respond()
            self._reap()
            code = main.exit_code()
            if code is not None:
                return code
            if time.monotonic() >= trim_at:
                local_log_file.trim(log, self._container.log_max_bytes)
                trim_at = time.monotonic() + TRIM_EVERY
        return 128 + signal.SIGKILL

    def _reap(self) -> None:
        """Reap every child that has ended, and send its exit code to the client that had it
        executed.
        """
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            job = self._jobs.pop(ended.si_pid, None)
            if job is None:
                os.waitpid(ended.si_pid, 0)
                continue
            code = job.exit_code()
            for client in [each for each in self._clients if each.pid == job.pid]:
                client.pid = None
                self._answer(client, {"exit_code": code})

    def _accept(self, listener: socket.socket) -> None:
        channel, _ = listener.accept()
        client = Client(channel)
        self._clients.append(client)
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._receive(client))

    def _receive(self, client: Client) -> None:
        try:
            said, descriptors, _, _ = socket.recv_fds(client.channel, 65536, 1)
        except ConnectionError:
            said, descriptors = b"", []
        client.output = descriptors[0] if descriptors else client.output
        client.received += said
        if not said or len(client.received) > _REQUEST:
            # The client no longer waits for it.
            self._disconnect(client)
        elif client.pid is None and client.received.endswith(b"\n"):
            self._execute(client)

    def _execute(self, client: Client) -> None:
        request = json.loads(client.received)
        output, client.output = client.output, None
        if output is None:
            output = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            job = self._begin(request["argv"], output)
        except OSError as error:
            os.write(output, f"{error.filename}: {error.strerror}\n".encode())
            self._answer(client, {"exit_code": NOT_FOUND})
            return
        finally:
            os.close(output)
        if request["detach"]:
            self._answer(client, {"exit_code": 0})
        else:
            client.pid = job.pid

    def _answer(self, client: Client, document: dict[str, int | None]) -> None:
        with suppress(ConnectionError):
            client.channel.sendall(json.dumps(document).encode() + b"\n")
        self._disconnect(client)

    def _disconnect(self, client: Client) -> None:
        """Close the connection, and kill what was executed for it if that still runs."""
        self._clients.remove(client)
        self._selector.unregister(client.channel)
        client.channel.close()
        if client.output is not None:
            os.close(client.output)
        if client.pid is not None:
            for seen in (read_process(client.pid), *descendants(client.pid, all_processes())):
                if seen is not None:
                    kill(seen)

    def _end_the_rest(self) -> None:
        deadline = time.monotonic() + END_WITHIN

        def late() -> bool:
            time.sleep(0.002)
            self._reap()
            return time.monotonic() >= deadline

        kill_all(lambda: descendants(os.getpid(), all_processes()), late)


def main(arguments: Sequence[str]) -> int:
    """Run the container of a folder; return the keeper's exit code."""
    folder = Folder(Path(arguments[0]))
    container = folder.container()
    if container is None:
        _say(f"there is no container in {folder.path}")
        return 1
    return Keeper(folder, container).run()


def _this(pid: int) -> Process:
    return Process(pid, process_start(pid) or "")


def _say(text: str) -> None:
    """Print the only output, for which the starter of the keeper waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.close(silence)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
