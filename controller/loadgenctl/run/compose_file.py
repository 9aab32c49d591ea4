"""The pod as a compose file: the containers that a run starts, with its order as conditions.

The services are made of the arguments that `docker_spec` gives a run's containers, so that a
container started by hand is restricted in the same way. The file is YAML whose values are written
as JSON, so that no path, name or command can become YAML of its own. Pure but for reading the head
of the file.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from loadgenctl import resources
from loadgenctl.engines.docker_spec import container_arguments, host_config_arguments
from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import Command, ResolvedRevision, RoleSpec
from loadgenctl.roles import probes
from loadgenctl.roles.pod import (
    HOLDER,
    RELAY,
    SETUP,
    PodFolders,
    PodOptions,
    holder_spec,
    relay_spec,
    role_spec,
)
from loadgenctl.sdks.base import PROJECT, RoleContext, RoleRecipe, SdkFamily, clients
from loadgenctl.version import VERSION

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]

STARTED: Condition = "service_started"
HEALTHY: Condition = "service_healthy"
DONE: Condition = "service_completed_successfully"
CREATE_CHAIN, CREATE_CLIENT = "create-chain", "create-client"
PROVISION, READY = "provision", "ready"
GRACE_S: Final = 10
"""Time to stop, for a service that has nothing to finish."""
ONE_SHOT_TIMEOUT_S: Final = 300.0
_SIMULATED = "\n# SIMULATED: its numbers say nothing about a real chain."
_JOINED = "container:"
_UNUSUAL = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Service:
    """One service, named after its spec."""

    spec: RoleSpec
    about: str
    """One line for the reader of the file."""
    after: Mapping[str, Condition] = field(default_factory=dict)
    """Service → the condition under which this one is started."""
    health: tuple[str, ...] = ()
    """A command that succeeds in a container that is ready; empty: no health check."""
    start_period_s: int = 0
    """How long `health` may fail from the container's start."""
    stop_grace_s: int = GRACE_S
    """Time between the stop signal and SIGKILL."""


def compose_file(services: Iterable[Service], resolved: ResolvedRevision, family: SdkFamily) -> str:
    """The text of the file. Raises `UsageError` for a path that is not UTF-8."""
    revision = resolved.commit or f"{resolved.repository} ({resolved.content_id})"
    head = resources.compose("head.yaml")
    try:
        text = head.read_text("utf-8")
    except OSError as error:
        raise LoadgenError(f"{head} cannot be read: {error.strerror}") from error
    values = {"version": VERSION, "sdk": json_text(family.name), "revision": json_text(revision)}
    lines = [text.rstrip().format(**values, simulated=_SIMULATED if family.simulated else "")]
    for service in services:
        lines += ["", f"  # {service.about}", f"  {service.spec.name}:"]
        for key, value in service_keys(service).items():
            lines += _setting(key, value)
    return "\n".join(lines) + "\n"


def _setting(key: str, value: object) -> Iterator[str]:
    """The lines of one key of a service."""
    match value:
        case dict() if value:
            yield f"    {key}:"
            yield from (
                f"      {json_text(name)}: {json_text(each)}" for name, each in value.items()
            )
        case list() if key == "volumes":
            yield f"    {key}:"
            yield from (f"      - {json_text(each)}" for each in value)
        case _:
            yield f"    {key}: {json_text(value)}"


def json_text(value: object) -> str:
    """A value on one line of YAML, as printable ASCII. Raises `UsageError`, see `compose_file`."""
    return _UNUSUAL.sub(_escaped, json.dumps(_unexpanded(value), ensure_ascii=False))


def _unexpanded(value: object) -> object:
    """The value with every `$` doubled: compose expands variables."""
    match value:
        case str():
            return value.replace("$", "$$")
        case bool() | int() | float():
            return value
        case list() | tuple():
            return [_unexpanded(item) for item in value]
        case dict():
            return {_unexpanded(key): _unexpanded(item) for key, item in value.items()}
    raise LoadgenError(f"a compose file cannot hold {type(value).__name__}")


def _escaped(found: re.Match[str]) -> str:
    # YAML knows no pairs of surrogates, so JSON's own escapes do not serve for all characters.
    code = ord(found[0])
    if 0xD800 <= code <= 0xDFFF:
        raise UsageError(
            "a path that is not UTF-8 cannot be in a compose file", hint="rename the folder"
        )
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"


