"""A small JSON-over-HTTP server on loopback and a client, both with persistent connections.

Sizes, times and the number of connections are bounded on both sides.
"""

from __future__ import annotations

import http.client
import json
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = Any
Route = Callable[[Mapping[str, str], Json], "tuple[int, Json]"]
"""(query, body) → (HTTP status, answer)."""

MAX_BODY = 1 << 20
"""Bytes of a request's body."""
MAX_ANSWER = 64 << 20
"""Bytes of an answer that a client reads."""
MAX_CONNECTIONS = 256
REQUEST_SECONDS = 30.0
"""Time limit, in seconds, for a request's body."""
IDLE_SECONDS = 60.0
"""Seconds after which the server closes an idle connection."""
FRESH_SECONDS = 20.0
"""Seconds of idleness after which the client makes a new connection: far less than the server's
limit, because a request on a closing connection must not be sent twice.
"""


class UnreachableError(Exception):
    """No server answers at the address, or the connection broke."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, routes: Mapping[tuple[str, str], Route], idle: float, connections: int
    ) -> None:
        self.routes, self.idle = routes, idle
        self._places = threading.BoundedSemaphore(connections)
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # The base class resolves the host's name, which can hang without a resolver.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def find(self, method: str, path: str) -> tuple[Route | None, str]:
        """The route for a path and, if the route takes it, the rest of the path."""
        route = self.routes.get((method, path))
        if route is not None:
            return route, ""
        head, _, rest = path.rpartition("/")
        return self.routes.get((method, f"{head}/")), rest


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulated"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.idle)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """No log line per request."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        status, answer = self._call()
        data = json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def _body(self, length: int) -> bytes | None:
        """Read `size` bytes; None if they do not arrive in time."""
        deadline, body = time.monotonic() + REQUEST_SECONDS, bytearray()
        try:
            while len(body) < length:
                self.connection.settimeout(max(0.01, deadline - time.monotonic()))
                piece = self.rfile.read1(length - len(body))
                if not piece:
                    return None
                body += piece
        except OSError:
            return None
        finally:
            self.connection.settimeout(self.server.idle)
        return bytes(body)

    def _call(self) -> tuple[int, Json]:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return 411, {"error": "a body needs a Content-Length"}
        if not (length.isascii() and length.isdigit() and len(length) < 9):
            self.close_connection = True
            return 400, {"error": "Content-Length is not a number"}
        if int(length) > MAX_BODY:
            self.close_connection = True
            return 413, {"error": "the body is too large"}
        raw = self._body(int(length))
        if raw is None:
            self.close_connection = True
            return 400, {"error": "the body did not come whole, and in time"}
        parts = urlsplit(self.path)
        route, rest = self.server.find(self.command, parts.path)
        if route is None:
            return 404, {"error": "not found"}
        try:
            body = json.loads(raw) if raw else None
            return route({**dict(parse_qsl(parts.query)), "rest": rest}, body)
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"bad request: {error!r}"}


def serve(
    port: int,
    routes: Mapping[tuple[str, str], Route],
    idle: float = IDLE_SECONDS,
    connections: int = MAX_CONNECTIONS,
) -> ThreadingHTTPServer:
    """Serve on 127.0.0.1 in a thread. Raises `OSError` if the port is taken.

    Routes are by (method, path); a path that ends in `/` has one more part, as query `rest`.
    """
    server = _Server(port, routes, idle, connections)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


class Client:
    """Calls one server; one object per thread."""

    def __init__(
        self,
        port: int,
        timeout: float = 10.0,
        host: str = "127.0.0.1",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` in seconds per call."""
        self._clock = clock
        self._used = clock()
        self._host, self._port = host, port
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """(HTTP status, answer); a GET on a stale connection is retried once.

        Raises `UnreachableError`.
        """
        if self._clock() - self._used > FRESH_SECONDS:
            self.close()
        fresh = self._connection is None
        try:
            return self._once(method, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if fresh or method != "GET":
                raise UnreachableError(f"{self._host}:{self._port}: {error}") from error
        try:
            return self._once(method, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise UnreachableError(f"{self._host}:{self._port}: {error}") from error

    def get(self, path: str) -> Json:
        """The answer to a GET. Raises `UnreachableError` also for an HTTP error."""
        status, answer = self.call("GET", path)
        if status != 200:
            raise UnreachableError(f"{path} answered {status}: {answer}")
        return answer

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self._host, self._port, timeout=self._timeout
            )
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(
            method, path, body=data, headers={"Content-Type": "application/json"}
        )
        response = self._connection.getresponse()
        answer = response.read(MAX_ANSWER + 1)
        if len(answer) > MAX_ANSWER:
            raise ValueError("the answer is too large")
        self._used = self._clock()
        return response.status, json.loads(answer)
