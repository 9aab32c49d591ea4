"""One cycle of each task, with a check of the balances at every step.

Every `send` is one turn of the real agents in images/loadgen/agoric/agents, that is one round trip
to the chain; a cycle has as many successive turns as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ledger

Json = Any
Send = Callable[[str, str, Mapping[str, Json]], Json]
"""(contract, method, args) → the data of the committed transaction. Raises `CycleError`."""


class CycleError(Exception):
    """A cycle failed; the message has the expected and the actual result."""

    detail: Json = None
    """The measurements until then."""


class Scratch:
    """Data that a task keeps in the solo, over restarts."""

    def __init__(self, read: Callable[[str], Json], write: Callable[[str, Json], None]) -> None:
        """Two calls to the solo."""
        self.read = read
        self.write = write


def moved(data: Mapping[str, Json]) -> dict[str, int]:
    """The changes of the purse by a transaction, without unchanged denominations."""
    before, after = data["before"], data["after"]
    changes = {denom: after.get(denom, 0) - before.get(denom, 0) for denom in {*before, *after}}
    return {denom: change for denom, change in changes.items() if change}


def expect(step: str, data: Mapping[str, Json], wanted: Mapping[str, int]) -> None:
    """Raise `CycleError` unless the purse changed exactly like this."""
    found = moved(data)
    if found != dict(wanted):
        raise CycleError(
            f"{step}: the purse should have changed by {dict(wanted)}, but changed by {found}"
        )


def percent(amount: int, share: int) -> int:
    """`share` % of an amount, rounded down."""
    return amount * share // 100


def deposit(send: Send, step: str, payment: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Deposit a payment and check the exact growth of the purse; return the purse."""
    data = send("bank", "deposit", {"payment": payment})
    expect(step, data, wanted)
    return dict(data["after"])


def look(send: Send) -> dict[str, int]:
    """The content of the purse."""
    return dict(send("bank", "balances", {})["purse"])


def faucet(send: Send) -> Json:
    """Three round trips: the offer up to its payout, the deposit, the balance."""
    offer = send("faucet", "offer", {})
    after = deposit(send, "faucet", offer["payment"], {"token": ledger.FAUCET_TOKENS})
    balance = look(send).get("token", 0)
    # Concurrent cycles may have added more to the purse meanwhile.
    if balance < after["token"]:
        raise CycleError(f"faucet: the purse holds {balance} tokens, less than {after['token']}")
    return {"tokens": ledger.FAUCET_TOKENS, "balance": balance}


def swap(send: Send, give: str, share: int) -> int:
    """Trade `share` % of a denomination at the AMM and check the price; return the proceeds.

    Three round trips: the purse, the offer up to its payout, the deposit.
    """
    want = "ubld" if give == "urun" else "urun"
    amount = percent(look(send).get(give, 0), share)
    offer = send("amm", "offer", {"give": give, "amount": amount})
    expect(f"amm {give}", offer, {give: -amount})
    # The price is computed here from the pool before the trade, not taken from the response.
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
    """Repay a vault's debt and get its collateral back, which is checked if given; return the debt.

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
    """Read the purse once."""
    if not scratch.read("faucet"):
        look(send)
        scratch.write("faucet", {"prepared": True})


def prepare_amm(send: Send, scratch: Scratch) -> None:
    """Sell a third of the RUN for BLD, once in the life of the solo."""
    if not scratch.read("amm"):
        swap(send, "urun", 33)
        scratch.write("amm", {"prepared": True})


def prepare_vault(send: Send, scratch: Scratch) -> None:
    """Close the vault of an interrupted cycle, and check that there is BLD to deposit."""
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
