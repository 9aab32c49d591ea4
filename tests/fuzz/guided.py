"""One target under atheris: `python -m tests.fuzz.guided TARGET FOUND PACKAGES [WORDS]`.

A crash does not end it: each is written down once, by where it comes from, and the search goes on.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.fuzz.target import Target

_MOST: Final = 200
"""Crashes after which it is time to mend some."""


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, found, packages, *words = sys.argv[1:]
    # Only where the fuzzer is installed, and before anything that it is to watch.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=packages.split(",")):
        targets = importlib.import_module("tests.fuzz.targets")
        judge = importlib.import_module("tests.fuzz.target").judge
    target: Target = targets.TARGETS[name]
    crashes = Crashes(target, Path(found))

    def one_input(data: bytes) -> None:
        try:
            judge(target, data)
        except Exception as error:  # noqa: BLE001 - any of them is what is looked for
            crashes.note(data, error)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed = (
            target.mutate(bytes(data), seed >> 1) if seed & 1 else atheris.Mutate(bytes(data), most)
        )
        return bytes(changed[:most])

    atheris.Setup([sys.argv[0], *words], one_input, custom_mutator=mutate)
    atheris.Fuzz()


class Crashes:
    """The crashes of a target, each by the place that it comes from."""

    def __init__(self, target: Target, folder: Path) -> None:
        """They are written to `folder`: the input, and what happened beside it."""
        self._target, self._folder = target, folder
        self._seen: set[str] = set()

    def note(self, data: bytes, error: Exception) -> None:
        """Write it down unless one from there is known; after very many, end."""
        place = place_of(error)
        if place in self._seen:
            return
        self._seen.add(place)
        name = f"{self._target.name}-{hashlib.sha256(place.encode()).hexdigest()[:10]}"
        (self._folder / name).write_bytes(data)
        text = "".join(traceback.format_exception(error))
        (self._folder / f"{name}.txt").write_text(text, "utf-8", "backslashreplace")
        sys.stderr.write(f"fuzz: {self._target.name}: crash: {place}: {self._folder / name}\n")
        if len(self._seen) >= _MOST:
            os._exit(1)


def place_of(error: BaseException) -> str:
    """The kind of an error, and the line of our own code that it comes from."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(part in frame.filename for part in ("/loadgenctl/", "/images/", "/tests/fuzz/"))
    ]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} at {where}"


if __name__ == "__main__":
    main()
