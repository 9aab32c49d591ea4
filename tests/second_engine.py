"""A Docker engine of a test's own, which may be stopped, killed and started again.

It lives in namespaces of its own (network, mounts, processes): nothing of it meets the machine's
engine, and when the first process of them ends, the kernel ends all others.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import docker

_START = 30.0
"""Seconds until a started engine must answer."""
_STOP = 30.0
_LOOK = 0.05


class SecondEngine:
    """`dockerd` with its own data, containerd and socket below a folder. Needs root."""

    def __init__(self, folder: Path) -> None:
        """Start it; it answers when this returns."""
        self._folder = folder
        self._socket = folder / "docker.sock"
        self.url = f"unix://{self._socket}"
        # Should this process be killed, all of it goes, too.
        words = (
            "setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child=KILL"
            " --propagation slave --mount-proc docker-init -- sleep infinity"
        )
        self._namespaces = subprocess.Popen(words.split(), start_new_session=True)
        self._engine: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        options = {
            "data-root": self._folder / "data",
            "exec-root": self._folder / "exec",
            "pidfile": self._folder / "docker.pid",
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
            "host": self.url,
        }
        enter = ["nsenter", "--target", str(self._first()), "--net", "--mount", "--pid"]
        with (self._folder / "dockerd.log").open("ab") as log:
            self._engine = subprocess.Popen(
                [*enter, "dockerd", *(f"--{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START
        while not self.answers():
            log_end = (self._folder / "dockerd.log").read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, f"the second engine does not start:\n{log_end}"
            time.sleep(_LOOK)

    def answers(self) -> bool:
        """Whether it can be asked something now."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_START)
            try:
                asked.connect(str(self._socket))
                asked.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in asked.recv(64)
            except OSError:
                return False

    def client(self) -> docker.DockerClient:
        """A new client; the caller closes it."""
        return docker.DockerClient(base_url=self.url, timeout=60)

    def end(self, number: signal.Signals) -> None:
        """Send the engine a signal and wait for its end."""
        assert self._engine is not None
        (daemon,) = _children(self._engine.pid)
        # Not the one who entered the namespaces for it, and goes with it.
        os.kill(daemon, number)
        self._engine.wait(_STOP)

    def take_images(self, other: docker.DockerClient, *tags: str) -> None:
        """Copy images of another engine, under the same names and ids."""
        client = self.client()
        for tag in tags:
            with tempfile.TemporaryFile(dir=self._folder) as archive:
                for chunk in other.images.get(tag).save(chunk_size=1 << 20, named=tag):
                    archive.write(chunk)
                archive.seek(0)
                client.images.load(archive)
        client.close()

    def __enter__(self) -> Self:
        """Ended with all that it has at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it put its control groups in order, then end the namespaces."""
        if self._engine is not None and self._engine.poll() is None:
            self.end(signal.SIGTERM)
        self._namespaces.kill()
        self._namespaces.wait()

    def _first(self) -> int:
        deadline = time.monotonic() + _START
        while not (found := _children(self._namespaces.pid)):
            assert time.monotonic() < deadline, "no namespaces were made"
            assert self._namespaces.poll() is None, "no namespaces could be made"
            time.sleep(_LOOK)
        return found[0]


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
