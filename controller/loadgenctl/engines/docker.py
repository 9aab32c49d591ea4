"""Roles as Docker containers, and their logs as they grow."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.utils import version_gte

from loadgenctl.clock import Clock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import EngineInfo, ExecResult, Handle, Leftover, RoleState
from loadgenctl.engines.docker_errors import BROKEN_STREAM, is_conflict, retrying, translated
from loadgenctl.engines.docker_spec import container_arguments, host_config_arguments, role_state
from loadgenctl.engines.docker_states import StateWatch
from loadgenctl.engines.docker_streams import exec_stream, log_stream, payloads, read_all
from loadgenctl.engines.log_text import PumpedFollower, clean_lines
from loadgenctl.errors import EngineError
from loadgenctl.model import RoleSpec

_RETRY = 0.5
"""Seconds between attempts while the engine does not answer."""


_EXEC_GRACE = 5.0
"""Seconds by which an execution may exceed its time limit before the engine counts as stuck."""
_REMOVAL_TIMEOUT = 30.0
"""Seconds to wait for a removal that another process began."""
_ONE_SHOT_STATS = "1.41"
"""The first API version that returns statistics without waiting for a second sample."""
_CHUNK = 64 * 1024


class LogPump:
    """Feeds one follower until the container has ended; reconnects after a lost connection."""

    def __init__(self, client: DockerClient, watch: StateWatch, handle: Handle) -> None:
        """Nothing is read before the call."""
        self._client = client
        self._watch = watch
        self._handle = handle
        self._delivered = 0
        """Bytes passed on so far: every stream begins at the start of the log."""

    def __call__(self, follower: PumpedFollower) -> None:
        """Run to the end; for the follower's thread."""
        while not follower.closed:
            changes = self._watch.change_count(self._handle.id)
            try:
                status = self._watch.state(self._handle.id).status
                if status == "gone":
                    return
                if status != "created":  # the engine sends no stream of such a container
                    self._stream(follower)
                    self._watch.mark(self._handle.id)
                    if status == "exited" or not self._watch.state(self._handle.id).running:
                        return
            except NotFound:
                return
            except BROKEN_STREAM:
                # The connection was lost: the next iteration resumes. If `close` closed it, the
                # loop ends.
                pass
            self._watch.await_change(self._handle.id, changes, _RETRY)

    def _stream(self, follower: PumpedFollower) -> None:
        """Pass one stream on, without what was delivered before."""
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