def service_keys(service: Service) -> dict[str, Any]:
    """All keys of a service in the file."""
    keys = spec_keys(service.spec)
    keys["stop_grace_period"] = f"{service.stop_grace_s}s"
    # The engine has the image. A registry could answer its name with another one.
    keys["pull_policy"] = "never"
    if service.after:
        keys["depends_on"] = {
            name: {"condition": condition} for name, condition in service.after.items()
        }
    if service.health:
        keys["healthcheck"] = {
            "test": ["CMD", *service.health],
            "interval": "5s",
            "timeout": "10s",
            "retries": 3,
            "start_period": f"{service.start_period_s}s",
        }
    return keys


def spec_keys(spec: RoleSpec) -> dict[str, Any]:
    """A container as keys of a service. Raises `LoadgenError` for what compose cannot express.

    A network to be joined is that of the service with the joined role's name.
    """
    given = {**host_config_arguments(spec), **container_arguments(spec)}
    unknown = set(given) - set(_KEYS)
    if unknown:
        raise LoadgenError(f"a compose file cannot express {', '.join(sorted(unknown))}")
    keys: dict[str, Any] = {}
    for name, key_of in _KEYS.items():
        value = given.get(name)
        if value is not None and value is not False and value not in ([], {}):
            keys |= {name: value} if key_of is None else key_of(value)
    return keys


def _mounts(mounts: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "volumes": [
            {
                "type": mount["Type"],
                "source": mount["Source"],
                "target": mount["Target"],
                "read_only": bool(mount.get("ReadOnly")),
            }
            for mount in mounts
        ]
    }


def _network(mode: str) -> dict[str, Any]:
    joined = mode.removeprefix(_JOINED)
    return {"network_mode": mode if joined == mode else f"service:{joined}"}


def _ports(bindings: Mapping[int, tuple[str, int]]) -> dict[str, Any]:
    return {
        "ports": [
            f"{address}:{outside}:{inside}" for inside, (address, outside) in bindings.items()
        ]
    }


_KEYS: Mapping[str, Callable[[Any], dict[str, Any]] | None] = {
    **dict.fromkeys(("image", "entrypoint", "command", "environment", "working_dir", "user")),
    "labels": lambda labels: {"labels": dict(labels)},
    **dict.fromkeys(("init", "read_only", "cap_drop", "security_opt", "pids_limit", "mem_limit")),
    "memswap_limit": None,
    "nano_cpus": lambda nano: {"cpus": nano / 1e9},
    "stop_signal": None,
    "network_mode": _network,
    "mounts": _mounts,
    "tmpfs": lambda folders: {"tmpfs": [f"{path}:{how}" for path, how in folders.items()]},
    "log_config": lambda config: {
        "logging": {"driver": config["Type"], "options": dict(config["Config"])}
    },
    "port_bindings": _ports,
    "ports": lambda _: {},  # the same ports as in `port_bindings`
    "name": lambda _: {},  # compose names containers after the project
    "use_config_proxy": lambda _: {},  # the compose tool decides that itself
}
"""Docker's argument → the keys of a service; None: the same key and value."""


def services(
    family: SdkFamily,
    context: RoleContext,
    options: PodOptions,
    folders: PodFolders,
    timeouts_s: Mapping[str, float],
) -> tuple[Service, ...]:
    """All services in the order of their start.

    `timeouts_s`: role → time limit to be ready, where it is not the one of the role's recipe.
    """
    return _Pod(options, folders, timeouts_s).services(
        family.chain(context), clients(family, context), family.loadgen(context)
    )


