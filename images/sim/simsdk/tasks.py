"""One cycle of each task, checking at every step that the balances moved as they should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ledger

Json = Any
Send = Callable[[str, str, Mapping[str, Json]], Json]
"""(contract, method, args) → the data of the committed transaction. Raises `CycleError`."""


class CycleError(Exception):
    """A cycle did not do what it should; the message says what was expected and what was found."""


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


def faucet(send: Send) -> Json:
    """Four round trips, one after the other: 1000 tokens end in the purse."""
    invitation = send("faucet", "invite", {})["invitation"]
    seat = send("faucet", "offer", {"invitation": invitation})["seat"]
    payout = send("faucet", "payout", {"seat": seat})
    if payout["amount"] != ledger.FAUCET_TOKENS:
        raise CycleError(f"faucet: the payout is {payout['amount']}, not {ledger.FAUCET_TOKENS}")
    deposit = send("faucet", "deposit", {"payment": payout["payment"]})
    expect("faucet", deposit, {"token": ledger.FAUCET_TOKENS})
    return {"round_trips": 4, "tokens": ledger.FAUCET_TOKENS}


def swap(send: Send, give: str, share: int) -> int:
    """Trade `share` % of a denomination at the AMM and check the price; what came back."""
    want = "ubld" if give == "urun" else "urun"
    amount = percent(send("bank", "balances", {})["purse"].get(give, 0), share)
    data = send("amm", "swap", {"give": give, "amount": amount})
    # The price is checked here, from the pool as it was, not taken from the answer.
    fair = ledger.swap_out(data["pool"][give], data["pool"][want], amount)
    expect(f"amm {give}", data, {give: -amount, want: fair})
    return fair


def amm(send: Send) -> Json:
    """1 % of the RUN to BLD, then 1 % of the BLD to RUN."""
    return {"ubld": swap(send, "urun", 1), "urun": swap(send, "ubld", 1)}


def vault(send: Send) -> Json:
    """Deposit 1 % of the BLD, borrow half its value, pay it back, close."""
    quote = send("vault", "quote", {})
    collateral = percent(quote["purse"].get("ubld", 0), 1)
    loan = collateral * quote["pool"]["urun"] // quote["pool"]["ubld"] // 2
    opened = send("vault", "open", {"collateral": collateral, "loan": loan})
    expect("vault open", opened, {"ubld": -collateral, "urun": loan})
    expect("vault repay", send("vault", "repay", {"vault": opened["vault"]}), {"urun": -loan})
    expect("vault close", send("vault", "close", {"vault": opened["vault"]}), {"ubld": collateral})
    return {"collateral": collateral, "loan": loan}


def prepare_faucet(send: Send, scratch: Scratch) -> None:
    """Look at the purse, once."""
    if not scratch.read("faucet"):
        send("bank", "balances", {})
        scratch.write("faucet", {"prepared": True})


def prepare_amm(send: Send, scratch: Scratch) -> None:
    """Sell a third of the RUN for BLD, once in the life of the solo."""
    if not scratch.read("amm"):
        swap(send, "urun", 33)
        scratch.write("amm", {"prepared": True})


def prepare_vault(send: Send, scratch: Scratch) -> None:
    """Close what an interrupted cycle left open, and check that there is BLD to deposit."""
    quote = send("vault", "quote", {})
    for handle in quote["open"]:
        send("vault", "close", {"vault": handle})
    if percent(quote["purse"].get("ubld", 0), 1) <= 0:
        raise CycleError("vault: there is no BLD to deposit")
    scratch.write("vault", {"prepared": True})


CYCLES: Mapping[str, Callable[[Send], Json]] = {"faucet": faucet, "amm": amm, "vault": vault}
PREPARATIONS: Mapping[str, Callable[[Send, Scratch], None]] = {
    "faucet": prepare_faucet,
    "amm": prepare_amm,
    "vault": prepare_vault,
}
