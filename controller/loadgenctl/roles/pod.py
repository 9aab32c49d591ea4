"""The pod of a run: the containers of its roles, and a small holder whose network they join.

Each container has a label that names the run, so that `close` finds all of them, including one
whose creation was interrupted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Engine, Handle, RoleState
from loadgenctl.errors import (
    DeadlineExceeded,
    EngineError,
    RoleDied,
    RunError,
    UsageError,
    cleaned_up,
)
from loadgenctl.model import NAMED, RELAYED, Command, Limits, Mount, Ports, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.roles.host_ports import by, require_free
from loadgenctl.sdks.base import (
    HOME,
    OUT,
    PROJECT,
    SRC,
    STATE,
    TOOLS,
)

HOLDER = "holder"
RELAY = "relay"
SETUP = "setup"
"""The role of a container that runs one command."""
_POLL_S = 1.0
"""Interval, in seconds, at which `meanwhile` is called while a command runs."""
_TAKEN = re.compile(r":(\d+)(?: failed)?: .*(?:already allocated|already in use)")
HOLDER_LIMITS = Limits(memory_bytes=64 * 1024 * 1024, pids=16)


@dataclass(frozen=True, slots=True)
class PodFolders:
    """Host folders that the roles see."""

    source: Path
    """The built SDK; read-only at /src."""
    shared: Path
    """/out: slogs, load events, agent samples, tools."""
    state: Path
    """/state: what the chain and the client keep."""


@dataclass(frozen=True, slots=True)
class PodOptions:
    """What all containers of a run have in common."""

    run_id: str
    image: str
    user: str
    owner: Owner | None
    """None for containers that no process owns: a person removes them, and no sweep does."""
    results: Path | None = None
    """The results folder, which the sweep after a dead run reads from a label."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    publish: bool = False
    with_client: bool = True
    """Whether a client listens at its port."""
    ports: Ports = field(default_factory=Ports)
    network: str | None = None
    """The engine's network that the pod joins; other containers in it reach the chain."""
    uplink: bool = False
    """Whether roles can connect to the outside, as nodes and clients of a network must."""

    @property
    def relayed(self) -> dict[int, int]:
        """Port at which the relay listens → a role's port."""
        ports = self.ports
        if self.publish:
            client = (ports.solo,) if self.with_client else ()
            return _relayed((ports.chain, *client, ports.loadgen))
        # Others in the same network may query the chain, but not control client or load.
        return _relayed((ports.chain,)) if self.network else {}


def holder_spec(options: PodOptions, name: str) -> RoleSpec:
    """The container whose network the roles join; ports are published on it, for the relay."""
    return RoleSpec(
        name=name,
        role=HOLDER,
        image=options.image,
        command=Command(argv=("sleep", "infinity")),
        user=options.user,
        network=_outside(options),
        publish=options.relayed if options.publish else {},
        limits=HOLDER_LIMITS,
        labels=_labels(options, HOLDER),
        read_only_root=True,
    )


def relay_spec(options: PodOptions, folders: PodFolders, name: str, holder: str) -> RoleSpec:
    """The relay from published ports to the roles, which listen on loopback only.

    Containers in a named network reach the chain alone; the other ports are reached as published.
    """
    opened = {options.ports.chain} if options.network else set()
    pairs = (
        f"{'any:' if inner in opened else ''}{outer}={inner}"
        for outer, inner in options.relayed.items()
    )
    command = Command(argv=("python3", f"{TOOLS}/agent/relay.py", *pairs), workdir="/")
    spec = role_spec(options, folders, name, holder, RELAY, command)
    return replace(spec, limits=HOLDER_LIMITS)


def role_spec(
    options: PodOptions,
    folders: PodFolders,
    name: str,
    network: str,
    role: str,
    command: Command,
    *,
    stop_signal: str = "SIGTERM",
) -> RoleSpec:
    """The container of a role: non-root, without capabilities, its root filesystem read-only.

    It can write to its state, HOME below that, /out, and a /tmp in memory. `network` as in
    `RoleSpec`.
    """
    return RoleSpec(
        name=name,
        role=role,
        image=options.image,
        command=Command(
            argv=command.argv,
            env={"HOME": HOME, **command.env},
            workdir=command.workdir or PROJECT,
            timeout=command.timeout,
            label=command.label,
        ),
        mounts=(
            Mount(str(folders.source), SRC, read_only=True),
            Mount(str(folders.shared), OUT),
            Mount(str(folders.state), STATE),
        ),
        user=options.user,
        network=network,
        limits=options.limits.get(role, Limits()),
        labels=_labels(options, role),
        stop_signal=stop_signal,
        read_only_root=True,
    )


def _relayed(inner: Iterable[int]) -> dict[int, int]:
    return {port + RELAYED: port for port in inner}


def _outside(options: PodOptions) -> str:
    if options.network:
        return f"{NAMED}{options.network}"
    return "own" if options.publish or options.uplink else "none"


def _labels(options: PodOptions, role: str) -> dict[str, str]:
    if options.owner is None:
        return {ownership_labels.RUN: options.run_id, ownership_labels.ROLE: role}
    return ownership_labels.make(options.owner, options.run_id, role, options.results)


