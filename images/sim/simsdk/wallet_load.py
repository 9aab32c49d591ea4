"""The load through smart wallets: the driver without a client.

A wallet has one pending offer at a time, so each cycle takes its own wallet from a pool, or waits
for one. A cycle's detail has a list for each of these, with one item per offer:

    inclusionSeconds    from sending the transaction until it was seen in a block
    settlementSeconds   from sending it until its outcome was seen
    includedHeight      the block that has the transaction
    settledHeight       the block that ran the offer
    gas                 gas used by the transaction
"""

from __future__ import annotations

import hashlib
import json
import queue
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any

from . import ledger
from .config import SimConfig
from .tasks import CycleError, percent
from .web import Client, UnreachableError

Json = Any
Offer = Callable[[str, str, Mapping[str, Json]], Mapping[str, Json]]
"""(contract, method, args) → the status of the settled offer. Raises `CycleError`."""

MEASURES = ("inclusionSeconds", "settlementSeconds", "includedHeight", "settledHeight", "gas")


def addresses(config: SimConfig) -> tuple[str, ...]:
    """The wallets of a run's pool."""
    return tuple(
        "agoric1" + hashlib.sha256(f"{config.seed}/wallet/{number}".encode()).hexdigest()[:38]
        for number in range(config.wallet.pool)
    )


class Wallet:
    """A smart wallet's account for one thread."""

    def __init__(self, address: str, config: SimConfig, prefix: str) -> None:
        """`prefix` makes the ids of offers globally unique."""
        host, port = config.chain_address
        self.address = address
        self._client = Client(port, timeout=5.0, host=host)
        self._timeout = config.wallet.offer_timeout
        self._pause = min(max(config.chain.block_time / 8, 0.02), 0.5)
        self._prefix = prefix
        self._count = 0
        self.measured: dict[str, list[Json]] = {name: [] for name in MEASURES}

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def exists(self) -> bool:
        """True if the chain answers and has the wallet."""
        try:
            found = self._client.get(f"/account?address={self.address}")
        except UnreachableError:
            return False
        return found["result"]["wallet"] is not None

    def account(self) -> Mapping[str, Json]:
        """The chain's record of it. Raises `CycleError`."""
        found: Mapping[str, Json] = self._ask(f"/account?address={self.address}")["result"]
        return found

    def offer(self, contract: str, method: str, args: Mapping[str, Json]) -> Mapping[str, Json]:
        """Make one offer and wait until it is settled; see `Offer`."""
        self._count += 1
        identity = f"{self._prefix}-{self._count}"
        wallet, action = ledger.OFFER
        offer = {"id": identity, "contract": contract, "method": method, "args": args}
        tx = {
            "id": f"{self.address}/{identity}",
            "sender": self.address,
            "message": {"contract": wallet, "method": action, "args": offer},
        }
        sent = time.monotonic()
        deadline = sent + self._timeout
        height, gas = self._included(tx, deadline)
        self._note("inclusionSeconds", round(time.monotonic() - sent, 6))
        self._note("includedHeight", height)
        self._note("gas", gas)
        status, settled = self._settled(identity, deadline)
        self._note("settlementSeconds", round(time.monotonic() - sent, 6))
        self._note("settledHeight", settled)
        if "error" in status:
            raise CycleError(f"{contract}.{method}: {status['error']}")
        return status

    def _note(self, name: str, value: Json) -> None:
        self.measured[name].append(value)

    def _included(self, tx: Json, deadline: float) -> tuple[int, int]:
        """Send a transaction until it is in a block; return height and gas. Raises `CycleError`."""
        while time.monotonic() < deadline:
            try:
                status, answer = self._client.call("POST", "/broadcast_tx", {"tx": tx})
            except UnreachableError:
                status, answer = 0, {}
            result = answer.get("result", {})
            if status not in (0, 200) or (result.get("code") and "tx_result" not in result):
                raise CycleError(f"the transaction was refused: {result.get('log') or answer}")
            if "tx_result" in result:
                done = result["tx_result"]
                if done["code"]:
                    raise CycleError(f"the transaction failed: {done['log']}")
                return int(result["height"]), int(done["gas_used"])
            time.sleep(self._pause)
        raise CycleError(f"{tx['id']} was in no block within {self._timeout:g} s")

    def _settled(self, identity: str, deadline: float) -> tuple[Mapping[str, Json], int]:
        """The published status of an offer, and the height of its block. Raises `CycleError`."""
        while time.monotonic() < deadline:
            cell = json.loads(self._ask(f"/agoric/vstorage/data/{self._path}")["value"] or "{}")
            for text in cell.get("values", ()):
                status = json.loads(text)["status"]
                if status["id"] == identity:
                    return status, int(cell["blockHeight"])
            time.sleep(self._pause)
        raise CycleError(f"the offer {identity} was not settled within {self._timeout:g} s")

    @property
    def _path(self) -> str:
        return f"published.wallet.{self.address}"

    def _ask(self, path: str) -> Json:
        """The response of a chain that may restart meanwhile. Raises `CycleError`."""
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            with suppress(UnreachableError):
                return self._client.get(path)
            time.sleep(self._pause)
        raise CycleError(f"{path}: the chain did not answer within {self._timeout:g} s")


