"""Offers of a smart wallet, and the statuses that the wallet publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

from . import capdata
from .capdata import Slot
from .errors import LoadError

INSTANCE = "loadgenctl"
"""The contract's name in agoricNames."""

Amounts = Dict[str, int]
"""Keyword → value."""


@dataclass(frozen=True)
class Token:
    """An amount of a brand."""

    brand: Slot
    value: int

    def passable(self) -> Dict[str, Any]:
        """The form used in offers."""
        return {"brand": self.brand, "value": self.value}


Tokens = Mapping[str, Token]
"""Keyword → amount."""
Expected = Union[Tokens, Callable[[str], Tokens]]
"""Payouts; a function of the offer's result if they depend on the contract's state."""


@dataclass(frozen=True)
class Offer:
    """One offer and what it must pay."""

    number: str
    """Unique in the wallet, over all runs."""
    invitation: Mapping[str, Any]
    give: Tokens
    want: Tokens
    payouts: Expected

    def action(self) -> str:
        """The wallet action that makes the offer."""
        proposal = {
            side: {keyword: token.passable() for keyword, token in tokens.items()}
            for side, tokens in (("give", self.give), ("want", self.want))
            if tokens
        }
        spec = {"id": self.number, "invitationSpec": self.invitation, "proposal": proposal}
        return capdata.encode({"method": "executeOffer", "offer": spec})


def by_contract(method: str) -> Dict[str, Any]:
    """An invitation of the contract."""
    return {"source": "agoricContract", "instancePath": [INSTANCE], "callPipe": [[method]]}


def continuing(previous: str, name: str) -> Dict[str, Any]:
    """An invitation that an earlier offer of the wallet grants."""
    return {"source": "continuing", "previousOffer": previous, "invitationMakerName": name}


def outcome(values: Sequence[str], number: str) -> Optional[Mapping[str, Any]]:
    """The offer's last status among a block's values of a wallet; None without one.

    Raises LoadError for an action that the wallet refused; then there is no offer.
    """
    found = None
    for text in values:
        value = capdata.decode(text)
        if not isinstance(value, dict) or not isinstance(value.get("status"), dict):
            continue
        status = value["status"]
        if value.get("updated") == "walletAction":
            raise LoadError(f"the wallet refused the action: {status.get('error')}")
        if value.get("updated") == "offerStatus" and str(status.get("id")) == number:
            found = status
    return found


def settled(status: Mapping[str, Any]) -> bool:
    """Whether an offer has ended. Raises LoadError if it failed."""
    if status.get("error"):
        raise LoadError(f"offer {status.get('id')} failed: {status['error']}")
    # Result, satisfaction and payouts are published in any order.
    if not all(name in status for name in ("result", "numWantsSatisfied", "payouts")):
        return False
    if status["numWantsSatisfied"] == 0:
        raise LoadError(f"offer {status.get('id')} did not get what it wants")
    return True


def check(offer: Offer, status: Mapping[str, Any]) -> None:
    """Raise LoadError unless the payouts are exactly what the offer must pay."""
    expected = offer.payouts
    if callable(expected):
        expected = expected(str(status["result"]))
    wanted = {keyword: token.passable() for keyword, token in expected.items() if token.value}
    got = {
        keyword: {"brand": amount["brand"], "value": amount["value"]}
        for keyword, amount in status["payouts"].items()
        if amount["value"]
    }
    if got != wanted:
        raise LoadError(f"offer {offer.number} paid {got} instead of {wanted}")
