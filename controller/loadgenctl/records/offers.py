"""What a cycle through smart wallets reports of its offers: lists with one item for each offer.

The columns are the last ones of `columns.CYCLE`. A list ends where the cycle failed; an item is
null where it is not known. A cycle makes its offers one after the other, each when the one before
is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loadgenctl.records.shape import CYCLE

_NAMES: Final[Mapping[str, str]] = {
    "inclusionSeconds": "inclusion_s",
    "settlementSeconds": "settlement_s",
    "includedHeight": "included_height",
    "settledHeight": "settled_height",
    "gas": "gas",
}
"""Name in a driver's detail → column of a cycle's row."""
MOST: Final = 100
"""Offers of a cycle that are kept."""


def offers_of(detail: object) -> dict[str, list[Any]]:
    """The lists of a cycle's detail by their columns; what is no such list is left out."""
    if not isinstance(detail, Mapping):
        return {}
    lists = {column: detail.get(name) for name, column in _NAMES.items()}
    return {
        column: value[:MOST]
        for column, value in lists.items()
        if value is not None and CYCLE.checks[column](value)
    }
