"""One way to turn rows and documents into JSON bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import orjson


def row_bytes(row: Mapping[str, Any]) -> bytes:
    """One line of JSON with its newline; not-a-number becomes null, keys keep their order."""
    try:
        return orjson.dumps(row, default=_plain, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return _any_bytes(row, separators=(",", ":"))


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """An indented JSON document."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(document, default=_plain, option=options)
    except TypeError:
        return _any_bytes(document, indent=2)


def _any_bytes(value: Mapping[str, Any], **layout: Any) -> bytes:
    """Also integers beyond 64 bits (token amounts), keys that are no strings, and names of files
    that are no text, which get `?`.
    """
    text = json.dumps(value, default=_plain, ensure_ascii=False, **layout)
    return text.encode("utf-8", "replace") + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} cannot be a record")
