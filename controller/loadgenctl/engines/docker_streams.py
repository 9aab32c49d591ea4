"""Endless answers of the engine: taken as they come, woken from another thread, and really closed.

docker-py's own streams read every log line in two calls and leave their connection to the garbage
collector when they are cancelled; a run follows logs for hours, so this module asks for itself.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
from docker import DockerClient
from docker.errors import create_api_error_from_http_exception
from docker.types.daemon import CancellableStream

from loadgenctl.engines.docker_errors import BROKEN_STREAM

T = TypeVar("T")

_HEADER = struct.Struct(">BxxxL")
_READ_SIZE = 64 * 1024


class EngineStream:
    """The body of one GET of the engine's API that may never end."""

    def __init__(self, client: DockerClient, path: str, params: Mapping[str, object]) -> None:
        """Ask; raises what docker-py raises."""
        api = client.api
        self._response = api.get(
            f"{api.base_url}/v{api.api_version}{path}",
            params={name: str(value) for name, value in params.items()},
            stream=True,
            timeout=(api.timeout, None),
        )
        try:
            self._response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            with self:
                create_api_error_from_http_exception(error)

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. For one thread."""
        yield from self._response.raw.stream(_READ_SIZE, decode_content=False)

    def wake(self) -> None:
        """End `chunks` at once; for any thread. Doing so after the end is no failure."""
        try:
            CancellableStream(iter(()), self._response).close()
        except BROKEN_STREAM:
            return

    def close(self) -> None:
        """Give the connection up; for the thread that reads."""
        self._response.close()

    def __enter__(self) -> EngineStream:
        """Closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """See `close`."""
        self.close()


def log_stream(client: DockerClient, container: str, *, follow: bool) -> EngineStream:
    """A container's log from its start; see `payloads`."""
    params = {"stdout": 1, "stderr": 1, "follow": int(follow), "tail": "all"}
    return EngineStream(client, f"/containers/{container}/logs", params)


def event_stream(
    client: DockerClient, *, since: int, filters: Mapping[str, list[str]]
) -> EngineStream:
    """The engine's events from the epoch second `since` on; see `documents`."""
    return EngineStream(client, "/events", {"since": since, "filters": json.dumps(filters)})


def payloads(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The log's bytes out of the frames that the engine wraps stdout and stderr in."""
    pending = b""
    missing = 0
    """Bytes of the current frame that are still to come."""
    for chunk in chunks:
        data = pending + chunk if pending else chunk
        taken: list[bytes] = []
        at = 0
        while at < len(data):
            if missing:
                part = data[at : at + missing]
                taken.append(part)
                at += len(part)
                missing -= len(part)
            elif len(data) - at < _HEADER.size:
                break
            else:
                missing = _HEADER.unpack_from(data, at)[1]
                at += _HEADER.size
        pending = data[at:]
        if taken:
            yield b"".join(taken)


def documents(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """One JSON document a line."""
    pending = b""
    for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def within(seconds: float, call: Callable[[], T]) -> T | None:
    """What the call returns, if it returns in time; else None, and the call is left to itself."""
    results: list[T] = []
    failures: list[Exception] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BROKEN_STREAM as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="engine-call", daemon=True).start()
    if not ended.wait(seconds):
        return None
    if failures:
        raise failures[0]
    return results[0]
