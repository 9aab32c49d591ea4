"""The soak's own look at the engine, and its hand in it: only what belongs to a given owner."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import docker
from docker import DockerClient
from docker.errors import APIError

from loadgenctl.cli.wiring import DOCKER, connect
from loadgenctl.engines import ownership_labels
from loadgenctl.owner import Owner


def left_by(owners: frozenset[Owner]) -> list[str]:
    """Kinds and names of what these processes made and is still there."""
    with connect(DOCKER) as engine:
        items = engine.leftovers()
    return [f"{i.kind} {i.name}" for i in items if ownership_labels.owner_of(i.labels) in owners]


class Hand:
    """What is done to the containers of one owner."""

    def __init__(self, client: DockerClient, owner: Owner) -> None:
        """The client is the caller's."""
        self._api = client.api
        self._owner = owner

    def running(self, role: str) -> str | None:
        """The id of the role's container once it runs."""
        wanted = {
            "label": [
                f"{ownership_labels.OWNER_PID}={self._owner.pid}",
                f"{ownership_labels.ROLE}={role}",
            ]
        }
        for item in self._api.containers(filters=wanted):
            if (
                ownership_labels.owner_of(item["Labels"]) == self._owner
                and item["State"] == "running"
            ):
                return str(item["Id"])
        return None

    def kill(self, container: str) -> bool:
        """Kill it; False if it was too late for that."""
        return self._done(lambda: self._api.kill(container, signal="SIGKILL"))

    def pause(self, container: str) -> bool:
        """Stop its processes where they are; False if it was too late."""
        return self._done(lambda: self._api.pause(container))

    def unpause(self, container: str) -> bool:
        """Let them go on; False if it was too late."""
        return self._done(lambda: self._api.unpause(container))

    def kill_agent(self, container: str) -> bool:
        """Kill the agent inside; False if there is none."""
        try:
            table = self._api.top(container, ps_args="-eo pid,args")
        except APIError:
            return False
        for row in table["Processes"]:
            if "/agent/agent.py" in row[-1]:
                with suppress(ProcessLookupError):
                    os.kill(int(row[0]), signal.SIGKILL)
                    return True
        return False

    @staticmethod
    def _done(call: object) -> bool:
        assert callable(call)
        try:
            call()
        except APIError:
            return False
        return True


@contextmanager
def hand(owner: Owner) -> Iterator[Hand]:
    """With a client of its own, closed at the end. Raises what docker raises."""
    client = docker.from_env()
    try:
        yield Hand(client, owner)
    finally:
        client.close()
