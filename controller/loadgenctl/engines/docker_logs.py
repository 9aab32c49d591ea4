"""A container's log as it grows, and other streams of the engine, taken in threads."""

from __future__ import annotations

import threading
from functools import partial

from docker import DockerClient
from docker.errors import NotFound
from docker.types.daemon import CancellableStream

from loadgenctl.engines.base import Handle
from loadgenctl.engines.docker_errors import BROKEN_STREAM
from loadgenctl.engines.docker_watch import StateWatch
from loadgenctl.engines.logs import PumpedFollower

_RETRY = 0.5
"""Seconds between attempts while the engine does not answer."""


class LogPump:
    """Feeds one follower until the container has ended, across losses of the connection."""

    def __init__(self, client: DockerClient, watch: StateWatch, handle: Handle) -> None:
        """Nothing happens before the call."""
        self._api = client.api
        self._watch = watch
        self._handle = handle
        self._delivered = 0
        """Bytes handed over so far: every stream begins at the log's start."""

    def __call__(self, follower: PumpedFollower) -> None:
        """Run to the end; for the follower's thread."""
        while not follower.closed:
            changes = self._watch.change_count(self._handle.id)
            try:
                status = self._watch.state(self._handle.id).status
                if status == "gone":
                    return
                if status != "created":  # of such a container the engine sends no stream
                    self._stream(follower)
                    self._watch.mark(self._handle.id)
                    if status == "exited" or not self._watch.state(self._handle.id).running:
                        return
            except NotFound:
                return
            except BROKEN_STREAM:
                # Lost, or closed by `close`, and then the loop ends. The next turn resumes.
                pass
            self._watch.await_change(self._handle.id, changes, _RETRY)

    def _stream(self, follower: PumpedFollower) -> None:
        """Hand one stream over, leaving out what was delivered before."""
        stream = self._api.logs(self._handle.id, stream=True, follow=True)
        skip = self._delivered
        try:
            if not follower.attach(partial(close_stream, stream)):
                return
            for chunk in stream:
                part = chunk[skip:] if skip else chunk
                skip -= len(chunk) - len(part)
                if part and not follower.push(part):
                    return
                self._delivered += len(part)
        finally:
            follower.detach()
            close_stream(stream)


def close_stream(stream: CancellableStream[bytes]) -> None:
    """Close it; closing what is closed already is no failure."""
    try:
        stream.close()
    except BROKEN_STREAM:
        return


def drain(stream: CancellableStream[bytes], timeout: float) -> bytes | None:
    """Everything the stream brings within `timeout` seconds; None if it has not ended by then."""
    chunks: list[bytes] = []
    failure: list[Exception] = []
    ended = threading.Event()

    def read() -> None:
        try:
            chunks.extend(stream)
        except BROKEN_STREAM as error:
            failure.append(error)
        finally:
            ended.set()

    threading.Thread(target=read, name="exec-output", daemon=True).start()
    in_time = ended.wait(timeout)
    close_stream(stream)
    if not in_time:
        return None
    if failure:
        raise failure[0]
    return b"".join(chunks)
