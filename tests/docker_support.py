"""What the tests need of a Docker engine: a client, an image, and a look at what was left on it."""

from __future__ import annotations

from dataclasses import dataclass

import docker

from loadgenctl.clock import SystemClock
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.engines.docker_connection import connect

SUITE = "bookworm"
"""Debian suite of the image that the tests' containers run: the simulated SDK's."""


@dataclass(frozen=True, slots=True)
class DockerUnderTest:
    """A Docker engine that answers, and an image with `sh` and coreutils on it."""

    image: str

    def client(self) -> docker.DockerClient:
        """A new client; the caller closes it."""
        return connect()

    def engine(self) -> DockerEngine:
        """A new engine; the caller closes it."""
        return DockerEngine(self.client(), SystemClock())
