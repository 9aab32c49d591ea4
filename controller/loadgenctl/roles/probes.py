"""Questions to a role, as commands to be run inside the pod."""

from __future__ import annotations

from loadgenctl.sdks.base import LOAD_PORT, RPC_PORT, TOOLS


def rpc(path: str) -> tuple[str, ...]:
    """GET one path of the chain's RPC; prints the answer, fails without one."""
    return _get(RPC_PORT, path)


def load(path: str) -> tuple[str, ...]:
    """GET one path of the load service; fails while its driver is not ready."""
    return _get(LOAD_PORT, path)


def listening(port: int) -> tuple[str, ...]:
    """Connect to a port on loopback and say nothing; fails where nobody listens."""
    program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"
    return ("python3", "-c", program)


def _get(port: int, path: str) -> tuple[str, ...]:
    return ("python3", f"{TOOLS}/agent/rpc.py", f"http://127.0.0.1:{port}/{path}")
