"""Bytes of a connection to the load service: one whole answer goes back, or none."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from images.loadgen.service.loadservice import httpd
from images.loadgen.service.loadservice.config import MAX_BODY, ConfigError, parse_config
from tests.fuzz import mutate
from tests.fuzz.target import Target

from loadgenctl.errors import UsageError

_ANSWER: Final = re.compile(
    rb"(?:HTTP/1\.1 100 Continue\r\n\r\n)?HTTP/1\.1 (\d\d\d) [A-Za-z ]+\r\n(?:[^\r\n]+\r\n)*"
    rb"Content-Length: (\d+)\r\n(?:[^\r\n]+\r\n)*\r\n(.*)\Z",
    re.DOTALL,
)


class _Writer:
    """As much of a `StreamWriter` as the server uses."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written += data

    async def drain(self) -> None:
        pass

    def write_eof(self) -> None:
        self.ended = True


def _handle(request: httpd.Request) -> httpd.Answer:
    if request.method != "PUT":
        return httpd.json_answer({"path": request.path})
    try:
        return httpd.json_answer(sorted(parse_config(request.body, ("faucet", "amm"))))
    except ConfigError as error:
        return httpd.refusal(400, str(error))


async def _serve(data: bytes, piece: int) -> _Writer:
    server = httpd.HttpServer(_handle, "127.0.0.1", 0, MAX_BODY)
    reader, writer = asyncio.StreamReader(limit=httpd.MAX_HEAD), _Writer()
    stream: Any = writer
    serving = asyncio.ensure_future(server.serve(reader, stream))
    for start in range(0, len(data), piece):
        reader.feed_data(data[start : start + piece])
        await asyncio.sleep(0)
    reader.feed_eof()
    await serving
    return writer


def one_input(data: bytes) -> None:
    """See `Target.one_input`; the first byte says in which pieces the others arrive.

    A `UsageError` where the server refuses, or nothing whole came.
    """
    piece = 1 << (data[0] % 16 if data else 0)
    writer = asyncio.run(_serve(data[1:], piece))
    if not writer.written or writer.written == b"HTTP/1.1 100 Continue\r\n\r\n":
        raise UsageError("nothing whole came")
    answer = _ANSWER.match(writer.written)
    assert answer is not None, writer.written
    assert len(answer[3]) == int(answer[2]), writer.written
    if answer[1] != b"200":
        raise UsageError("refused")


def seeds() -> list[bytes]:
    """Requests that are taken, and the edges of the grammar."""
    head = b"PUT /config HTTP/1.1\r\nHost: localhost\r\n"
    requests = [
        b"GET /config?x=y HTTP/1.1\r\nHost: [::1]:3352\r\nAccept: */*\r\n\r\n",
        head + b"Content-Length: 2\r\n\r\n{}",
        head + b'Expect: 100-continue\r\nContent-Length: 13\r\n\r\n{"faucet":{}}',
        head + b"Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\n{}\r\n0\r\nx: y\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{}\r\n",
        head + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        head + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"nonsense\r\n\r\n",
    ]
    return [bytes([size]) + request for request in requests for size in (0, 15)]


_POOL: Final = (
    *("PUT /config HTTP/1.1", "GET / HTTP/1.0", "Host: localhost", "Host: 127.0.0.1:x", "Host:"),
    *("Content-Length: 2", "Content-Length: -1", "Content-Length: 0x2", "Content-Length: 65537"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Expect: 100-continue", "", "", ""),
    *("2", "0", "0;a=b", "1_0", "+2", "g", "{}", '{"faucet":{"interval":5}}', ": x", "a : b"),
)


def _mutate(data: bytes, seed: int) -> bytes:
    changed = mutate.words(data.replace(b"\0", b" ").replace(b"\r\n", b"\0"), seed, _POOL)
    return changed.replace(b"\0", b"\r\n")


TARGET: Final = Target(
    "http",
    "the load service's HTTP requests",
    one_input,
    seeds,
    _mutate,
    ("images.loadgen.service",),
)
