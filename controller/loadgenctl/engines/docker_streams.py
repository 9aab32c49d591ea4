"""Endless responses of the engine, which other threads can interrupt and which are really closed.

docker-py's streams read every log line in two calls and leave their connection to the garbage
collector when they are cancelled. A run follows logs for hours, so this module sends its own
requests.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import requests
from docker import DockerClient
from docker.errors import create_api_error_from_http_exception
from docker.types.daemon import CancellableStream

from loadgenctl.engines.docker_errors import BROKEN_STREAM

_HEADER = struct.Struct(">BxxxL")
_READ_SIZE = 64 * 1024


class EngineStream:
    """The body of one response of the engine's API, which may never end."""

    def __init__(
        self,
        client: DockerClient,
        path: str,
        params: Mapping[str, object],
        *,
        post: Mapping[str, object] | None = None,
        silence: float | None = None,
    ) -> None:
        """Send a GET, or POST the document `post`; raises what docker-py raises.

        `silence`: raise if the engine sends nothing for so many seconds; None: no limit.
        """
        api = client.api
        self._response = api.request(
            "GET" if post is None else "POST",
            f"{api.base_url}/v{api.api_version}{path}",
            params={name: str(value) for name, value in params.items()},
            json=post,
            stream=True,
            timeout=(api.timeout, silence),
        )
        try:
            self._response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            with self:
                create_api_error_from_http_exception(error)

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives. For one thread."""
        yield from self._response.raw.stream(_READ_SIZE, decode_content=False)

    def wake(self) -> None:
        """End `chunks` at once; for any thread. Does nothing after the end."""
        try:
            CancellableStream(iter(()), self._response).close()
        except BROKEN_STREAM:
            return

    def close(self) -> None:
        """Close the connection; for the thread that reads."""
        self._response.close()

    def __enter__(self) -> EngineStream:
        """The stream itself; leaving the block closes it."""
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


def exec_stream(client: DockerClient, exec_id: str, *, silence: float) -> EngineStream:
    """Start a created execution; its output, see `payloads`."""
    body = {"Detach": False, "Tty": False}
    return EngineStream(client, f"/exec/{exec_id}/start", {}, post=body, silence=silence)


def payloads(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The log's bytes without the frames in which the engine wraps stdout and stderr."""
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


class Wakeable(Protocol):
    """An `EngineStream` or a test's replacement."""

    def chunks(self) -> Iterator[bytes]:
        """See `EngineStream.chunks`."""
        ...

    def wake(self) -> None:
        """See `EngineStream.wake`."""
        ...


def read_all(stream: Wakeable, seconds: float) -> tuple[bytes, bool]:
    """The payload of a stream, and True if it ended within `seconds`; else the payload until then,
    and False. Raises what reading raises. No thread outlives the call.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        stream.wake()

    taken: list[bytes] = []
    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        taken.extend(payloads(stream.chunks()))
    except BROKEN_STREAM:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
        timer.join()
    return b"".join(taken), not late.is_set()
