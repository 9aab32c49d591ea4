"""A container's log as it grows."""

from __future__ import annotations

from docker import DockerClient
from docker.errors import NotFound

from loadgenctl.engines.base import Handle
from loadgenctl.engines.docker_errors import BROKEN_STREAM
from loadgenctl.engines.docker_streams import log_stream, payloads
from loadgenctl.engines.docker_watch import StateWatch
from loadgenctl.engines.logs import PumpedFollower

_RETRY = 0.5
"""Seconds between attempts while the engine does not answer."""


class LogPump:
    """Feeds one follower until the container has ended, across losses of the connection."""

    def __init__(self, client: DockerClient, watch: StateWatch, handle: Handle) -> None:
        """Nothing happens before the call."""
        self._client = client
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
        skip = self._delivered
        with log_stream(self._client, self._handle.id, follow=True) as stream:
            try:
                if not follower.attach(stream.wake):
                    return
                for chunk in payloads(stream.chunks()):
                    part = chunk[skip:] if skip else chunk
                    skip -= len(chunk) - len(part)
                    if part and not follower.push(part):
                        return
                    self._delivered += len(part)
            finally:
                follower.detach()
