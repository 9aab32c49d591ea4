"""The load's tasks: what their wallets need, and the offers of a cycle.

A cycle's offers depend on its number and its wallet alone, so they can be signed long before they
are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, Dict, List, Optional, Tuple

from . import capdata, offers
from .capdata import Slot
from .errors import LoadError
from .offers import Offer, Token
from .rpc import Chain
from .wallet import Wallet

HANDOUT = 1_000
"""What the faucet mints in a cycle."""
GRANT = 1_000_000_000_000
"""What a wallet of another task gets once."""
TRADE = 1_000_000
SLIPPAGE = TRADE // 100
"""How far the price may be from its initial value."""
COLLATERAL = 1_000_000_000
LOAN = 1_000
OPENING = "open-"
"""Prefix of the numbers of offers that open a vault."""


@dataclass(frozen=True)
class Brands:
    """The contract's tokens."""

    a: Slot
    b: Slot


def find(chain: Chain) -> Brands:
    """The contract's tokens, from the chain's published names. Raises LoadError without them."""
    known: Dict[str, Dict[str, object]] = {}
    for kind in ("instance", "brand"):
        cell = chain.published(f"published.agoricNames.{kind}")
        known[kind] = capdata.names(capdata.decode(cell.values[-1])) if cell else {}
    brands = [known["brand"].get(name) for name in ("LoadA", "LoadB")]
    if offers.INSTANCE not in known["instance"] or not all(isinstance(b, Slot) for b in brands):
        raise LoadError(
            f"the chain does not know the contract of wallet load ({offers.INSTANCE} in its names):"
            " it was created for another load; reset the state folder"
        )
    return Brands(Slot(brands[0]), Slot(brands[1]))


Cycle = Callable[[int], List[Offer]]
"""A cycle's number → its offers, in order."""


class Task:
    """One task with its tokens. Numbers of offers contain `run`, which is unique."""

    def __init__(self, brands: Brands, run: str) -> None:
        """`run` is made of letters, digits and hyphens."""
        self.brands = brands
        self.run = run

    def prepare(self, wallet: Wallet) -> Cycle:
        """Give a wallet what its cycles need, unless it has that, and return its cycles."""
        raise NotImplementedError

    def a(self, value: int) -> Token:
        """An amount of LoadA."""
        return Token(self.brands.a, value)

    def b(self, value: int) -> Token:
        """An amount of LoadB."""
        return Token(self.brands.b, value)

    def mint(self, number: str, value: int) -> Offer:
        """An offer to the faucet."""
        token = {"Token": self.a(value)}
        return Offer(number, offers.by_contract("makeFaucetInvitation"), {}, token, token)

    def stock(self, wallet: Wallet) -> None:
        """Give a wallet enough for all its cycles."""
        if wallet.balance(self.brands.a) < GRANT // 2:
            wallet.make(self.mint(f"grant-{self.run}", GRANT))


class Faucet(Task):
    """Mint into the wallet."""

    def prepare(self, wallet: Wallet) -> Cycle:
        """See `Task`; a wallet needs only to exist."""
        wallet.provide()
        return lambda number: [self.mint(f"faucet-{self.run}-{number}", HANDOUT)]


class Amm(Task):
    """Swap there and back."""

    def prepare(self, wallet: Wallet) -> Cycle:
        """See `Task`."""
        wallet.provide()
        self.stock(wallet)
        return self._cycle

    def _cycle(self, number: int) -> List[Offer]:
        most, least = self.a(TRADE + SLIPPAGE), self.a(TRADE - SLIPPAGE)
        there = Offer(
            f"amm-{self.run}-{number}-there",
            offers.by_contract("makeSwapOutInvitation"),
            {"In": most},
            {"Out": self.b(TRADE)},
            self._bought,
        )
        back = Offer(
            f"amm-{self.run}-{number}-back",
            offers.by_contract("makeSwapInInvitation"),
            {"In": self.b(TRADE)},
            {"Out": least},
            self._sold,
        )
        return [there, back]

    def _bought(self, result: str) -> Dict[str, Token]:
        into, out = _reserves(result)
        paid = into * TRADE // (out - TRADE) + 1
        return {"In": self.a(TRADE + SLIPPAGE - paid), "Out": self.b(TRADE)}

    def _sold(self, result: str) -> Dict[str, Token]:
        into, out = _reserves(result)
        return {"Out": self.a(out * TRADE // (into + TRADE))}


class Vault(Task):
    """Borrow from a vault and repay. The wallet opens one vault and keeps it, because each vault
    that is opened stays in the wallet's published record.
    """

    def prepare(self, wallet: Wallet) -> Cycle:
        """See `Task`."""
        wallet.provide()
        self.stock(wallet)
        opened = _opened(wallet)
        if opened is None:
            opened = f"{OPENING}{self.run}"
            minted = {"Minted": self.b(LOAN)}
            collateral = {"Collateral": self.a(COLLATERAL)}
            invitation = offers.by_contract("makeVaultInvitation")
            wallet.make(Offer(opened, invitation, collateral, minted, minted))
        return partial(self._cycle, opened)

    def _cycle(self, opened: str, number: int) -> List[Offer]:
        loan = {"Minted": self.b(LOAN)}
        name = f"vault-{self.run}-{number}"
        borrow = offers.continuing(opened, "Borrow")
        repay = offers.continuing(opened, "Repay")
        return [
            Offer(f"{name}-borrow", borrow, {}, loan, loan),
            Offer(f"{name}-repay", repay, loan, {}, {}),
        ]


def _opened(wallet: Wallet) -> Optional[str]:
    """The offer that opened a wallet's vault, from its published record."""
    used = capdata.names((wallet.current() or {}).get("offerToUsedInvitation", []))
    return next((number for number in sorted(used) if number.startswith(OPENING)), None)


def _reserves(result: str) -> Tuple[int, int]:
    """The pool's holdings before a swap, of the token that it took and of the one that it paid."""
    try:
        into, out = (int(part) for part in result.split())
    except ValueError:
        raise LoadError(f"the pool answered {result!r}") from None
    return into, out


TASKS: Dict[str, Callable[[Brands, str], Task]] = {"faucet": Faucet, "amm": Amm, "vault": Vault}
