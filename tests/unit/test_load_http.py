"""The load service's HTTP side and the client that lives in its container."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from images.loadgen.service.loadservice.httpd import Answer, HttpServer, Request
from tests.load_support import HELLO, LoadService, client, running
from tests.waiting import eventually

BASE = {"vault": {"interval": 500, "wait": 400, "limit": 2}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadService]:
    """One service for all requests of this module; its config is BASE between tests."""
    with running(tmp_path_factory.mktemp("service")) as started:
        started.put(BASE)
        started.prepared("vault")
        eventually(lambda: started.get("/status")["vault"]["state"] == "on", "the preparation")
        yield started


REFUSED: dict[bytes, str] = {
    b"": "not valid JSON",
    b"{": "not valid JSON",
    b"\xff{}": "not valid JSON",
    b"[" * 30_000: "not valid JSON",
    b'{"faucet": {"interval": NaN}}': "NaN is not a number",
    b'{"faucet": {"interval": -Infinity}}': "-Infinity is not a number",
    b"[]": "must be an object",
    b"null": "must be an object",
    b"60": "must be an object",
    b'{"faucett": {}}': "no task 'faucett'; did you mean 'faucet'?",
    b'{"zzz": null}': "no task 'zzz'; known are faucet, amm, vault",
    b'{"faucet": {}, "faucet": null}': "'faucet' is given twice",
    b'{"faucet": 60}': "faucet must be an object",
    b'{"faucet": true}': "not a boolean",
    b'{"faucet": false}': "not a boolean",
    b'{"faucet": []}': "not a list",
    b'{"faucet": {"intervall": 5}}': "no setting 'intervall'; did you mean 'interval'?",
    b'{"faucet": {"interval": 0.99}}': "faucet.interval must be at least 1",
    b'{"faucet": {"interval": 0}}': "at least 1",
    b'{"faucet": {"interval": -5}}': "at least 1",
    b'{"faucet": {"interval": "5"}}': "faucet.interval must be a number of seconds, not a string",
    b'{"faucet": {"interval": true}}': "not a boolean",
    b'{"faucet": {"interval": 1e999}}': "must be a finite number",
    b'{"faucet": {"interval": 2592001}}': "at most 2592000",
    b'{"faucet": {"interval": 1' + b"0" * 4000 + b"}}": "at most 2592000",
    b'{"faucet": {"wait": -1}}': "faucet.wait must be at least 0",
    b'{"faucet": {"limit": 0}}': "faucet.limit must be at least 1",
    b'{"faucet": {"limit": 1.5}}': "faucet.limit must be a whole number",
    b'{"faucet": {"limit": 10001}}': "at most 10000",
    b'{"amm": {"interval": 5}, "faucet": {"interval": 0}}': "faucet.interval",
    b'{"faucet": {}}' + b" " * 65536: "larger than 65536 bytes",
}


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: repr(body[:40]))
def test_a_bad_config_is_refused_with_the_reason_and_the_running_one_stays(
    service: LoadService, body: bytes
) -> None:
    status, answer = service.http("PUT", "/config", body)
    assert status == 400
    assert REFUSED[body] in json.loads(answer)["error"]
    assert service.get() == BASE
    assert len(service.events("config")) == 1


def test_every_task_and_its_state_is_in_the_status(service: LoadService) -> None:
    status = service.get("/status")
    assert list(status) == ["faucet", "amm", "vault"]
    assert status["faucet"] == {
        "active": 0,
        "succeeded": 0,
        "failed": 0,
        "next": 0,
        "missed": 0,
        "pending": 0,
        "state": "off",
    }
    assert status["vault"]["state"] == "on"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config/faucet"),
        ("GET", "/push-config"),
        ("POST", "/config"),
        ("DELETE", "/config"),
        ("PUT", "/status"),
    ],
)
def test_everything_else_is_not_found(service: LoadService, method: str, path: str) -> None:
    status, body = service.http(method, path)
    assert status == 404
    assert "GET /status" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:3352", "[::1]", "[::1]:3352"]
)
def test_local_host_names_are_served(service: LoadService, host: str) -> None:
    assert service.http("GET", "/config", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:3352", "127.0.0.1.evil", "localhost:x", ""]
)
def test_foreign_host_names_are_not(service: LoadService, host: str) -> None:
    assert service.http("GET", "/config", Host=host)[0] == 403
    assert service.http("PUT", "/config", b"{}", Host=host)[0] == 403
    assert service.get() == BASE


HEAD = b"PUT /config HTTP/1.1\r\nHost: localhost\r\n"


def test_a_chunked_body_is_understood(service: LoadService) -> None:
    text = json.dumps(BASE).encode()
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in (text[:9], text[9:]))
    answer = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nconfig updated\n")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(service: LoadService) -> None:
    text = json.dumps(BASE).encode()
    head = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(text)
    answer = service.raw(HEAD + head + text)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /config HTTP/2\r\n\r\n", 400),
        (b"GET /config HTTP/1.0\r\n\r\n", 403),
        (HEAD + b"no colon\r\n\r\n", 400),
        (HEAD + b" Folded: header\r\n\r\n", 400),
        (HEAD + b"Host: localhost\r\n\r\n", 400),
        (HEAD + b"Content-Length: -5\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1e3\r\n\r\n", 400),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 300 + b"\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_requests_that_are_none(service: LoadService, request_bytes: bytes, status: int) -> None:
    assert service.raw(request_bytes).startswith(b"HTTP/1.1 %d " % status)
    assert service.get() == BASE


def test_a_body_that_ends_too_early_changes_nothing(service: LoadService) -> None:
    assert service.raw(HEAD + b"Content-Length: 20\r\n\r\n{}") == b""
    assert service.get() == BASE


def test_requests_before_the_driver_is_ready_are_put_off(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with LoadService(tmp_path, "--port", str(port)) as early:
        early.connect()
        early.port = port
        eventually(lambda: listens(port), "the service to listen")
        status, body = early.put({})
        assert (status, json.loads(body)["error"]) == (503, "the driver is not ready yet")
        early.send(HELLO)
        eventually(lambda: early.http("GET", "/config")[0] == 200, "the driver's hello to count")


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def ok(request: Request) -> Answer:
    return Answer(200, request.method.encode())


def test_a_client_that_does_not_finish_its_request_is_dropped() -> None:
    async def scenario() -> bytes:
        server = HttpServer(ok, "127.0.0.1", 0, max_body=10, request_seconds=0.05)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            await server.close()

    assert asyncio.run(scenario()) == b""


def test_connections_beyond_the_bound_are_turned_away_and_room_is_made_again() -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
        writer.close()
        return answer

    async def scenario() -> None:
        server = HttpServer(ok, "127.0.0.1", 0, max_body=10, max_connections=1)
        await server.start()
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", server.port)
        idle.write(b"GET ")
        while await ask(server.port) == b"HTTP/1.1 200 OK\r\n":
            pass
        assert await ask(server.port) == b"HTTP/1.1 503 Service Unavailable\r\n"
        idle.close()
        while await ask(server.port) != b"HTTP/1.1 200 OK\r\n":
            pass
        assert await idle_reader.read() == b""
        await server.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_the_client_sets_and_reads(service: LoadService) -> None:
    put = client(service, "put", json.dumps({**BASE, "amm": None}))
    assert (put.returncode, put.stdout, put.stderr) == (0, "config updated\n", "")
    got = client(service, "get")
    assert (got.returncode, json.loads(got.stdout)) == (0, BASE)
    status = client(service, "status")
    assert (status.returncode, list(json.loads(status.stdout))) == (0, ["faucet", "amm", "vault"])


def test_the_client_says_why_a_config_is_refused(service: LoadService) -> None:
    put = client(service, "put", '{"amn": {}}')
    assert (put.returncode, put.stdout) == (3, "")
    assert put.stderr == ("the load service refused: there is no task 'amn'; did you mean 'amm'?\n")


def test_the_client_says_that_nobody_answers(service: LoadService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    put = client(service, "--port", str(port), "get")
    assert put.returncode == 1
    assert put.stderr.startswith(f"no load service answers at 127.0.0.1:{port}: ")


def test_bad_usage_of_the_client(service: LoadService) -> None:
    assert client(service).returncode == 2
    assert client(service, "delete").returncode == 2


def test_the_driver_s_name_cannot_forge_a_line(tmp_path: Path) -> None:
    with LoadService(tmp_path) as forged:
        forged.hello({**HELLO, "driver": "x\nserver running on 127.0.0.1:1"})
        assert "driver x server running on 127.0.0.1:1;" in forged.ready_line
