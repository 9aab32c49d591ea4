"""What a fuzz target is, and how an input is judged: the same for hypothesis and for atheris."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hostile import ESCAPES

from loadgenctl.errors import UsageError
from loadgenctl.formatting import harmless_lines

Mutate = Callable[[bytes, int], bytes]
"""An input and a seed → another input, by a change that the target's grammar knows."""

_MEMORY: Final = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Target:
    """One boundary at which something comes in from outside."""

    name: str
    about: str
    one_input: Callable[[bytes], None]
    """Raises only errors that refuse the input (`UsageError`); any other one is a crash."""
    seeds: Callable[[], list[bytes]]
    mutate: Mutate
    packages: tuple[str, ...]
    """What atheris watches the coverage of."""


def judge(target: Target, data: bytes) -> bool:
    """True if the input was taken, False if it was refused. Raises what a crash raises."""
    try:
        target.one_input(data)
    except UsageError as refusal:
        # What is told of it reaches a terminal.
        for text in (refusal.message, refusal.hint, refusal.detail):
            require_harmless(harmless_lines(text or ""))
        return False
    return True


def require_harmless(text: str) -> None:
    """Fail on what would drive a terminal."""
    assert not ESCAPES & set(text), ascii(text)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of its own, in memory where that can be had."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def unique(texts: Iterable[bytes]) -> list[bytes]:
    """Each once, in their order."""
    return list(dict.fromkeys(texts))
