"""The simulated SDK's web server and client: everything about a connection is bounded."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from images.sim.simsdk import web

PATIENCE = 10.0


@contextmanager
def served(**bounds: float) -> Iterator[int]:
    """The port of a server with one route, which gives back what it gets."""
    routes: dict[tuple[str, str], web.Route] = {("POST", "/echo"): lambda _query, body: (200, body)}
    server = web.serve(0, routes, **bounds)  # type: ignore[arg-type]
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def answer(port: int, request: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"Content-Length: 4\r\n\r\n[12]", b"200"),
        (HEAD + b"Content-Length: 5\r\n\r\n[12]", b"400"),
        (HEAD + b"Content-Length: \xb2\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1048577\r\n\r\n", b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n[12]\r\n0\r\n\r\n", b"411"),
    ],
)
def test_bodies(request_bytes: bytes, status: bytes) -> None:
    with served() as port:
        said = answer(port, request_bytes)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert said.count(b"HTTP/1.1") == 1


def test_a_connection_on_which_nothing_comes_is_dropped() -> None:
    with (
        served(idle=0.2) as port,
        closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as connection,
    ):
        assert connection.recv(1) == b""


def test_more_connections_than_there_are_places_are_dropped() -> None:
    with served(connections=1) as port:
        first = web.Client(port)
        assert first.call("POST", "/echo", [1]) == (200, [1])
        with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as second:
            assert second.recv(1) == b""
        assert first.call("POST", "/echo", [2]) == (200, [2])
        first.close()


@pytest.mark.parametrize(("pause", "kept"), [(web.FRESH_SECONDS, True), (61.0, False)])
def test_a_client_does_not_use_what_the_server_may_have_dropped(pause: float, kept: bool) -> None:
    now = [0.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731 - as short as can be
    with served() as port:
        client = web.Client(port, clock=clock)
        client.call("POST", "/echo", 1)
        before = client._connection
        now[0] += pause
        assert client.call("POST", "/echo", 2) == (200, 2)
        assert (client._connection is before) is kept
        client.close()