@dataclass(frozen=True, slots=True)
class _Pod:
    options: PodOptions
    folders: PodFolders
    timeouts_s: Mapping[str, float]

    def services(
        self, chain: RoleRecipe, users: Sequence[RoleRecipe], loadgen: RoleRecipe
    ) -> tuple[Service, ...]:
        """`users`: one client, or none where the load acts through wallets."""
        ports = self.options.ports
        return (
            Service(holder_spec(self.options, HOLDER), "holds the network that all others join"),
            Service(
                relay_spec(self.options, self.folders, RELAY, HOLDER),
                "carries the published ports to the roles, which listen on loopback",
                {HOLDER: STARTED},
            ),
            self._once(
                CREATE_CHAIN,
                in_turn(chain.prepare, chain.state_probe),
                "makes the chain, unless it is there",
                {HOLDER: STARTED},
            ),
            *(
                self._once(
                    CREATE_CLIENT,
                    in_turn(client.prepare, client.state_probe),
                    "makes the client, unless it is there",
                    {CREATE_CHAIN: DONE},
                )
                for client in users
            ),
            self._role(
                chain,
                probes.get(ports.chain, "health"),
                "the chain node",
                {CREATE_CHAIN: DONE, RELAY: STARTED},
            ),
            *self._load(chain, users, loadgen),
            self._once(
                READY,
                Command(
                    ("echo", f"ready: the load is set at http://127.0.0.1:{ports.loadgen}/config")
                ),
                "says that all is ready; `up --detach` returns no sooner",
                {loadgen.role: HEALTHY},
            ),
        )

    def _load(
        self, chain: RoleRecipe, users: Sequence[RoleRecipe], loadgen: RoleRecipe
    ) -> Iterator[Service]:
        """What starts once the chain runs: funding, clients, the load service."""
        ports = self.options.ports
        up: Mapping[str, Condition] = {chain.role: HEALTHY}
        provision = [*(each for client in users for each in client.provision), *loadgen.provision]
        if provision:
            whom = "the client" if users else "the wallets"
            made: Mapping[str, Condition] = {CREATE_CLIENT: DONE} if users else {}
            about = f"makes {whom} known to the chain, with funds, unless that was done"
            yield self._once(PROVISION, in_turn(provision, None), about, {**made, **up})
            up = {PROVISION: DONE}
        for client in users:
            yield self._role(client, probes.listening(ports.solo), "the client", up)
        yield self._role(
            loadgen,
            probes.get(ports.loadgen, "config"),
            "the load service; its load is off until it is configured",
            {client.role: HEALTHY for client in users} or up,
            # A client that listens may still need its complete time to be ready for the driver.
            waiting_s=sum(self._timeout_s(client) for client in users),
        )

    def _timeout_s(self, recipe: RoleRecipe) -> float:
        return self.timeouts_s.get(recipe.role, recipe.ready_timeout)

    def _once(
        self, name: str, command: Command, about: str, after: Mapping[str, Condition]
    ) -> Service:
        """A container that does one thing and ends."""
        spec = role_spec(self.options, self.folders, name, HOLDER, SETUP, command)
        return Service(spec, about, after)

    def _role(
        self,
        recipe: RoleRecipe,
        health: tuple[str, ...],
        about: str,
        after: Mapping[str, Condition],
        waiting_s: float = 0.0,
    ) -> Service:
        """`waiting_s`: what the role itself waits for before it can be ready."""
        role, folders = recipe.role, self.folders
        spec = role_spec(
            self.options,
            folders,
            role,
            HOLDER,
            role,
            recipe.command,
            stop_signal=recipe.stop_signal,
        )
        start_period_s = math.ceil(waiting_s + self._timeout_s(recipe))
        return Service(spec, about, after, health, start_period_s, math.ceil(recipe.stop_grace))


def in_turn(commands: Sequence[Command], probe: str | None) -> Command:
    """One command that runs several in turn, each with its own deadline.

    It does nothing if the path `probe` exists.
    """
    lines = []
    if probe is not None:
        there = shlex.quote(probe)
        lines.append(f"if [ -e {there} ]; then echo {there} is there already; exit 0; fi")
    first = commands[0] if commands else Command(())
    lines += [_line(command, first) for command in commands]
    argv = ("/bin/sh", "-ec", "\n".join(lines))
    return Command(argv, env=first.env, workdir=first.workdir)


def _line(command: Command, first: Command) -> str:
    """The shell's line for one of several commands in a container made for the first."""
    limit = f"{command.timeout or ONE_SHOT_TIMEOUT_S:g}"
    words = ["timeout", "-k", f"{GRACE_S}", limit, *command.argv]
    unset = [word for key in first.env if key not in command.env for word in ("-u", key)]
    own = [f"{key}={text}" for key, text in command.env.items() if first.env.get(key) != text]
    if unset or own or command.workdir != first.workdir:
        words = ["env", "-C", command.workdir or PROJECT, *unset, *own, *words]
    return shlex.join(words)