def expect(step: str, status: Mapping[str, Json], wanted: Mapping[str, int]) -> None:
    """Raise `CycleError` unless the offer changed the wallet's purse by exactly this amount."""
    if status["moved"] != dict(wanted):
        raise CycleError(
            f"{step}: the wallet should have changed by {dict(wanted)},"
            f" but changed by {status['moved']}"
        )


def faucet(offer: Offer, _purse: Mapping[str, int]) -> Json:
    """One offer: tokens are minted into the wallet."""
    expect("faucet", offer("faucet", "offer", {}), {"token": ledger.FAUCET_TOKENS})
    return {"tokens": ledger.FAUCET_TOKENS}


def _swap(offer: Offer, give: str, amount: int) -> int:
    want = "ubld" if give == "urun" else "urun"
    status = offer("amm", "offer", {"give": give, "amount": amount})
    pool = status["result"]["pool"]
    # The price is computed here from the pool before the trade, not taken from the response.
    fair = ledger.swap_out(pool[give], pool[want], amount)
    expect(f"amm {give}", status, {give: -amount, want: fair})
    return fair


def amm(offer: Offer, purse: Mapping[str, int]) -> Json:
    """Two offers: 1 % of the RUN to BLD, and the proceeds back."""
    bought = _swap(offer, "urun", percent(purse.get("urun", 0), 1))
    return {"ubld": bought, "urun": _swap(offer, "ubld", bought)}


def vault(offer: Offer, purse: Mapping[str, int]) -> Json:
    """Two offers: a vault with 1 % of the BLD and a loan of half as many RUN; repaid and closed."""
    collateral = percent(purse.get("ubld", 0), 1)
    loan = collateral // 2
    opened = offer("vault", "offer", {"collateral": collateral, "loan": loan})
    expect("vault open", opened, {"ubld": -collateral, "urun": loan})
    handle = opened["result"]["vault"]
    expect("vault close", close_vault(offer, handle, loan), {"urun": -loan, "ubld": collateral})
    return {"collateral": collateral, "loan": loan}


def close_vault(offer: Offer, handle: str, loan: int) -> Mapping[str, Json]:
    """Repay a vault's debt and get its collateral back; return the offer's status."""
    return offer("vault", "close", {"vault": handle, "amount": loan})


CYCLES: Mapping[str, Callable[[Offer, Mapping[str, int]], Json]] = {
    "faucet": faucet,
    "amm": amm,
    "vault": vault,
}


class WalletLoad:
    """A driver's load through a pool of wallets. Thread-safe."""

    tasks = tuple(CYCLES)

    def __init__(self, config: SimConfig) -> None:
        """The wallets exist already: see `sim-wallet provision`."""
        self._config = config
        # Starts have different times, so ids of offers are never repeated.
        self._run = f"{int(time.time() * 1000):x}"
        self._free: queue.Queue[str] = queue.Queue()
        for address in addresses(config):
            self._free.put(address)

    def ready(self) -> bool:
        """True if the chain answers and has a wallet at the first address."""
        with closing(Wallet(addresses(self._config)[0], self._config, "")) as first:
            return first.exists()

    def prepare(self, task: str) -> None:
        """Close the vaults of interrupted cycles, and check that each wallet can run the task.

        Raises `CycleError`.
        """
        for number, address in enumerate(addresses(self._config)):
            prefix = f"prepare-{task}-{self._run}-{number}"
            with closing(Wallet(address, self._config, prefix)) as wallet:
                account = wallet.account()
                vaults = account["wallet"]["vaults"] if task == "vault" else {}
                for handle, loan in vaults.items():
                    close_vault(wallet.offer, handle, loan)
                if any(not account["purse"].get(denom) for denom in ledger.CLIENT_FUNDS):
                    raise CycleError(f"{task}: the wallet {address} has no funds")

    def cycle(self, task: str, seq: int) -> Json:
        """Run one cycle; return its detail. Raises `CycleError`, with the measurements as its
        `detail`.
        """
        address = self._free.get()
        wallet = Wallet(address, self._config, f"{task}-{self._run}-{seq}")
        try:
            detail = CYCLES[task](wallet.offer, wallet.account()["purse"])
        except CycleError as error:
            error.detail = dict(wallet.measured)
            raise
        finally:
            wallet.close()
            self._free.put(address)
        return {"wallet": address, **detail, **wallet.measured}
