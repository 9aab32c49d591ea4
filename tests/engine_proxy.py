"""A Unix socket in front of the engine's that fails chosen calls: refuses, or never answers."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.tunnel import Tunnel

_BODY = b'{"message":"the test refuses this"}'
_REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


@dataclass(slots=True)
class Rule:
    """Calls whose first line (`POST /v1.41/containers/create?name=…`) matches fail."""

    pattern: str
    how: Literal["refuse", "hang"]
    times: int
    """How many of them fail; the others go through."""
    hit: int = 0
    """How many have failed."""


class EngineProxy(Tunnel):
    """Takes one call per connection, so that each can be looked at."""

    def __init__(self, path: Path) -> None:
        """Listen on `path`; everything goes through until there are rules."""
        self.rules: list[Rule] = []
        self._hanging: list[socket.socket] = []
        super().__init__(path)

    def cut(self) -> None:
        """See `Tunnel.cut`; what hangs is given up, too."""
        super().cut()
        while self._hanging:
            self._hanging.pop().close()

    def _serve(self, near: socket.socket) -> None:
        threading.Thread(target=self._look, args=(near,), daemon=True).start()

    def _look(self, near: socket.socket) -> None:
        head = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in head:
                piece = near.recv(65536)
                if not piece:
                    near.close()
                    return
                head += piece
            rule = self._rule(head.split(b"\r\n", 1)[0].decode())
            if rule is None:
                self._join(near, _one_call(head))
            elif rule.how == "hang":
                self._hanging.append(near)
            else:
                near.sendall(_REFUSAL)
                near.close()

    def _rule(self, line: str) -> Rule | None:
        with self._lock:
            for rule in self.rules:
                if rule.hit < rule.times and re.search(rule.pattern, line):
                    rule.hit += 1
                    return rule
        return None


def _one_call(head: bytes) -> bytes:
    """The head, asking the engine to close after its answer; an upgrade stays one."""
    first, _, rest = head.partition(b"\r\n")
    if re.search(rb"(?im)^upgrade:", rest):
        return head
    kept = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
    return first + b"\r\nConnection: close\r\n" + kept
