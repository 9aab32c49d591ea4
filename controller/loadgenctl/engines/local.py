"""Roles as processes of this machine: no images, no isolation, nothing to install.

A container consists of the descendants of its keeper, see `local_keeper`. Its metadata is in files,
see `local_registry`. `local_processes` translates paths and environment.
"""

from __future__ import annotations

import json
import os
import platform
import select
import signal as signals
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.engines import local_log_file, local_processes, ownership_labels
from loadgenctl.engines.base import EngineInfo, ExecResult, Handle, Leftover, RoleState
from loadgenctl.engines.local_keeper import STARTED
from loadgenctl.engines.local_log_file import FileFollower
from loadgenctl.engines.local_processes import Paths, environment
from loadgenctl.engines.local_registry import Container, Folder, Process, Registry, State
from loadgenctl.engines.log_text import clean_lines
from loadgenctl.errors import EngineError
from loadgenctl.model import Limits, RoleSpec
from loadgenctl.process import own_python, reap, spawn_session
from loadgenctl.version import VERSION

_KEEPER = "loadgenctl.engines.local_keeper"
_REMOVAL_TIMEOUT = 30.0
_POLL_EVERY = 0.02
"""Polling interval, in seconds, while waiting for an end."""
_LOST = 137
"""Exit code of a main process that was killed together with its keeper."""


