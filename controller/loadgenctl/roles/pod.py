"""The pod of one run: a tiny holder container whose network namespace every role joins.

A container is made under a label that names the run, so that `close` finds all of them again, also
one whose making was cut short.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadgenctl.engines import labels
from loadgenctl.engines.base import Engine, Handle
from loadgenctl.errors import DeadlineExceeded, RunError
from loadgenctl.model import Command, Limits, Mount, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.sdks.base import (
    HOME,
    LOAD_PORT,
    OUT,
    PROJECT,
    RPC_PORT,
    SOLO_PORT,
    SRC,
    STATE,
    TOOLS,
)

HOLDER = "holder"
RELAY = "relay"
RELAYED = 10_000
"""What is added to a role's port for the port at which the relay listens in the pod."""
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
    owner: Owner
    limits: Mapping[str, Limits] = field(default_factory=dict)
    publish: bool = False
    extra_mounts: tuple[Mount, ...] = ()


class Pod:
    """Makes and removes the containers of one run."""

    def __init__(self, engine: Engine, options: PodOptions, folders: PodFolders) -> None:
        """Nothing is made yet; see `open`."""
        self.engine = engine
        self.folders = folders
        self.options = options
        self._holder: Handle | None = None
        self._serial = itertools.count()

    def open(self) -> None:
        """Start the holder, and the relay to the roles' ports where they are published."""
        ports = {port + RELAYED: port for port in (RPC_PORT, SOLO_PORT, LOAD_PORT)}
        spec = RoleSpec(
            name=self._name(HOLDER),
            role=HOLDER,
            image=self.options.image,
            command=Command(argv=("sleep", "infinity")),
            user=self.options.user,
            network="own" if self.options.publish else "none",
            publish=ports if self.options.publish else {},
            limits=HOLDER_LIMITS,
            labels=self._labels(HOLDER),
            read_only_root=True,
        )
        self._holder = self.engine.create(spec)
        self.engine.start(self._holder)
        if self.options.publish:
            self._start_relay(ports)

    def _start_relay(self, ports: Mapping[int, int]) -> None:
        """The roles listen on loopback, where a published port does not reach."""
        pairs = (f"{outer}={inner}" for outer, inner in ports.items())
        command = Command(argv=("python3", f"{TOOLS}/agent/relay.py", *pairs), workdir="/")
        spec = replace(self.spec(RELAY, command), limits=HOLDER_LIMITS)
        self.engine.start(self.engine.create(spec))

    @property
    def holder(self) -> Handle:
        """The holder's handle. Raises `RunError` before `open`."""
        if self._holder is None:
            raise RunError("the pod is not open", role=HOLDER)
        return self._holder

    def spec(self, role: str, command: Command, *, stop_signal: str = "SIGTERM") -> RoleSpec:
        """The container of a role: in the holder's network, non-root, without capabilities."""
        folders = self.folders
        return RoleSpec(
            name=self._name(role),
            role=role,
            image=self.options.image,
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
                *self.options.extra_mounts,
            ),
            user=self.options.user,
            network=self.holder.name,
            limits=self.options.limits.get(role, Limits()),
            labels=self._labels(role),
            stop_signal=stop_signal,
        )

    def run_once(
        self, role: str, command: Command, keep_log: Callable[[bytes], None], *, tail: int = 20
    ) -> None:
        """Run one command to its end in a container of its own.

        Raises `RunError` when it fails, `DeadlineExceeded` when it takes longer than its timeout
        (300 s unless set).
        """
        what = command.label or command.argv[0]
        timeout = command.timeout or 300.0
        handle = self.engine.create(self.spec(role, command))
        try:
            self.engine.start(handle)
            state = self.engine.wait(handle, timeout)
            for chunk in self.engine.logs(handle):
                keep_log(chunk)
            last = "\n".join(self.engine.tail(handle, tail))
            if state.running:
                raise DeadlineExceeded(
                    f"{what} did not finish within {timeout:.0f} s",
                    role=role,
                    step=what,
                    detail=last,
                )
            if state.exit_code != 0:
                raise RunError(
                    f"{what} failed with exit code {state.exit_code}",
                    role=role,
                    step=what,
                    detail=last,
                )
        finally:
            self.engine.remove(handle)

    def close(self) -> None:
        """Remove every container of this run, roles before the holder; idempotent."""
        ours = [
            item
            for item in self.engine.leftovers()
            if item.labels.get(labels.RUN) == self.options.run_id
        ]
        holder_last = sorted(ours, key=lambda item: (item.kind != "container", HOLDER in item.name))
        for item in holder_last:
            self.engine.remove_leftover(item)
        self._holder = None

    def _labels(self, role: str) -> dict[str, str]:
        return labels.make(self.options.owner, self.options.run_id, role)

    def _name(self, role: str) -> str:
        return f"loadgenctl-{self.options.run_id}-{role}-{next(self._serial)}"
