"""One cycle of each task, checking at every step that the balances moved as they should.

Every `send` is one turn of the real agents in images/loadgen/agoric/agents, that is one round trip
to the chain; a cycle makes as many of them as theirs, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ledger

Json = Any
Send = Callable[[str, str, Mapping[str, Json]], Json]
"""(contract, method, args) → the data of the committed transaction. Raises `CycleError`."""


class CycleError(Exception):
    """A cycle did not do what it should; the message says what was expected and what was found."""

    detail: Json = None
    """What was measured until then."""


class Scratch:
    """What a task keeps over restarts, in the solo."""

    def __init__(self, read: Callable[[str], Json], write: Callable[[str, Json], None]) -> None:
        """Two calls to the solo."""
        self.read = read
        self.write = write


def moved(data: Mapping[str, Json]) -> dict[str, int]:
    """How a transaction changed the purse, without the denominations it left alone."""
    before, after = data["before"], data["after"]
    changes = {denom: after.get(denom, 0) - before.get(denom, 0) for denom in {*before, *after}}
    return {denom: change for denom, change in changes.items() if change}


def expect(step: str, data: Mapping[str, Json], wanted: Mapping[str, int]) -> None:
    """Raise `CycleError` unless the purse changed exactly so."""
    found = moved(data)
    if found != dict(wanted):
        raise CycleError(
            f"{step}: the purse should have changed by {dict(wanted)}, but changed by {found}"
        )


def percent(amount: int, share: int) -> int:
    """`share` % of an amount, rounded down."""
    return amount * share // 100


def deposit(send: Send, step: str, payment: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Put a payment into the purse, which must grow by exactly so much; the purse then."""
    data = send("bank", "deposit", {"payment": payment})
    expect(step, data, wanted)
    return dict(data["after"])


def look(send: Send) -> dict[str, int]:
    """What the purse holds."""
    return dict(send("bank", "balances", {})["purse"])


def faucet(send: Send) -> Json:
    """Three round trips: the offer up to its payout, the deposit, the balance."""
    offer = send("faucet", "offer", {})
    after = deposit(send, "faucet", offer["payment"], {"token": ledger.FAUCET_TOKENS})
    balance = look(send).get("token", 0)
    # Cycles that run beside this one may have put more into the purse meanwhile.
    if balance < after["token"]:
        raise CycleError(f"faucet: the purse holds {balance} tokens, less than {after['token']}")
    return {"tokens": ledger.FAUCET_TOKENS, "balance": balance}


def swap(send: Send, give: str, share: int) -> int:
    """Trade `share` % of a denomination at the AMM and check the price; what came back.

    Three round trips: the purse, the offer up to its payout, the deposit.
    """
    want = "ubld" if give == "urun" else "urun"
    amount = percent(look(send).get(give, 0), share)
    offer = send("amm", "offer", {"give": give, "amount": amount})
    expect(f"amm {give}", offer, {give: -amount})
    # The price is checked here, from the pool as it was, not taken from the answer.
    fair = ledger.swap_out(offer["pool"][give], offer["pool"][want], amount)
    deposit(send, f"amm {give}", offer["payment"], {want: fair})
    return fair


def amm(send: Send) -> Json:
    """1 % of the RUN to BLD, then 1 % of the BLD to RUN: six round trips."""
    return {"ubld": swap(send, "urun", 1), "urun": swap(send, "ubld", 1)}


def vault(send: Send) -> Json:
    """Deposit 1 % of the BLD, borrow half its value, pay it back, close: seven round trips.

    The purse, the collateral's price, the offer, the deposit of the loan, the debt, the closing
    offer, the deposit of the collateral.
    """
    collateral = percent(look(send).get("ubld", 0), 1)
    pool = send("vault", "collaterals", {})["pool"]
    loan = collateral * pool["urun"] // pool["ubld"] // 2
    opened = send("vault", "offer", {"collateral": collateral, "loan": loan})
    expect("vault open", opened, {"ubld": -collateral})
    deposit(send, "vault loan", opened["payment"], {"urun": loan})
    repaid = close_vault(send, opened["vault"], collateral)
    if repaid != loan:
        raise CycleError(f"vault: the debt was {repaid}, not {loan}")
    return {"collateral": collateral, "loan": loan}


def close_vault(send: Send, handle: str, collateral: int | None = None) -> int:
    """Repay a vault's debt and get its collateral back, which is checked if told; the debt.

    Three round trips.
    """
    debt = int(send("vault", "debt", {"vault": handle})["debt"])
    closed = send("vault", "close", {"vault": handle, "amount": debt})
    expect("vault repay", closed, {"urun": -debt})
    back = send("bank", "deposit", {"payment": closed["payment"]})
    if collateral is not None:
        expect("vault close", back, {"ubld": collateral})
    return debt


def prepare_faucet(send: Send, scratch: Scratch) -> None:
    """Look at the purse, once."""
    if not scratch.read("faucet"):
        look(send)
        scratch.write("faucet", {"prepared": True})


def prepare_amm(send: Send, scratch: Scratch) -> None:
    """Sell a third of the RUN for BLD, once in the life of the solo."""
    if not scratch.read("amm"):
        swap(send, "urun", 33)
        scratch.write("amm", {"prepared": True})


def prepare_vault(send: Send, scratch: Scratch) -> None:
    """Close what an interrupted cycle left open, and check that there is BLD to deposit."""
    for handle in send("vault", "collaterals", {})["open"]:
        close_vault(send, handle)
    if percent(look(send).get("ubld", 0), 1) <= 0:
        raise CycleError("vault: there is no BLD to deposit")
    scratch.write("vault", {"prepared": True})


CYCLES: Mapping[str, Callable[[Send], Json]] = {"faucet": faucet, "amm": amm, "vault": vault}
PREPARATIONS: Mapping[str, Callable[[Send, Scratch], None]] = {
    "faucet": prepare_faucet,
    "amm": prepare_amm,
    "vault": prepare_vault,
}
