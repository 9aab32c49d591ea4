"""`sim-solo provision`: fund the solo's account and give it its egress.

Needs a running chain, and may be repeated at will.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .console import say
from .ledger import CLIENT_FUNDS, GENESIS_ACCOUNT
from .web import Client, UnreachableError

Json = Any


class ProvisionError(Exception):
    """The chain did not do it, or not in time."""


class Provisioner:
    """Two transactions, each of which must be committed."""

    def __init__(
        self,
        chain: tuple[str, int],
        timeout: float,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """`timeout` in seconds for everything together; `pause` between two looks at the chain.

        `chain` is host and port of its RPC.
        """
        host, port = chain
        self._client = Client(port, timeout=5.0, host=host)
        self._deadline = time.monotonic() + timeout
        self._pause = pause

    def known(self, address: str) -> bool:
        """Whether the chain has an egress for the address. Raises `ProvisionError`."""
        return bool(self._call("GET", f"/account?address={address}")["provisioned"])

    def run(self, address: str) -> bool:
        """False when nothing was left to do. Raises `ProvisionError`."""
        account = self._call("GET", f"/account?address={address}")
        if account["provisioned"]:
            return False
        purse = account["purse"]
        if any(purse.get(denom, 0) < amount for denom, amount in CLIENT_FUNDS.items()):
            self._execute(
                f"fund-{address}",
                {
                    "contract": "bank",
                    "method": "send",
                    "args": {"to": address, "amount": CLIENT_FUNDS},
                },
            )
            say(
                "provision",
                f"sent {', '.join(f'{amount}{denom}' for denom, amount in CLIENT_FUNDS.items())}",
            )
        self._execute(
            f"egress-{address}",
            {
                "contract": "egress",
                "method": "provision",
                "args": {"address": address, "nickname": "local-solo"},
            },
        )
        return True

    def _execute(self, identity: str, message: Json) -> None:
        tx = {"id": identity, "sender": GENESIS_ACCOUNT, "message": message}
        while True:
            # Sent until there is a result: the chain may restart meanwhile, and does nothing twice.
            answer = self._call("POST", "/broadcast_tx", {"tx": tx})
            result = answer.get("tx_result")
            if result is not None and result["code"]:
                raise ProvisionError(f"the chain refused {identity}: {result['log']}")
            if result is not None:
                return
            self._rest(f"{identity} is not committed")

    def _call(self, method: str, path: str, body: Json = None) -> Json:
        """The result of a call that the chain answers, sooner or later."""
        while True:
            status, answer = self._try(method, path, body)
            if status == 200:
                return answer["result"]
            if status:
                raise ProvisionError(f"{path}: the chain answered {status}: {answer}")
            self._rest(str(answer))

    def _try(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        try:
            return self._client.call(method, path, body)
        except UnreachableError as error:
            return 0, str(error)

    def _rest(self, why: str) -> None:
        if time.monotonic() > self._deadline:
            raise ProvisionError(f"gave up: {why}")
        self._pause(0.1)