@dataclass(slots=True)
class LocalEngine:
    """Runs containers as processes of this machine. Threads may share it."""

    registry: Registry
    clock: Clock
    caller: Mapping[str, str] = field(default_factory=dict)
    """The environment that roles inherit."""
    start_within: float = 30.0
    """Time limit, in seconds, for a keeper to start a process."""
    _keepers: set[int] = field(default_factory=set, init=False)
    """Children of this process, to be reaped."""
    _processes: local_processes.RecentProcesses = field(
        default_factory=local_processes.RecentProcesses, init=False
    )

    own_network = False

    def info(self) -> EngineInfo:
        """See `Engine.info`. Raises `EngineUnavailable` if the engine's folder is not usable."""
        self.registry.prepare()
        details = {"python": platform.python_version(), "kernel": platform.release()}
        return EngineInfo("local", VERSION, details)

    def create(self, spec: RoleSpec) -> Handle:
        """See `Engine.create`. Settings that processes do not support are refused, not ignored."""
        _check(spec)
        paths = Paths({mount.target: mount.source for mount in spec.mounts})
        container = Container(
            id=uuid.uuid4().hex,
            name=spec.name,
            role=spec.role,
            argv=tuple(paths.here(word) for word in spec.command.argv),
            env=spec.command.env,
            workdir=paths.here(spec.command.workdir or "/"),
            mounts={mount.target: mount.source for mount in spec.mounts},
            labels={ownership_labels.ROLE: spec.role, **spec.labels},
            log_max_bytes=spec.log_max_bytes,
        )
        self.registry.add(container)
        return Handle(spec.name, container.id, spec.role)

    def start(self, handle: Handle) -> None:
        """See `Engine.start`."""
        folder, container = self._get(handle)
        if self.state(handle).running:
            return
        env = environment(
            self.caller,
            container.env,
            Paths(container.mounts),
            first=str(folder.programs),
            container=container.id,
        )
        argv = own_python(_KEEPER, str(folder.path), interpreter=self.registry.python)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            pid = spawn_session(argv, env=env, output=writing, errors=folder.keeper_log)
        except OSError as error:
            os.close(reading)
            raise EngineError(f"cannot start the process {handle.name}: {error}") from error
        finally:
            os.close(writing)
        self._keepers.add(pid)
        with os.fdopen(reading, "rb") as stream:
            ready, _, _ = select.select([stream], [], [], self.start_within)
            said = stream.readline().decode("utf-8", "replace").strip() if ready else ""
        if said != STARTED:
            raise EngineError(
                f"cannot start the process {handle.name}: {said or 'its keeper does not answer'}",
                detail="\n".join(local_log_file.last_lines(folder.keeper_log, 20)) or None,
            )

    def state(self, handle: Handle) -> RoleState:
        """See `Engine.state`."""
        state = self._state(handle)
        if state is not None and state.exit_code is None and _keeper_is_gone(state):
            # It may have just ended cleanly.
            state = self._state(handle)
            if state is not None and state.exit_code is None:
                error = "its keeper was killed"
                return RoleState("exited", _LOST, error=error, started_at=state.started_at)
        return _role_state(state)

    def wait(self, handle: Handle, timeout: float) -> RoleState:
        """See `Engine.wait`."""
        deadline = self.clock.monotonic() + timeout
        while True:
            state = self.state(handle)
            remaining = deadline - self.clock.monotonic()
            if state.status in {"exited", "gone"} or remaining <= 0:
                return state
            self.clock.sleep(min(remaining, _POLL_EVERY))

    def signal(self, handle: Handle, name: str) -> None:
        """See `Engine.signal`."""
        state = self._state(handle)
        if state is not None and state.main is not None and state.exit_code is None:
            state.main.send(signals.Signals[name])

    def remove(self, handle: Handle) -> None:
        """See `Engine.remove`. Everything that descends from the container's keeper ends."""
        found = self.registry.find(handle.name, handle.id)
        if found is None:
            return
        folder, state = found
        self._end(handle, state.keeper)
        self.registry.discard(folder)

    def exec(self, handle: Handle, argv: Sequence[str], *, timeout: float = 60.0) -> ExecResult:
        """See `Engine.exec`. A command that takes longer is killed, and `EngineError` raised."""
        output = os.memfd_create("output", os.MFD_CLOEXEC)
        try:
            code = self._execute(handle, argv, output, timeout=timeout)
            return ExecResult(code, _written(output))
        except TimeoutError as error:
            raise EngineError(
                f"{argv[0]} did not finish within {timeout:g} s in the process {handle.name}",
                detail=_end_of(output),
            ) from error
        finally:
            os.close(output)

    def exec_detached(self, handle: Handle, argv: Sequence[str]) -> None:
        """See `Engine.exec_detached`. Its output is lost."""
        output = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            code = self._execute(handle, argv, output, timeout=self.start_within, detach=True)
        except TimeoutError as error:
            raise EngineError(
                f"{argv[0]} did not start within {self.start_within:g} s"
                f" in the process {handle.name}"
            ) from error
        finally:
            os.close(output)
        if code != 0:
            raise EngineError(
                f"cannot start {argv[0]} in the process {handle.name}: exit code {code}"
            )

    def root_pid(self, handle: Handle) -> int:
        """See `Engine.root_pid`: that of the main process."""
        state = self._state(handle)
        if state is None or state.main is None:
            raise EngineError(f"the process {handle.name} was not started")
        return state.main.pid

    def logs(self, handle: Handle) -> Iterator[bytes]:
        """See `Engine.logs`."""
        folder, _ = self._get(handle)
        if folder.log.exists():
            yield from local_log_file.chunks(folder.log)

    def tail(self, handle: Handle, lines: int) -> list[str]:
        """See `Engine.tail`; [] for a container that is gone."""
        found = self.registry.find(handle.name, handle.id)
        if found is None or lines <= 0:
            return []
        return local_log_file.last_lines(found[0].log, lines)

    def follow(self, handle: Handle) -> FileFollower:
        """See `Engine.follow`. It may begin before the container starts."""
        folder, _ = self._get(handle)
        return FileFollower(folder.log)

    def stats(self, handle: Handle) -> Mapping[str, object] | None:
        """See `Engine.stats`; without network, which is that of the machine."""
        state = self._state(handle)
        if state is None or state.keeper is None or not self.state(handle).running:
            return None
        return local_processes.usage(state.keeper.pid, self._processes.table())

    def leftovers(self) -> list[Leftover]:
        """See `Engine.leftovers`: those of this user."""
        self.registry.tidy()
        return [
            Leftover("container", each.id, each.name, each.labels) for each in self.registry.all()
        ]

    def remove_leftover(self, item: Leftover) -> None:
        """See `Engine.remove_leftover`; there are only containers."""
        self.remove(Handle(item.name, item.id, item.labels.get(ownership_labels.ROLE, "")))

    def close(self) -> None:
        """See `Engine.close`."""
        self._keepers = {pid for pid in self._keepers if not reap(pid)}

    def _state(self, handle: Handle) -> State | None:
        found = self.registry.find(handle.name, handle.id)
        return None if found is None else found[1]

    def _get(self, handle: Handle) -> tuple[Folder, Container]:
        found = self.registry.find(handle.name, handle.id)
        container = None if found is None else found[0].container()
        if found is None or container is None:
            raise EngineError(f"no such process: {handle.name}")
        return found[0], container

    def _execute(
        self,
        handle: Handle,
        argv: Sequence[str],
        output: int,
        *,
        timeout: float,
        detach: bool = False,
    ) -> int:
        """The exit code; with `detach`, that of the start: 0 once it runs. Raises
        `TimeoutError`.
        """
        folder, container = self._get(handle)
        if not self.state(handle).running:
            raise EngineError(f"the process {handle.name} is not running")
        paths = Paths(container.mounts)
        words = [paths.here(word) for word in argv]
        request = json.dumps({"argv": words, "detach": detach}).encode() + b"\n"
        try:
            with _connected(folder) as channel:
                channel.settimeout(timeout)
                sent = socket.send_fds(channel, [request], [output])
                channel.sendall(request[sent:])
                answer = channel.recv(4096)
        except TimeoutError:
            raise
        except OSError as error:
            raise EngineError(
                f"cannot run {argv[0]} in the process {handle.name}: {error.strerror}"
            ) from error
        if not answer:
            raise EngineError(f"the process {handle.name} ended while {argv[0]} ran in it")
        code: int = json.loads(answer)["exit_code"]
        return code

    def _end(self, handle: Handle, keeper: Process | None) -> None:
        deadline = self.clock.monotonic() + _REMOVAL_TIMEOUT

        def members() -> list[local_processes.Seen]:
            # The tree is complete as long as the keeper lives. If the keeper was killed, orphans
            # have left the tree but still have the mark; so has a keeper without a state file.
            table = local_processes.all_processes()
            tree = local_processes.descendants(keeper.pid, table) if keeper and keeper.lives else []
            found = {seen.pid: seen for seen in local_processes.marked(handle.id, table)}
            found |= {seen.pid: seen for seen in tree}
            if keeper is not None and len(found) > 1:
                found.pop(keeper.pid, None)
            return list(found.values())

        def late() -> bool:
            self.clock.sleep(_POLL_EVERY / 4)
            self.close()
            return self.clock.monotonic() >= deadline

        if not local_processes.kill_all(members, late):
            left = ", ".join(str(seen.pid) for seen in members())
            raise EngineError(
                f"the process {handle.name} still exists {_REMOVAL_TIMEOUT:g} s after its"
                f" removal began: processes {left}"
            )
        self.close()


