"""What is made before roles start, unless it exists: the state of the chain and of the clients, and
on a network that others run an account for each client, which the network has to provision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadgenctl.errors import DeadlineExceeded, RunError
from loadgenctl.model import ChainNetwork, Command
from loadgenctl.records.reader import parse_row
from loadgenctl.roles.pod import SETUP
from loadgenctl.run.context import RunContext
from loadgenctl.run.run_folders import read_mark
from loadgenctl.sdks.base import CLIENT_ANSWER, RoleRecipe, clients

PROVISION = "provision"
PROVISION_TIMEOUT = 600.0
"""Seconds within which the network has to know the client."""
ANSWER_LIMIT = 64 * 1024
"""Bytes of the client's answer."""
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
POLL_INTERVAL = 6.0
"""Seconds between two queries whether the network knows the client."""


def set_up(ctx: RunContext) -> None:
    """Before the first stage: make the chain's state, and on a network the clients' accounts.

    Raises `RunError` with the name of what failed.
    """
    plan = ctx.plan
    of_networks = {} if plan.origin is None else {"testnetOrigin": plan.origin}
    ctx.store.perf("setup-tasks-start", reset=plan.reset, withMonitor=plan.monitor, **of_networks)
    if plan.monitor:
        chain = ctx.family.chain(ctx.role_context(0))
        _note_kept_limit(ctx, chain)
        prepare(ctx, chain, "setup", SETUP)
    if ctx.network is not None and any(not stage.chain_only for stage in plan.stages):
        for client in clients(ctx.family, ctx.role_context(0)):
            prepare(ctx, client, "setup", SETUP)
            Provisioning(ctx, client, ctx.network).wait()
    ctx.store.perf("setup-tasks-finish")


def _note_kept_limit(ctx: RunContext, chain: RoleRecipe) -> None:
    """Note that the chain of an earlier run keeps its genesis, and so its limit."""
    mark = read_mark(ctx.plan.state_dir)
    ours = mark is not None and mark.run_id == ctx.run_id
    if ctx.plan.compute_limit is None or ours or not _exists(ctx, chain):
        return
    ctx.progress.note(
        "the chain exists already and keeps its own limit of computrons:"
        " --chain.compute-limit has no effect"
    )


def _exists(ctx: RunContext, recipe: RoleRecipe) -> bool:
    return recipe.state_probe is not None and ctx.on_host(recipe.state_probe).exists()


def prepare(
    ctx: RunContext,
    recipe: RoleRecipe,
    step: str,
    log: str,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Make a role's state, unless it exists. See `run_all`."""
    if not _exists(ctx, recipe):
        run_all(ctx, recipe.prepare, step, log, meanwhile)


def run_all(
    ctx: RunContext,
    commands: Sequence[Command],
    step: str,
    log: str,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Run commands one after the other, with their output in logs/LOG.log.gz; `step` names them in
    the progress. `meanwhile` as in `Pod.run_once`.
    """
    keep = ctx.log_keeper(log)
    for command in commands:
        ctx.progress.step(f"{step}: {command.label}")
        ctx.pod.run_once(SETUP, command, keep, meanwhile=meanwhile)


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What a client reports about itself."""

    known: bool
    """By its network."""
    address: str
    reason: str
    """Why it is not known, if it is not."""


def parse_answer(data: bytes) -> ClientAnswer:
    """The content of CLIENT_ANSWER, which the SDK wrote. Raises `RunError`."""
    document = parse_row(data)
    if document is None:
        raise _no_answer("it is no JSON object")
    known, address, reason = (document.get(name) for name in ("known", "address", "reason"))
    if not isinstance(known, bool):
        raise _no_answer("it does not say whether the network knows the client")
    # The address becomes a variable of the user's command.
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _no_answer(f"its address is {ascii(address)[:80]}")
    return ClientAnswer(known, address, reason if isinstance(reason, str) else "no reason given")


def _no_answer(why: str) -> RunError:
    return RunError(f"the client's answer cannot be used: {why}", role="solo", step=PROVISION)


class Provisioning:
    """Has a network provision the client: by the user's command, or by the user."""

    def __init__(self, ctx: RunContext, client: RoleRecipe, network: ChainNetwork) -> None:
        """Nothing is requested yet. The client's state exists."""
        self._ctx = ctx
        self._client = client
        self._network = network

    def wait(self) -> None:
        """Return once the network knows the client.

        Raises `DeadlineExceeded` if that takes too long, `RunError` if the command fails.
        """
        ctx, timeout = self._ctx, self._ctx.timeout(PROVISION, PROVISION_TIMEOUT)
        deadline = ctx.clock.monotonic() + timeout
        answer = self._ask()
        if answer.known:
            return
        address = answer.address
        if ctx.plan.provision_command is None:
            ctx.progress.warn(
                f"the network {self._network.chain_id} does not know this run's client yet:"
                f" have it provision {address} within {timeout:.0f} s"
            )
        else:
            self._command(ctx.plan.provision_command, address, timeout)
        while not (answer := self._ask()).known:
            ctx.interrupts.check()
            left = deadline - ctx.clock.monotonic()
            if left <= 0:
                raise DeadlineExceeded(
                    f"the network {self._network.chain_id} did not provision the client"
                    f" {address} within {timeout:.0f} s",
                    role="solo",
                    step=PROVISION,
                    hint="set a larger --timeout.provision, or a --provision-command",
                    detail=answer.reason,
                )
            ctx.clock.sleep(min(POLL_INTERVAL, left))

    def _ask(self) -> ClientAnswer:
        ctx = self._ctx
        if self._client.ask is None:
            raise RunError("this SDK's client cannot join a network", role="solo", step=PROVISION)
        ctx.pod.run_once(SETUP, self._client.ask, ctx.log_keeper(SETUP))
        try:
            data = ctx.on_host(CLIENT_ANSWER).read(ANSWER_LIMIT)
        except FileNotFoundError as error:
            raise _no_answer("it wrote none") from error
        return parse_answer(data)

    def _command(self, command: str, address: str, timeout: float) -> None:
        ctx = self._ctx
        ctx.progress.step(f"setup: having {address} provisioned")
        env = {
            "LOADGENCTL_ADDRESS": address,
            "LOADGENCTL_CHAIN_ID": self._network.chain_id,
            "LOADGENCTL_RPC": ",".join(self._network.rpc),
        }
        try:
            done = ctx.processes.run(["/bin/sh", "-c", command], env=env, timeout=timeout)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                f"the --provision-command did not end within {timeout:.0f} s",
                role="solo",
                step=PROVISION,
                hint="set a larger --timeout.provision",
            ) from error
        if done.exit_code != 0:
            raise RunError(
                f"the --provision-command failed with exit code {done.exit_code}",
                role="solo",
                step=PROVISION,
                hint="it gets the client's address in $LOADGENCTL_ADDRESS",
                detail=done.last_lines(),
            )
