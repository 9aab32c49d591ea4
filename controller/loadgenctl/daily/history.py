"""The attempts at a revision and how they ended: read from its folders, stored nowhere else.

    daily-perf-0123456789ab/      a revision
        attempt-1/                a results folder, with attempt.json in it
        attempt-2/

Attempts are read while none is running (see `daily.lock`), so one whose status is `running` was
killed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadgenctl.records import schema
from loadgenctl.records.json_documents import read_document
from loadgenctl.records.shape import Shape, without_damage
from loadgenctl.records.status import Status

ATTEMPT: Final = "attempt.json"
"""Written before the attempt begins, and again when it has ended. A folder without it was not made
by us and is ignored.
"""
LONGEST_PAUSE: Final = 60 * 60.0
"""Seconds from a failure to the next attempt, unless the first pause is longer."""

_SHAPE: Final = Shape({"commit": "text", "started_at": "time", "ended_at": "time"})
_NAME: Final = re.compile(r"attempt-([1-9]\d{0,5})")
_FAILURES: Final[frozenset[schema.Outcome]] = frozenset(
    {"failed", "died", "out-of-memory", "timeout", "stalled", "error", "killed"}
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a revision."""

    number: int
    folder: Path
    commit: str
    started_at: float
    """Seconds since the epoch, as are all times here."""
    outcome: schema.Outcome | None
    """None if the run never had one."""
    ended_at: float
    """By attempt.json, else when the run last wrote its status; its start if it never did."""
    reason: str | None = None
    exit_code: int | None = None

    @property
    def failed(self) -> bool:
        """True if it counts against the limit."""
        return self.outcome in _FAILURES

    @property
    def code(self) -> int:
        """Its exit code; 1 for a run that was killed and has none."""
        return 0 if self.outcome == "passed" else self.exit_code or 1


@dataclass(frozen=True, slots=True)
class History:
    """All attempts at a revision, in order."""

    attempts: tuple[Attempt, ...] = ()

    @property
    def passed(self) -> bool:
        """True if one of them passed."""
        return any(attempt.outcome == "passed" for attempt in self.attempts)

    @property
    def failures(self) -> int:
        """How many count against the limit."""
        return sum(attempt.failed for attempt in self.attempts)

    @property
    def decisive(self) -> Attempt | None:
        """The one that counts for the revision: the one that passed, else the last one."""
        passed = (attempt for attempt in self.attempts if attempt.outcome == "passed")
        return next(passed, self.attempts[-1] if self.attempts else None)

    def settled(self, limit: int) -> bool:
        """True if there is no further attempt: one passed, or `limit` of them failed."""
        return self.passed or self.failures >= limit

    def pause(self, now: float, *, first: float, since: float) -> float:
        """Seconds until the next attempt may begin: `first` after a first failure, and twice as
        long after every further one.

        The pause after a failure also applies after a restart. After an interrupt before `since`
        (our own start) there is no pause; a later one was requested, and counts as a first failure.
        """
        last = self.attempts[-1] if self.attempts else None
        if last is None:
            return 0.0
        if last.failed:
            doubled = first * 2.0 ** min(self.failures - 1, 20)
            pause = min(doubled, max(first, LONGEST_PAUSE))
        elif last.ended_at > since:
            pause = first
        else:
            return 0.0
        # Never longer than the full pause, even if the clock was set back since.
        return min(max(last.ended_at + pause - now, 0.0), pause)


def read_history(folder: Path) -> History:
    """The attempts below a revision's folder; none if there is no such folder."""
    return History(tuple(sorted(_attempts(folder), key=lambda attempt: attempt.number)))


def read_attempt(folder: Path) -> Attempt | None:
    """The attempt in a folder; None if we did not make it. Fields of attempt.json with a wrong type
    count as missing. Raises `OSError`.
    """
    match = _NAME.fullmatch(folder.name)
    written = read_document(folder / ATTEMPT)
    if match is None or written is None:
        return None
    about, _ = without_damage(written, _SHAPE)
    commit = about.get("commit") or ""
    started_at = about.get("started_at") or 0.0
    ended_at = about.get("ended_at") or 0.0
    found = read_document(folder / schema.STATUS)
    status = Status.from_json(found) if found is not None else None
    if status is None:
        return Attempt(int(match[1]), folder, commit, started_at, None, ended_at or started_at)
    return Attempt(
        number=int(match[1]),
        folder=folder,
        commit=commit,
        started_at=started_at,
        outcome=_outcome(status),
        ended_at=ended_at or status.finished_at or status.updated_at or started_at,
        reason=status.reason,
        exit_code=status.exit_code,
    )


def next_number(folder: Path) -> int:
    """A number that no attempt has, nor another file named like one."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return max((int(match[1]) for name in names if (match := _NAME.fullmatch(name))), default=0) + 1


def _attempts(folder: Path) -> Iterator[Attempt]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        attempt = read_attempt(entry)
        if attempt is not None:
            yield attempt


def _outcome(status: Status) -> schema.Outcome:
    if status.killed:
        # Unlike a user's Ctrl-C, what kills a run may do so every time: it counts as a failure.
        return "killed"
    if status.outcome != "running":
        return status.outcome
    alive = status.owner is not None and status.owner.alive() is True
    return "running" if alive else "killed"
