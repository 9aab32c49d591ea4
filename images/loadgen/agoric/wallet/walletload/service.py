"""The driver's side of the load service's protocol (docs/load-service.md)."""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any, Dict, List, Mapping

from .errors import LoadError
from .pool import Pool
from .wallet import Timing

MAX_LINE = 1 << 20
DEFAULT_LIMIT = 1
Json = Any


def say(text: str) -> None:
    """One line in the role's log."""
    sys.stdout.write(f"driver: {text}\n")
    sys.stdout.flush()


def detail(timings: List[Timing]) -> Dict[str, Json]:
    """The measured values of a cycle's offers, as lists in the order of the offers."""
    return {
        "inclusionSeconds": [round(timing.inclusion, 3) for timing in timings],
        "settlementSeconds": [round(timing.settlement, 3) for timing in timings],
        "includedHeight": [timing.included for timing in timings],
        "settledHeight": [timing.settled for timing in timings],
        "gas": [timing.gas for timing in timings],
    }


class Service:
    """One connection to the load service."""

    def __init__(self, pools: Mapping[str, Pool], channel: socket.socket) -> None:
        """`channel` is connected."""
        self._pools = pools
        self._channel = channel
        self._writing = threading.Lock()

    def run(self) -> int:
        """Answer messages until a stop (returns 0) or the end of the connection (returns 1)."""
        hello = {"type": "hello", "protocol": 1, "driver": "agoric-wallet", "simulated": False}
        self._write({**hello, "tasks": list(self._pools)})
        say("said hello")
        with self._channel.makefile("rb") as lines:
            while True:
                line = lines.readline(MAX_LINE + 1)
                if not line.endswith(b"\n"):
                    say("the load service went away")
                    return 1
                message = json.loads(line)
                if message.get("type") == "stop":
                    say("stopped")
                    return 0
                if message.get("type") in ("prepare", "run"):
                    # In a thread, because a cycle waits for the chain.
                    threading.Thread(target=self._handle, args=(message,), daemon=True).start()

    def _handle(self, message: Mapping[str, Json]) -> None:
        kind = "prepared" if message["type"] == "prepare" else "result"
        answer: Dict[str, Json] = {"type": kind, "id": message["id"], "success": True}
        try:
            pool = self._pool(message.get("task"))
            if kind == "prepared":
                pool.prepare(int(message.get("limit", DEFAULT_LIMIT)))
                say(f"{message['task']} is prepared")
            else:
                answer["detail"] = detail(pool.cycle())
        except Exception as error:  # noqa: BLE001 - the service must get an answer to each request
            text = str(error) if isinstance(error, LoadError) else f"unexpected: {error!r}"
            say(f"{message.get('task')} {kind} {message['id']} failed: {text}")
            answer.update(success=False, error=text[:2000])
        self._write(answer)

    def _pool(self, task: Json) -> Pool:
        pool = self._pools.get(str(task))
        if pool is None:
            raise LoadError(f"there is no task {task!r}")
        return pool

    def _write(self, message: Mapping[str, Json]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode("utf-8") + b"\n"
        try:
            with self._writing:
                self._channel.sendall(data)
        except OSError as error:
            # The reading side notices the end of the connection and ends the driver.
            say(f"an answer is lost: {error}")
