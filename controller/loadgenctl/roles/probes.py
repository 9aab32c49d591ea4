"""Probes of a role, as commands to run inside the pod."""

from __future__ import annotations

from loadgenctl.sdks.base import TOOLS


def get(port: int, path: str) -> tuple[str, ...]:
    """GET a path of the chain's RPC or of the load service (which refuses until its driver is
    ready). Prints the response; fails without one.
    """
    return ("python3", f"{TOOLS}/agent/rpc.py", f"http://127.0.0.1:{port}/{path}")


def listening(port: int) -> tuple[str, ...]:
    """Connect to a port on loopback and send nothing; fails if no program listens there."""
    program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"
    return ("python3", "-c", program)
