"""Values of a slog line's fields, checked: a slog may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .events import Stamp

TIME_LIMIT: Final = 1e12
"""No clock shows more seconds than this; what does is no time."""
WHOLE_LIMIT: Final = 1 << 53
"""The chain writes its whole numbers as JavaScript does: they are exact up to this one."""
_PLAIN: Final = frozenset({str, int, float, bool})


def stamp_in(fields: Mapping[str, Any]) -> Stamp | None:
    """The times of an event, of which `time` must be there."""
    try:
        return as_time(fields["time"]), as_mono(fields.get("monotime"))
    except (KeyError, TypeError):
        return None


def vat_in(fields: Mapping[str, Any]) -> str | None:
    """The vat of an event; None if it has none."""
    vat_id = fields.get("vatID")
    return vat_id if isinstance(vat_id, str) else None


def is_plain(value: object) -> bool:
    """True for text, numbers and truth values: lists in lists may be too deep to be written."""
    return type(value) in _PLAIN


def as_mono(value: object) -> float | None:
    """The value if it is one that a clock can show which begins at 0, else None."""
    if (type(value) is float or type(value) is int) and 0 <= value < TIME_LIMIT:
        return value
    return None


def as_time(value: object) -> float:
    """The value if it is one that a clock can show. Raises `TypeError`."""
    # `isinstance` with two classes and without bool would cost more.
    if (type(value) is float or type(value) is int) and -TIME_LIMIT < value < TIME_LIMIT:
        return value
    raise TypeError(value)


def as_whole(value: object) -> int:
    """The value if it is a whole number that JavaScript has. Raises `TypeError`."""
    if type(value) is int and -WHOLE_LIMIT < value < WHOLE_LIMIT:
        return value
    raise TypeError(value)
