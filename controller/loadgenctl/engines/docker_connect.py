"""The first connection to a Docker engine, and what is said where none answers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping

from docker import DockerClient

from loadgenctl.clock import SystemClock
from loadgenctl.engines.docker_address import Address, find_address
from loadgenctl.engines.docker_errors import ENGINE_FAILURES, reason
from loadgenctl.engines.docker_tunnel import open_tunnel
from loadgenctl.errors import EngineUnavailable

CONNECT_TIMEOUT = 8
"""Seconds the first call may take; an engine that is slower is not there for a person who waits."""
CALL_TIMEOUT = 60
"""Seconds any later call may take: a loaded machine creates containers slowly."""


ClientFactory = Callable[..., DockerClient]
"""`docker.DockerClient`, or a test's own; called with `base_url`, `tls` and `timeout` (s)."""


def connect(
    environment: Mapping[str, str] | None = None, factory: ClientFactory = DockerClient
) -> DockerClient:
    """A client of the engine that the `docker` command would use, too (`find_address`).

    `environment` is that of this process unless given. Raises `EngineUnavailable` within about 10 s
    where no engine answers.
    """
    address = find_address(os.environ if environment is None else environment)
    tunnel, url = None, address.url
    if url.startswith("ssh://"):
        tunnel = open_tunnel(url, SystemClock(), within=CONNECT_TIMEOUT)
        url = tunnel.url
    try:
        client = factory(base_url=url, tls=address.tls, timeout=CONNECT_TIMEOUT)
        client.ping()
    except ENGINE_FAILURES as error:
        if tunnel is not None:
            tunnel.close()
        raise EngineUnavailable(
            f"no Docker engine answers at {address.words}: {reason(error)}",
            hint=_hint(address, error),
        ) from error
    if tunnel is not None:
        # At the latest when the interpreter ends.
        weakref.finalize(client, tunnel.close)
    client.api.timeout = CALL_TIMEOUT
    return client


def is_of_this_machine(address: Address) -> bool:
    """True for the socket that an engine of this machine listens on by default."""
    return not address.origin and address.context is None


def _hint(address: Address, error: BaseException) -> str:
    text = str(error)
    if "Permission denied" in text and address.url.startswith("unix:"):
        return (
            "your user may not use the engine: add it to the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again), or run as root"
        )
    if "Invalid bind address" in text or "Invalid URL" in text:
        return (
            "an address is unix:///PATH, tcp://HOST:PORT or ssh://HOST; unset DOCKER_HOST to"
            " use the engine of this machine"
        )
    return address.hint