def _check(spec: RoleSpec) -> None:
    """Raises `EngineError` for settings that this engine does not support."""
    who = f"cannot start the process {spec.name}"
    if spec.limits != Limits():
        raise EngineError(
            f"{who}: local processes cannot be limited",
            hint="limits need control groups: use --engine docker, or omit the --limit… options",
        )
    if spec.publish:
        raise EngineError(f"{who}: local processes listen on the machine's own ports already")
    if spec.user not in {None, f"{os.geteuid()}:{os.getegid()}"}:
        raise EngineError(f"{who}: local processes run as you, not as {spec.user}")
    for mount in spec.mounts:
        if not Path(mount.source).is_absolute() or not Path(mount.source).exists():
            raise EngineError(f"{who}: there is no {mount.source} to mount as {mount.target}")


def _role_state(state: State | None) -> RoleState:
    if state is None:
        return RoleState("gone")
    if state.exit_code is not None:
        return RoleState("exited", state.exit_code, error=state.error, started_at=state.started_at)
    if state.keeper is None:
        return RoleState("created")
    return RoleState("running", started_at=state.started_at)


def _keeper_is_gone(state: State) -> bool:
    return state.keeper is not None and not state.keeper.lives


def _written(output: int) -> bytes:
    return os.pread(output, os.fstat(output).st_size, 0)


def _end_of(output: int) -> str | None:
    return "\n".join(clean_lines(_written(output))[-20:]) or None


@contextmanager
def _connected(folder: Folder) -> Iterator[socket.socket]:
    """A connection to the container's keeper. Raises `OSError`."""
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.connect(folder.socket(descriptor))
            yield channel
    finally:
        os.close(descriptor)
