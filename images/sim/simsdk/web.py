"""A small JSON-over-HTTP server, on loopback, and client, both keeping their connections."""

from __future__ import annotations

import http.client
import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = Any
Route = Callable[[Mapping[str, str], Json], "tuple[int, Json]"]
"""(query, body) → (HTTP status, answer)."""

MAX_BODY = 1 << 20


class UnreachableError(Exception):
    """Nobody answers at the address, or the connection broke."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, routes: Mapping[tuple[str, str], Route]) -> None:
        self.routes = routes
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # The standard one looks its own name up, which can hang where there is no resolver.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def find(self, method: str, path: str) -> tuple[Route | None, str]:
        """The route for a path and, for one that takes the rest of the path, that rest."""
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
    timeout = 3600

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: a log line per request would drown the others."""

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

    def _call(self) -> tuple[int, Json]:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return 413, {"error": "the body is too large"}
        raw = self.rfile.read(int(length))
        parts = urlsplit(self.path)
        route, rest = self.server.find(self.command, parts.path)
        if route is None:
            return 404, {"error": "not found"}
        try:
            body = json.loads(raw) if raw else None
            return route({**dict(parse_qsl(parts.query)), "rest": rest}, body)
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"bad request: {error!r}"}


def serve(port: int, routes: Mapping[tuple[str, str], Route]) -> ThreadingHTTPServer:
    """Serve on 127.0.0.1 in a thread. Raises `OSError` if the port is taken.

    Routes are by (method, path); a path that ends in `/` takes one more part, as query `rest`.
    """
    server = _Server(port, routes)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


class Client:
    """Calls one server; one object per thread."""

    def __init__(self, port: int, timeout: float = 10.0, host: str = "127.0.0.1") -> None:
        """`timeout` in seconds per call."""
        self._host, self._port = host, port
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """(HTTP status, answer); a GET on a connection that went stale is tried once more.

        Raises `UnreachableError`.
        """
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
        return response.status, json.loads(response.read())
