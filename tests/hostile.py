"""Hostile input as data, by boundary: `tests/data/hostile.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "hostile.json"
CANARY = "CANARY"
"""The name of the file that a command would make if one of the texts came to be executed."""
ESCAPES = frozenset(map(chr, (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x202E))) - {"\n", "\t"}
"""What must never reach a terminal."""


def corpus(boundary: str) -> list[Any]:
    """The texts of a boundary; those of `options` are lists of words."""
    return [_text(item) for item in json.loads(_FILE.read_text("utf-8"))[boundary]]


def _text(item: Any) -> Any:
    match item:
        case {"words": words}:
            return [_text(word) for word in words]
        case {"repeat": unit, "times": times}:
            return item["before"] + unit * times + item["after"]
    return item


def name(item: Any) -> str:
    """A test's id."""
    return ascii(item)[1:41]
