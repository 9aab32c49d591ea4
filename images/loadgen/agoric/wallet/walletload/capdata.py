"""The values that wallets publish and read: CapData, whose slots are ids of the board.

Two encodings are in use: `smallcaps` (a body that begins with `#`) and the older one of `@qclass`.
See packages/marshal of the SDK, later @endo/marshal.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping

from .errors import LoadError


class Slot(str):
    """A remote object, by its id on the board."""

    __slots__ = ()


def decode(text: str) -> Any:
    """A value as JSON types: bigints are ints, remote objects `Slot`s, other special values text.

    Raises LoadError for text that is not CapData.
    """
    try:
        capdata = json.loads(text)
        body, slots = capdata["body"], [Slot(slot) for slot in capdata["slots"]]
        if body.startswith("#"):
            return _smallcaps(json.loads(body[1:]), slots)
        return _qclass(json.loads(body), slots)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise LoadError(f"the chain published no CapData: {text[:200]!r} ({error})") from error


def encode(value: Any) -> str:
    """A value as smallcaps: ints become bigints, `Slot`s remote objects."""
    slots: List[str] = []
    body = "#" + json.dumps(_to_smallcaps(value, slots), separators=(",", ":"))
    return json.dumps({"body": body, "slots": slots}, separators=(",", ":"))


def _smallcaps(value: Any, slots: List[Slot]) -> Any:
    if isinstance(value, list):
        return [_smallcaps(inner, slots) for inner in value]
    if isinstance(value, dict):
        if "#error" in value:
            return f"error: {value['#error']}"
        return {_smallcaps(key, slots): _smallcaps(inner, slots) for key, inner in value.items()}
    if isinstance(value, str) and value:
        if value[0] in "+-":
            return int(value)
        if value[0] in "$&":
            return slots[int(value[1:].partition(".")[0])]
        if value[0] == "!":
            return value[1:]
    return value


def _qclass(value: Any, slots: List[Slot]) -> Any:
    if isinstance(value, list):
        return [_qclass(inner, slots) for inner in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("@qclass")
    if kind == "bigint":
        return int(value["digits"])
    if kind == "slot":
        return slots[value["index"]]
    if kind is not None:
        return f"{kind}: {value.get('message', '')}"
    return {key: _qclass(inner, slots) for key, inner in value.items()}


def _to_smallcaps(value: Any, slots: List[str]) -> Any:
    if isinstance(value, Slot):
        if str(value) not in slots:
            slots.append(str(value))
        return f"${slots.index(str(value))}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:+d}"
    if isinstance(value, str):
        return f"!{value}" if value and "!" <= value[0] <= "-" else value
    if isinstance(value, Mapping):
        return {key: _to_smallcaps(inner, slots) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_smallcaps(inner, slots) for inner in value]
    return value


def names(entries: Any) -> Dict[str, Any]:
    """Entries of a name hub as published: pairs, or an object in older revisions."""
    if isinstance(entries, dict):
        return entries
    return dict(entries)