class Pod:
    """Makes and removes the containers of one run."""

    def __init__(
        self, engine: Engine, options: PodOptions, folders: PodFolders, clock: Clock
    ) -> None:
        """Nothing is made yet; see `open`."""
        self.engine = engine
        self._clock = clock
        self.folders = folders
        self.options = options
        self._holder: Handle | None = None
        self._serial = itertools.count()

    def open(self, listening: Mapping[int, str]) -> None:
        """Start the holder, and the relay if ports of the roles are published.

        On an engine whose roles share the machine's network there is neither; instead all ports in
        `listening` (port → role) must be free. Raises `UsageError` for one that is in use.
        """
        if not self.engine.own_network:
            require_free(listening)
            return
        try:
            self._holder = self.engine.create(holder_spec(self.options, self._name(HOLDER)))
            self.engine.start(self._holder)
        except EngineError as error:
            name = self.options.network
            if name and f"network {name} not found" in error.message:
                raise UsageError(
                    f"there is no Docker network {name}",
                    hint=f"create it: docker network create {name}",
                ) from error
            taken = _taken_port(error)
            if taken is None:
                raise
            raise taken from error
        if self.options.relayed:
            name = self._name(RELAY)
            spec = relay_spec(self.options, self.folders, name, self.holder.name)
            self.engine.start(self.engine.create(spec))

    @property
    def holder(self) -> Handle:
        """The holder's handle. Raises `RunError` before `open`."""
        if self._holder is None:
            raise RunError("the pod is not open", role=HOLDER)
        return self._holder

    def require_whole(self, what: str) -> None:
        """Raise `EngineError` if the holder has ended, too.

        The holder never ends by itself, so the engine ended all containers, and the end of a role
        (`what`, for the message) is not the role's own.
        """
        holder = self._holder
        if holder is None or self.engine.state(holder).running:
            return
        raise EngineError(
            f"the engine has ended all containers of the run ({what})",
            hint="check the engine's log, e.g. journalctl -u docker, for a restart or a stop of"
            " these containers",
        )

    def spec(self, role: str, command: Command, *, stop_signal: str = "SIGTERM") -> RoleSpec:
        """The container of a role, not created yet. Raises `RunError` before `open`."""
        name = self._name(role)
        network = self.holder.name if self.engine.own_network else "host"
        return role_spec(
            self.options, self.folders, name, network, role, command, stop_signal=stop_signal
        )

    def run_once(
        self,
        role: str,
        command: Command,
        keep_log: Callable[[bytes], None],
        *,
        tail: int = 20,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Run one command to its end in a separate container.

        `meanwhile` is called about once a second; an error that it raises ends the command. Raises
        `RunError` when the command fails, `DeadlineExceeded` when it takes longer than its timeout
        (300 s unless set).
        """
        what = command.label or command.argv[0]
        timeout = command.timeout or 300.0
        handle = self.engine.create(self.spec(role, command))

        def keep_logs() -> None:
            for chunk in self.engine.logs(handle):
                keep_log(chunk)

        with cleaned_up(lambda: self.engine.remove(handle)):
            self.engine.start(handle)
            with cleaned_up(keep_logs):
                state = self._await_end(handle, timeout, meanwhile or (lambda: None))
            last = "\n".join(self.engine.tail(handle, tail))
            if state.running:
                raise DeadlineExceeded(
                    f"{what} did not finish within {timeout:.0f} s",
                    role=role,
                    step=what,
                    hint="it was still running; its complete log is in logs/",
                    detail=last,
                )
            if state.exit_code != 0:
                self.require_whole(f"{what}: exit code {state.exit_code}")
            if state.oom_killed:
                raise RoleDied(
                    f"{what} was killed: out of memory",
                    role=role,
                    exit_code_of_role=state.exit_code,
                    oom_killed=True,
                    step=what,
                    hint="give the machine more memory",
                    detail=last,
                )
            if state.exit_code != 0:
                raise RunError(
                    f"{what} failed with exit code {state.exit_code}",
                    role=role,
                    step=what,
                    detail=last,
                )

    def _await_end(
        self, handle: Handle, timeout: float, meanwhile: Callable[[], None]
    ) -> RoleState:
        deadline = self._clock.monotonic() + timeout
        while True:
            left = deadline - self._clock.monotonic()
            state = self.engine.wait(handle, max(0.0, min(left, _POLL_S)))
            # Also after the end: an error raised here explains a failure of the command.
            meanwhile()
            if not state.running or left <= 0:
                return state

    def close(self) -> None:
        """Remove all containers of this run, roles before the holder; idempotent."""
        ours = [
            item
            for item in self.engine.leftovers()
            if item.labels.get(ownership_labels.RUN) == self.options.run_id
        ]
        holder_last = sorted(ours, key=lambda item: (item.kind != "container", HOLDER in item.name))
        for item in holder_last:
            self.engine.remove_leftover(item)
        self._holder = None

    def _name(self, role: str) -> str:
        return f"loadgenctl-{self.options.run_id}-{role}-{next(self._serial)}"


def _taken_port(error: EngineError) -> UsageError | None:
    """The error for a port that the engine could not publish; None for another failure."""
    found = _TAKEN.search(error.message)
    if found is None:
        return None
    return UsageError(
        f"the port {found[1]} of 127.0.0.1 is in use{by(int(found[1]))}",
        hint="stop the program that listens there, or choose other ports with --port.loadgen and,"
        " for --sdk sim, --port.chain and --port.solo",
    )
