"""Questions to a role, as commands to be run inside the pod."""

from __future__ import annotations

from loadgenctl.sdks.base import TOOLS


def get(port: int, path: str) -> tuple[str, ...]:
    """GET one path of the chain's RPC, or of the load service, which refuses while its driver is
    not ready; prints the answer, fails without one.
    """
    return ("python3", f"{TOOLS}/agent/rpc.py", f"http://127.0.0.1:{port}/{path}")


def listening(port: int) -> tuple[str, ...]:
    """Connect to a port on loopback and say nothing; fails where nobody listens."""
    program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"
    return ("python3", "-c", program)
