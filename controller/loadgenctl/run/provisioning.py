"""A client on a network that others run: its address is told, and it waits until it is known."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loadgenctl.errors import DeadlineExceeded, RunError
from loadgenctl.model import ChainNetwork
from loadgenctl.records.reader import parse_row
from loadgenctl.roles.pod import SETUP
from loadgenctl.run.context import StageContext
from loadgenctl.sdks.base import CLIENT_ANSWER, RoleRecipe

PROVISION = "provision"
PATIENCE = 600.0
"""Seconds until the network has to know the client."""
ANSWER_LIMIT = 64 * 1024
"""Bytes of the client's answer."""
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
LOOK = 6.0
"""Seconds between two questions to the network."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client tells of itself."""

    known: bool
    """By its network."""
    address: str
    reason: str
    """Why it is not known, if it is not."""


def parse_answer(data: bytes) -> Answer:
    """The content of CLIENT_ANSWER, which the SDK wrote. Raises `RunError`."""
    document = parse_row(data)
    if document is None:
        raise _no_answer("it is no JSON object")
    known, address, reason = (document.get(name) for name in ("known", "address", "reason"))
    if not isinstance(known, bool):
        raise _no_answer("it does not tell whether the network knows the client")
    # The address becomes a variable of a person's command.
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _no_answer(f"its address is {ascii(address)[:80]}")
    return Answer(known, address, reason if isinstance(reason, str) else "no reason given")


def _no_answer(why: str) -> RunError:
    return RunError(f"the client's answer cannot be used: {why}", role="solo", step=PROVISION)


class Provisioning:
    """Has a network provision the client: by a command of the person's, or by the person."""

    def __init__(self, ctx: StageContext, client: RoleRecipe, network: ChainNetwork) -> None:
        """Nothing is asked yet. The client's state is there."""
        self._ctx = ctx
        self._client = client
        self._network = network

    def wait(self) -> None:
        """Return once the network knows the client.

        Raises `DeadlineExceeded` when it does not in time, `RunError` when the command fails.
        """
        ctx, timeout = self._ctx, self._ctx.timeout(PROVISION, PATIENCE)
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
                    f"the network {self._network.chain_id} did not come to know the client"
                    f" {address} within {timeout:.0f} s",
                    role="solo",
                    step=PROVISION,
                    hint="give it more time by --timeout.provision, or a --provision-command",
                    detail=answer.reason,
                )
            ctx.clock.sleep(min(LOOK, left))

    def _ask(self) -> Answer:
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
                hint="give it more time by --timeout.provision",
            ) from error
        if done.exit_code != 0:
            raise RunError(
                f"the --provision-command failed with exit code {done.exit_code}",
                role="solo",
                step=PROVISION,
                hint="it gets the client's address in $LOADGENCTL_ADDRESS",
                detail=done.last_lines(),
            )
