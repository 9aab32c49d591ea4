"""A network's blocks for a follower, from the RPC of a node of the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .web import Client

Json = Any


class FeedError(Exception):
    """The network answers, but cannot be followed."""


@dataclass(frozen=True)
class FedBlock:
    """A block of the network."""

    height: int
    time: float
    app_hash: str
    txs: list[Json]


class Feed:
    """Reads one node; calls raise `web.UnreachableError` while it does not answer."""

    def __init__(self, host: str, port: int, chain_id: str) -> None:
        """`chain_id` is the expected chain."""
        self._client = Client(port, timeout=5.0, host=host)
        self._chain_id = chain_id
        self.target = -1
        """The network's height at the last request."""

    def look(self) -> int:
        """The network's height. Raises `FeedError` for another chain."""
        result = self._client.get("/status")["result"]
        named = result["node_info"]["network"]
        if named != self._chain_id:
            raise FeedError(f"the network is {named!r}, not {self._chain_id!r}")
        self.target = int(result["sync_info"]["latest_block_height"])
        return self.target

    def block(self, height: int) -> FedBlock:
        """A block of the network. Raises `FeedError` for one that it no longer has."""
        status, answer = self._client.call("GET", f"/block?height={height}")
        if status != 200:
            raise FeedError(f"the network does not give block {height}: {answer.get('error')}")
        block = answer["result"]["block"]
        header = block["header"]
        return FedBlock(height, _seconds(header["time"]), header["app_hash"], block["data"]["txs"])

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()


def _seconds(stamp: str) -> float:
    """Epoch seconds of a time as the RPC prints it, in nanoseconds."""
    return datetime.strptime(stamp[:26] + "+0000", "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