class DockerEngine:
    """The Docker engine behind `client`. Threads may share it."""

    own_network = True

    def __init__(self, client: DockerClient, clock: Clock) -> None:
        """Own the client; `close` closes it."""
        self._client = client
        self._api = client.api
        self._clock = clock
        self._watch = StateWatch(client, clock, self._inspect)
        self._followers: weakref.WeakSet[PumpedFollower] = weakref.WeakSet()
        self._one_shot = version_gte(str(self._api.api_version), _ONE_SHOT_STATS)

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        with translated("get the Docker engine's version"):
            document = retrying(self._clock, self._api.version)
        names = {"api": "ApiVersion", "os": "Os", "arch": "Arch", "kernel": "KernelVersion"}
        details = {ours: str(document[key]) for ours, key in names.items() if key in document}
        return EngineInfo("docker", str(document.get("Version", "unknown")), details)

    def create(self, spec: RoleSpec) -> Handle:
        """See `Engine.create`. Never retried: after a lost answer the container may exist."""
        with translated(f"create the container {spec.name}"):
            host_config = self._api.create_host_config(**host_config_arguments(spec))
            answer = self._api.create_container(
                **container_arguments(spec), host_config=host_config
            )
        return Handle(spec.name, str(answer["Id"]), spec.role)

    def start(self, handle: Handle) -> None:
        """See `Engine.start`."""
        try:
            with translated(f"start the container {handle.name}"):
                self._api.start(handle.id)
        finally:
            self._watch.mark(handle.id)

    def state(self, handle: Handle) -> RoleState:
        """See `Engine.state`."""
        with translated(f"get the state of the container {handle.name}"):
            return self._watch.state(handle.id)

    def wait(self, handle: Handle, timeout: float) -> RoleState:
        """See `Engine.wait`."""
        deadline = self._clock.monotonic() + timeout
        while True:
            changes = self._watch.change_count(handle.id)
            state = self.state(handle)
            remaining = deadline - self._clock.monotonic()
            if state.status in {"exited", "gone"} or remaining <= 0:
                return state
            self._watch.await_change(handle.id, changes, min(remaining, self._watch.max_age))

    def signal(self, handle: Handle, name: str) -> None:
        """See `Engine.signal`."""
        try:
            with translated(f"send {name} to the container {handle.name}"):
                self._unless_ended(partial(self._api.kill, handle.id, signal=name))
        finally:
            self._watch.mark(handle.id)

    def remove(self, handle: Handle) -> None:
        """See `Engine.remove`."""
        self._remove_container(handle.id, handle.name)

    def exec(self, handle: Handle, argv: Sequence[str], *, timeout: float = 60.0) -> ExecResult:
        """See `Engine.exec`. A command that takes longer is killed, and `EngineError` raised."""
        # The engine cannot end an execution: `timeout` inside ends the command and its children.
        bounded = ["timeout", "--signal=KILL", f"{timeout:.3f}", *argv]
        began = self._clock.monotonic()
        with translated(f"run {argv[0]} in the container {handle.name}"):
            exec_id = str(self._api.exec_create(handle.id, bounded)["Id"])
            patience = timeout + _EXEC_GRACE
            with exec_stream(self._client, exec_id, silence=patience) as stream:
                output, ended = read_all(stream, patience)
            document = retrying(self._clock, lambda: self._api.exec_inspect(exec_id))
        took = self._clock.monotonic() - began
        exit_code = document.get("ExitCode")
        if not ended or exit_code is None or (exit_code == 137 and took >= timeout):
            raise EngineError(
                f"{argv[0]} did not finish within {timeout:g} s in the container {handle.name}",
                detail="\n".join(clean_lines(output)[-20:]) or None,
            )
        return ExecResult(int(exit_code), output)

    def exec_detached(self, handle: Handle, argv: Sequence[str]) -> None:
        """See `Engine.exec_detached`. Its output is lost."""
        with translated(f"run {argv[0]} in the container {handle.name}"):
            made = self._api.exec_create(handle.id, list(argv), stdout=False, stderr=False)
            self._api.exec_start(str(made["Id"]), detach=True)

    def root_pid(self, handle: Handle) -> int:  # noqa: ARG002 - the same for all
        """See `Engine.root_pid`: the init process that every container gets."""
        return 1

    def logs(self, handle: Handle) -> Iterator[bytes]:
        """See `Engine.logs`."""
        with (
            translated(f"read the log of the container {handle.name}"),
            log_stream(self._client, handle.id, follow=False) as stream,
        ):
            waiting, size = list[bytes](), 0
            for chunk in payloads(stream.chunks()):
                # A chunk is about a line: compression needs larger ones.
                waiting.append(chunk)
                size += len(chunk)
                if size >= _CHUNK:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            if waiting:
                yield b"".join(waiting)

    def tail(self, handle: Handle, lines: int) -> list[str]:
        """See `Engine.tail`; [] for a container that is gone."""
        if lines <= 0:
            return []
        with translated(f"read the log of the container {handle.name}"):
            try:
                data = retrying(
                    self._clock, lambda: self._api.logs(handle.id, stream=False, tail=lines)
                )
            except NotFound:
                return []
        return clean_lines(data)[-lines:]

    def follow(self, handle: Handle) -> PumpedFollower:
        """See `Engine.follow`. It may begin before the container starts, and ends with its first
        exit.
        """
        follower = PumpedFollower(handle.name, LogPump(self._client, self._watch, handle))
        self._followers.add(follower)
        return follower

    def stats(self, handle: Handle) -> Mapping[str, object] | None:
        """See `Engine.stats`."""
        if not self.state(handle).running:
            return None
        with translated(f"read the statistics of the container {handle.name}"):
            try:
                document: Mapping[str, object] = retrying(
                    self._clock,
                    lambda: self._api.stats(
                        handle.id, stream=False, one_shot=True if self._one_shot else None
                    ),
                )
            except NotFound:
                return None
        # For a container that has just ended, the engine sends an empty document with the zero
        # time.
        return None if str(document.get("read", "0001")).startswith("0001") else document

    def leftovers(self) -> list[Leftover]:
        """See `Engine.leftovers`."""
        ours = {"label": ownership_labels.ROLE}
        with translated("list what loadgenctl has on the engine"):
            containers = retrying(self._clock, lambda: self._api.containers(all=True, filters=ours))
            networks = retrying(self._clock, lambda: self._api.networks(filters=ours))
            volumes = retrying(self._clock, lambda: self._api.volumes(filters=ours))
        found = [
            Leftover("container", c["Id"], c["Names"][0].lstrip("/"), c.get("Labels") or {})
            for c in containers
            if c.get("Names")  # none while it is being removed
        ]
        found += [Leftover("network", n["Id"], n["Name"], n.get("Labels") or {}) for n in networks]
        found += [
            Leftover("volume", v["Name"], v["Name"], v.get("Labels") or {})
            for v in volumes.get("Volumes") or ()
        ]
        return found

    def remove_leftover(self, item: Leftover) -> None:
        """See `Engine.remove_leftover`."""
        if item.kind == "container":
            self._remove_container(item.id, item.name)
            return
        remove: Mapping[str, Callable[[str], object]] = {
            "network": self._api.remove_network,
            "volume": self._api.remove_volume,
        }
        with translated(f"remove the {item.kind} {item.name}"):
            try:
                retrying(self._clock, lambda: remove[item.kind](item.id))
            except NotFound:
                return

    def close(self) -> None:
        """See `Engine.close`."""
        for follower in list(self._followers):
            follower.close()
        self._watch.close()
        self._client.close()

    def _inspect(self, container: str) -> RoleState:
        try:
            return role_state(retrying(self._clock, lambda: self._api.inspect_container(container)))
        except NotFound:
            return RoleState("gone")

    def _unless_ended(self, call: Callable[[], object]) -> None:
        """Call, unless the container has ended or is gone."""
        try:
            call()
        except NotFound:
            return
        except APIError as error:
            if not is_conflict(error):
                raise

    def _remove_container(self, container: str, name: str) -> None:
        with translated(f"remove the container {name}"):
            # A removal by another process is as good as ours, once it is done.
            self._unless_ended(
                lambda: retrying(
                    self._clock, lambda: self._api.remove_container(container, v=True, force=True)
                )
            )
            deadline = self._clock.monotonic() + _REMOVAL_TIMEOUT
            while self._inspect(container).status != "gone":
                if self._clock.monotonic() >= deadline:
                    raise EngineError(
                        f"the container {name} still exists {_REMOVAL_TIMEOUT:g} s"
                        " after its removal began",
                        hint=f"remove it by hand: docker rm --force {name}",
                    )
                self._clock.sleep(0.1)
        self._watch.forget(container)
