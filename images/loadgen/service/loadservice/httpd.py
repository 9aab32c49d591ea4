"""A small HTTP/1.1 server: one request per connection, everything about it bounded."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Callable, Dict, List, Optional, Set

MAX_HEAD = 16 * 1024
"""Bytes of request line and headers."""
MAX_CHUNK_HEAD = 256
"""Bytes of the line before a chunk."""
MAX_CONNECTIONS = 32
REQUEST_SECONDS = 10.0
"""A request must be read and answered within this time."""
DRAIN_BYTES = 1024 * 1024
"""Bytes of a refused body that are read and dropped, so that the client receives the answer."""

_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Request:
    """A request as the handler sees it."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Refused(Exception):
    """A request that gets an error answer; the text is the reason."""

    def __init__(self, status: int, reason: str) -> None:
        """`status` is the HTTP status."""
        super().__init__(reason)
        self.status = status


Handler = Callable[[Request], Answer]


def json_answer(value: object, status: int = 200) -> Answer:
    """A value as one line of JSON."""
    return Answer(status, json.dumps(value).encode("utf-8") + b"\n")


def refusal(status: int, reason: str) -> Answer:
    """The body of every error answer: {"error": reason}."""
    return json_answer({"error": reason}, status)


class HttpServer:
    """Serves `handler` on one address."""

    def __init__(
        self,
        handler: Handler,
        host: str,
        port: int,
        max_body: int,
        max_connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        """Nothing is opened yet. Port 0 takes a free one."""
        self._max_connections, self._request_seconds = max_connections, request_seconds
        self._handler = handler
        self._host, self._port, self._max_body = host, port, max_body
        self._hosts = {*_LOCAL_NAMES, host.lower()}
        self._open: Set["asyncio.Task[None]"] = set()
        self._server: Optional[asyncio.base_events.Server] = None

    @property
    def port(self) -> int:
        """The port listened on."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; `OSError` if the address is taken."""
        self._server = await asyncio.start_server(
            self._connected, self._host, self._port, limit=MAX_HEAD, backlog=64
        )

    async def close(self) -> None:
        """Stop listening and drop what is open."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=1.0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._max_connections:
            reason = "more than %d connections at once" % self._max_connections
            writer.write(_encode(refusal(503, reason)))
            writer.close()
            return
        self._open.add(task)
        try:
            await asyncio.wait_for(self.serve(reader, writer), self._request_seconds)
        except (asyncio.TimeoutError, asyncio.CancelledError, OSError):
            # Too slow, shutting down, or disconnected: an answer would not be read.
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the one request of a connection and answer it."""
        try:
            answer = self._handler(await self._read(reader, writer))
        except Refused as error:
            answer = refusal(error.status, str(error))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        writer.write(_encode(answer))
        await writer.drain()
        # Half close, then take what the client still sends: closing on unread bytes would reset the
        # connection and the answer could be lost.
        writer.write_eof()
        left = DRAIN_BYTES
        while left > 0:
            chunk = await reader.read(16 * 1024)
            if not chunk:
                break
            left -= len(chunk)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Refused(431, "the request's head is larger than %d bytes" % MAX_HEAD) from None
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise Refused(400, "not an HTTP/1 request")
        headers = _headers(lines[1:])
        self._check_host(headers.get("host"))
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(reader, headers)
        return Request(words[0], words[1].split("?", 1)[0], body)

    def _check_host(self, host: Optional[str]) -> None:
        """A web page that rebinds its own name to this address must not reach the load."""
        name, colon, port = (host or "").strip().lower().rpartition(":")
        if not colon or port.endswith("]"):
            name, port = (host or "").strip().lower(), ""
        if name not in self._hosts or (port and not port.isdigit()):
            raise Refused(403, "this host name is not served; use localhost")

    async def _body(self, reader: asyncio.StreamReader, headers: Dict[str, str]) -> bytes:
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
                raise Refused(400, "only chunked transfer encoding is understood")
            return await self._chunks(reader)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            raise Refused(400, "Content-Length is not a number")
        if int(length) > self._max_body:
            raise self._too_large()
        return await reader.readexactly(int(length))

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = bytearray()
        try:
            while True:
                head = await reader.readuntil(b"\r\n")
                line = head.split(b";")[0].strip()
                size = int(line, 16) if line.isalnum() and len(line) < 9 else -1
                if size < 0 or len(head) > MAX_CHUNK_HEAD:
                    raise Refused(400, "the body's chunks are malformed")
                if size == 0:
                    # Trailers may follow; nothing after this request is read as another one.
                    return bytes(body)
                if len(body) + size > self._max_body:
                    raise self._too_large()
                body += await reader.readexactly(size)
                if await reader.readexactly(2) != b"\r\n":
                    raise Refused(400, "the body's chunks are malformed")
        except (ValueError, asyncio.LimitOverrunError):
            raise Refused(400, "the body's chunks are malformed") from None

    def _too_large(self) -> Refused:
        return Refused(400, "the body is larger than %d bytes" % self._max_body)


def _headers(lines: List[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in lines:
        if not line:
            continue
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or name != name.strip():
            raise Refused(400, "a header line is malformed")
        if key in found and key in ("host", "content-length", "transfer-encoding"):
            raise Refused(400, "the header %s is given twice" % key)
        found[key] = value.strip()
    return found


def _encode(answer: Answer) -> bytes:
    head = (
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        % (
            answer.status,
            HTTPStatus(answer.status).phrase,
            answer.content_type,
            len(answer.body),
        )
    )
    return head.encode("latin-1") + answer.body
