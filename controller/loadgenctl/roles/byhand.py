"""The pod as services of a compose file: the same specs that a run starts one after the other, with
the order that a run keeps turned into conditions. Pure.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadgenctl.model import Command, RoleSpec
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
from loadgenctl.sdks.base import PROJECT, RoleRecipe

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]

STARTED: Condition = "service_started"
HEALTHY: Condition = "service_healthy"
DONE: Condition = "service_completed_successfully"
CREATE_CHAIN, CREATE_CLIENT = "create-chain", "create-client"
PROVISION, READY = "provision", "ready"
GRACE = 10.0
"""Seconds to stop, for what has nothing to finish."""
ONE_SHOT_TIMEOUT = 300.0
_CHECK_INTERVAL = 5
_CHECK_TIMEOUT = 10
_CHECK_RETRIES = 3


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A command that succeeds in a container that is ready. Seconds."""

    argv: tuple[str, ...]
    start_period: int
    """How long it may fail from the container's start."""
    interval: int = _CHECK_INTERVAL
    timeout: int = _CHECK_TIMEOUT
    retries: int = _CHECK_RETRIES


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name is that of its spec."""

    spec: RoleSpec
    about: str
    """One line for the reader of the file."""
    after: Mapping[str, Condition] = field(default_factory=dict)
    """Service → what it must have come to before this one is started."""
    health: HealthCheck | None = None
    stop_grace: int = math.ceil(GRACE)
    """Seconds between the stop signal and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Recipes:
    """What an SDK says about its roles."""

    chain: RoleRecipe
    clients: tuple[RoleRecipe, ...]
    """Those that are roles of their own: one, or none where the load acts through wallets."""
    loadgen: RoleRecipe


def services(
    options: PodOptions, folders: PodFolders, recipes: Recipes, timeouts: Mapping[str, float]
) -> tuple[Service, ...]:
    """All services in the order in which they come up.

    `timeouts` in seconds: role → how long it may take to be ready, where not as its recipe says.
    """
    return _Pod(options, folders, timeouts).services(recipes)


@dataclass(frozen=True, slots=True)
class _Pod:
    options: PodOptions
    folders: PodFolders
    timeouts: Mapping[str, float]

    def services(self, recipes: Recipes) -> tuple[Service, ...]:
        chain, loadgen, ports = recipes.chain, recipes.loadgen, self.options.ports
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
                for client in recipes.clients
            ),
            self._role(
                chain,
                probes.get(ports.chain, "health"),
                "the chain node",
                {CREATE_CHAIN: DONE, RELAY: STARTED},
            ),
            *self._load(recipes),
            self._once(
                READY,
                Command(
                    ("echo", f"ready: the load is set at http://127.0.0.1:{ports.loadgen}/config")
                ),
                "says that all is ready; `up --detach` returns no sooner",
                {loadgen.role: HEALTHY},
            ),
        )

    def _load(self, recipes: Recipes) -> Iterator[Service]:
        """What comes up once the chain runs: funds, clients, the load service."""
        ports, loadgen = self.options.ports, recipes.loadgen
        up: Mapping[str, Condition] = {recipes.chain.role: HEALTHY}
        provision = [*(each for role in recipes.clients for each in role.provision)]
        provision += loadgen.provision
        if provision:
            whom = "the client" if recipes.clients else "the wallets"
            made: Mapping[str, Condition] = {CREATE_CLIENT: DONE} if recipes.clients else {}
            about = f"makes {whom} known to the chain, with funds, unless that was done"
            yield self._once(PROVISION, in_turn(provision, None), about, {**made, **up})
            up = {PROVISION: DONE}
        for client in recipes.clients:
            yield self._role(client, probes.listening(ports.solo), "the client", up)
        yield self._role(
            loadgen,
            probes.get(ports.loadgen, "config"),
            "the load service; its load is off until it is configured",
            {client.role: HEALTHY for client in recipes.clients} or up,
            # A client that listens may yet take its whole time to be ready for the driver.
            waiting=sum(self._timeout(client) for client in recipes.clients),
        )

    def _timeout(self, recipe: RoleRecipe) -> float:
        return self.timeouts.get(recipe.role, recipe.ready_timeout)

    def _once(
        self, name: str, command: Command, about: str, after: Mapping[str, Condition]
    ) -> Service:
        """A container that does one thing and ends."""
        spec = role_spec(self.options, self.folders, name, HOLDER, SETUP, command)
        return Service(spec, about, after)

    def _role(
        self,
        recipe: RoleRecipe,
        question: tuple[str, ...],
        about: str,
        after: Mapping[str, Condition],
        waiting: float = 0.0,
    ) -> Service:
        """`waiting` in seconds: what it waits for itself before it can be ready."""
        role = recipe.role
        spec = role_spec(
            self.options,
            self.folders,
            role,
            HOLDER,
            role,
            recipe.command,
            stop_signal=recipe.stop_signal,
        )
        check = HealthCheck(question, math.ceil(waiting + self._timeout(recipe)))
        return Service(spec, about, after, check, math.ceil(recipe.stop_grace))


def in_turn(commands: Sequence[Command], probe: str | None) -> Command:
    """One command that runs several in turn, each with its own deadline; where the path `probe`
    exists it does nothing.
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
    limit = f"{command.timeout or ONE_SHOT_TIMEOUT:g}"
    words = ["timeout", "-k", f"{GRACE:g}", limit, *command.argv]
    unset = [word for key in first.env if key not in command.env for word in ("-u", key)]
    own = [f"{key}={text}" for key, text in command.env.items() if first.env.get(key) != text]
    if unset or own or command.workdir != first.workdir:
        words = ["env", "-C", command.workdir or PROJECT, *unset, *own, *words]
    return shlex.join(words)
