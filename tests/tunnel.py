"""A Unix socket in front of the engine's, whose connections a test can cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

ENGINE_SOCKET = Path("/var/run/docker.sock")


class Tunnel:
    """Forwards connections until they are cut; behind a `closed_gate` new ones are dropped."""

    def __init__(self, path: Path, target: Path = ENGINE_SOCKET) -> None:
        """Listen on `path`."""
        self.url = f"unix://{path}"
        self.closed_gate = False
        self.accepted = 0
        """Connections so far."""
        self._target = str(target)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every open connection."""
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        """Closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more and cut everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.closed_gate:
                near.close()
                continue
            self._serve(near)

    def _serve(self, near: socket.socket) -> None:
        self._join(near)

    def _join(self, near: socket.socket, head: bytes = b"") -> None:
        """Carry both directions to the engine, which gets `head` first."""
        far = socket.socket(socket.AF_UNIX)
        far.connect(self._target)
        if head:
            far.sendall(head)
        with self._lock:
            self._open |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            done = {source, sink} - self._open
            self._open.discard(source)
        # The second of the two directions to end closes both.
        if done:
            source.close()
            sink.close()
