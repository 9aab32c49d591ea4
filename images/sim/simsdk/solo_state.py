"""The solo's persistent state: its address and the data of its users."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

Json = Any


class SoloState:
    """A small JSON file, replaced atomically at every change. Thread-safe."""

    def __init__(self, home: Path) -> None:
        """Read `home`/solo.json; `FileNotFoundError` before `init`."""
        self._path = home / "solo.json"
        self._lock = threading.Lock()
        self._values: dict[str, Json] = json.loads(self._path.read_text())

    @staticmethod
    def init(home: Path, seed: str) -> bool:
        """Create it; False if it exists already."""
        path = home / "solo.json"
        if path.exists():
            return False
        home.mkdir(parents=True, exist_ok=True)
        address = "agoric1" + hashlib.sha256(f"{seed}/solo".encode()).hexdigest()[:38]
        _replace(path, {"simulated": True, "address": address, "starts": 0, "scratch": {}})
        return True

    @property
    def address(self) -> str:
        """The solo's account on the chain."""
        return str(self._values["address"])

    def next_start(self) -> int:
        """Count this start; the number makes transaction ids unique over all starts."""
        with self._lock:
            self._values["starts"] += 1
            _replace(self._path, self._values)
            return int(self._values["starts"])

    @property
    def starts(self) -> int:
        """The number of starts."""
        return int(self._values["starts"])

    def scratch(self, key: str) -> Json:
        """The value of a key; None if there is none."""
        with self._lock:
            return self._values["scratch"].get(key)

    def keep(self, key: str, value: Json) -> None:
        """Store a value; None deletes it."""
        with self._lock:
            if value is None:
                self._values["scratch"].pop(key, None)
            else:
                self._values["scratch"][key] = value
            _replace(self._path, self._values)


def _replace(path: Path, values: Json) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(values) + "\n")
    partial.replace(path)
