"""`sim-solo provision` and `sim-wallet provision`: fund and provision accounts.

Needs a running chain; can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .console import say
from .ledger import CLIENT_FUNDS, GENESIS_ACCOUNT, SMART_WALLET
from .web import Client, UnreachableError

Json = Any


class ProvisionError(Exception):
    """Provisioning failed or timed out."""


class Provisioner:
    """Two transactions an account, each of which must be committed."""

    def __init__(
        self,
        chain: tuple[str, int],
        timeout: float,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """`timeout` is the total time limit, `pause` the polling interval; both in seconds.

        `chain` is host and port of its RPC.
        """
        host, port = chain
        self._client = Client(port, timeout=5.0, host=host)
        self._deadline = time.monotonic() + timeout
        self._pause = pause

    def known(self, address: str) -> bool:
        """True if the chain has an egress for the address. Raises `ProvisionError`."""
        return bool(self._call("GET", f"/account?address={address}")["provisioned"])

    def run(self, address: str) -> bool:
        """Fund a solo and give it its egress; False if that was done before.

        Raises `ProvisionError`.
        """
        return self._run([address], "provisioned", {"nickname": "local-solo"}) > 0

    def run_wallets(self, addresses: Sequence[str]) -> int:
        """Fund accounts and give each a smart wallet; return how many had none.

        Raises `ProvisionError`.
        """
        return self._run(addresses, "wallet", {"nickname": "wallet", "powers": SMART_WALLET})

    def _run(self, addresses: Sequence[str], known: str, args: Mapping[str, Json]) -> int:
        """`known` is the key of an account that is provisioned by `args`."""
        accounts = {each: self._call("GET", f"/account?address={each}") for each in addresses}
        new = [address for address, account in accounts.items() if not account[known]]
        poor = [
            address
            for address in new
            for purse in [accounts[address]["purse"]]
            if any(purse.get(denom, 0) < amount for denom, amount in CLIENT_FUNDS.items())
        ]
        self._execute(
            {
                f"fund-{address}": {
                    "contract": "bank",
                    "method": "send",
                    "args": {"to": address, "amount": CLIENT_FUNDS},
                }
                for address in poor
            }
        )
        if poor:
            funds = ", ".join(f"{amount}{denom}" for denom, amount in CLIENT_FUNDS.items())
            say("provision", f"sent {funds}")
        self._execute(
            {
                f"egress-{address}": {
                    "contract": "egress",
                    "method": "provision",
                    "args": {"address": address, **args},
                }
                for address in new
            }
        )
        return len(new)

    def _execute(self, messages: Mapping[str, Json]) -> None:
        """Send all messages (by transaction id) at the same time, and wait until they are
        committed.
        """
        waiting = dict(messages)
        while waiting:
            for identity, message in list(waiting.items()):
                # Sent until there is a result: the chain may restart meanwhile, and runs nothing
                # twice.
                tx = {"id": identity, "sender": GENESIS_ACCOUNT, "message": message}
                result = self._call("POST", "/broadcast_tx", {"tx": tx}).get("tx_result")
                if result is not None and result["code"]:
                    raise ProvisionError(f"the chain refused {identity}: {result['log']}")
                if result is not None:
                    del waiting[identity]
            if waiting:
                self._rest(f"{next(iter(waiting))} is not committed")

    def _call(self, method: str, path: str, body: Json = None) -> Json:
        """The result of a call, repeated until the chain answers."""
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
