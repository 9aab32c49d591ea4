"""Which rows of a resumed run count: of a stage, those of the last attempt that began it.

Rows of the second and later attempts have `attempt` as their last key; those of the first have not.
Rows of a stage that a later attempt began again stay in the files; they are left out here, and only
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIRST: Final = 1
ATTEMPT: Final = "attempt"
BEGINS: Final = "perf-stage-start"
ENDS: Final = "perf-finish"
MARKS: Final = (f'"{BEGINS}"'.encode(), f'"{ATTEMPT}"'.encode())
"""One of these is in every line of perf.jsonl that `Counting.note` needs."""


class Counting:
    """Reads rows of perf.jsonl in their order, and decides whether a row of a folder counts."""

    def __init__(self) -> None:
        """Nothing is known: every row counts."""
        self._began: dict[int, int] = {}
        self._newest = FIRST
        self.changes = 0
        """How many times rows that had counted stopped to count."""

    def note(self, row: Mapping[str, Any]) -> None:
        """Take a row of perf.jsonl as written."""
        attempt, stage = attempt_of(row), row.get("stage")
        self._newest = max(self._newest, attempt)
        if row.get("type") == BEGINS and isinstance(stage, int):
            self.changes += self._began.get(stage, attempt) != attempt
            self._began[stage] = attempt

    def counts(self, row: Mapping[str, Any]) -> bool:
        """Whether a row as written counts. Outside of stages all do but earlier ends of the run."""
        attempt, stage = attempt_of(row), row.get("stage")
        if isinstance(stage, int) and stage >= 0:
            return attempt == self._began.get(stage, attempt)
        return row.get("type") != ENDS or attempt == self._newest

    def attempt(self, stage: int) -> int:
        """The attempt whose rows of a stage count."""
        return self._began.get(stage, FIRST)


def attempt_of(row: Mapping[str, Any]) -> int:
    """The attempt that wrote a row."""
    value = row.get(ATTEMPT)
    return value if isinstance(value, int) and value > FIRST else FIRST
