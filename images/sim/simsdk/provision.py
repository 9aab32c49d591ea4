"""`sim-solo provision`: fund the solo's account and give it its egress, with the chain running. May be repeated at will."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .console import say
from .ledger import CLIENT_FUNDS, GENESIS_ACCOUNT
from .web import Client, Unreachable

Json = Any


class ProvisionError(Exception):
    """The chain did not do it, or not in time."""


class Provisioner:
    """Two transactions, each of which must be committed."""

    def __init__(
        self, port: int, timeout: float, pause: Callable[[float], object] = time.sleep
    ) -> None:
        """`timeout` in seconds for everything together; `pause` between two looks at the chain."""
        self._client = Client(port, timeout=5.0)
        self._deadline = time.monotonic() + timeout
        self._pause = pause

    def run(self, address: str) -> bool:
        """False when nothing was left to do. Raises `ProvisionError`."""
        account = self._ask(f"/account?address={address}")
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
            # Sent until there is a result: the chain may restart in between, and does nothing twice.
            try:
                _, answer = self._client.call("POST", "/broadcast_tx", {"tx": tx})
            except Unreachable as error:
                self._rest(str(error))
                continue
            result = answer["result"].get("tx_result")
            if result is not None:
                if result["code"]:
                    raise ProvisionError(f"the chain refused {identity}: {result['log']}")
                return
            self._rest(f"{identity} is not committed")

    def _ask(self, path: str) -> Json:
        while True:
            try:
                return self._client.get(path)["result"]
            except Unreachable as error:
                self._rest(str(error))

    def _rest(self, why: str) -> None:
        if time.monotonic() > self._deadline:
            raise ProvisionError(f"gave up: {why}")
        self._pause(0.1)
