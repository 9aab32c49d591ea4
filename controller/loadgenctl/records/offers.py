"""What a cycle through smart wallets tells of its offers: lists with one item an offer, in order.

    inclusion_s       seconds from sending the transaction until it was seen in a block
    settlement_s      seconds from sending it until the offer's outcome was seen
    included_height   the block that has the transaction
    settled_height    the block in which the outcome was published
    gas               what the transaction used

A list ends where the cycle failed; an item is null where it is not known. A cycle makes its offers
one after the other, each when the one before is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from loadgenctl.records.shape import is_time, is_whole

Kind = Literal["numbers", "wholes"]

FIELDS: Final[Mapping[str, tuple[str, Kind]]] = {
    "inclusionSeconds": ("inclusion_s", "numbers"),
    "settlementSeconds": ("settlement_s", "numbers"),
    "includedHeight": ("included_height", "wholes"),
    "settledHeight": ("settled_height", "wholes"),
    "gas": ("gas", "wholes"),
}
"""Name in a driver's detail → name in a row, and kind."""
MOST: Final = 100
"""Offers of a cycle that are kept."""


def offers_of(detail: object) -> dict[str, list[Any]]:
    """The lists of a cycle's detail by their names in a row; what is no such list is left out."""
    if not isinstance(detail, Mapping):
        return {}
    found: dict[str, list[Any]] = {}
    for name, (column, kind) in FIELDS.items():
        known = is_whole if kind == "wholes" else is_time
        told = detail.get(name)
        if isinstance(told, list) and all(item is None or known(item) for item in told):
            found[column] = told[:MOST]
    return found
