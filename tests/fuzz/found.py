"""Inputs that broke something once, kept as cases for the tests: `tests/data/fuzz.json`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "data" / "fuzz.json"


@dataclass(frozen=True, slots=True)
class Case:
    """One input."""

    target: str
    about: str
    """What broke, in words."""
    data: bytes


def cases(file: Path = FILE) -> list[Case]:
    """All of them."""
    return [
        Case(item["target"], item["about"], _bytes(item))
        for item in json.loads(file.read_text("utf-8"))
    ]


def keep(case: Case, file: Path = FILE) -> None:
    """Add one, unless it is there."""
    known = cases(file)
    if case.data in [other.data for other in known if other.target == case.target]:
        return
    items = [_item(other) for other in (*known, case)]
    file.write_text(json.dumps(items, indent=1) + "\n", "utf-8")


def _item(case: Case) -> dict[str, str]:
    text = case.data.decode("latin-1")
    # What is plain can be read in the file; JSON escapes what is not to be seen.
    plain = text.isascii()
    data = {"text": text} if plain else {"base64": base64.b64encode(case.data).decode()}
    return {"target": case.target, "about": case.about, **data}


def _bytes(item: dict[str, str]) -> bytes:
    """Of `text` each character is a byte."""
    if "text" in item:
        return item["text"].encode("latin-1")
    return base64.b64decode(item["base64"])
