"""Ports of this machine, for an engine whose roles listen at them directly."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import psutil

from loadgenctl.errors import UsageError

LOOPBACK = "127.0.0.1"


def require_free(listening: Mapping[int, str]) -> None:
    """Check that all ports in `listening` (port → role) are free.

    Raises `UsageError` naming each one in use, with the program that uses it if the caller has the
    permission to see it.
    """
    taken = [port for port in listening if not _free(port)]
    if not taken:
        return
    owners = _owners()
    whose = [
        f"{port} of the {listening[port]}" + (f" (by {owners[port]})" if port in owners else "")
        for port in taken
    ]
    what = "the port" if len(taken) == 1 else "the ports"
    raise UsageError(
        f"{what} {', '.join(whose)} {'is' if len(taken) == 1 else 'are'} in use",
        hint="stop the program that listens there, or choose other ports with --port.loadgen and,"
        " for --sdk sim, --port.chain and --port.solo",
    )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a closed connection that lingers does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def by(port: int) -> str:
    """` by python3, pid 12`: the program that listens at a port; empty if that cannot be seen."""
    owner = _owners().get(port)
    return f" by {owner}" if owner else ""


def _owners() -> dict[int, str]:
    """Port → program and pid, for those that the caller has the permission to see."""
    found: dict[int, str] = {}
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.pid or not connection.laddr:
            continue
        try:
            name = psutil.Process(connection.pid).name()
        except psutil.Error:
            continue
        found[connection.laddr.port] = f"{name}, pid {connection.pid}"
    return found
