"""The state of a run: the content of status.json, and who owns the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, get_args

from loadgenctl.owner import Owner
from loadgenctl.records.schema import Outcome
from loadgenctl.records.shape import STATUS, mapping_of, without_damage
from loadgenctl.records.superseded import ATTEMPT, FIRST

_OUTCOMES = frozenset(get_args(Outcome))
GONE = "its process is gone"


@dataclass(frozen=True, slots=True)
class Status:
    """status.json. Times are epoch seconds."""

    outcome: Outcome = "running"
    step: str | None = None
    """What is done, or was done last, in words."""
    stage: int | None = None
    role: str | None = None
    """The role that failed."""
    reason: str | None = None
    """Why the run did not end as it should."""
    hint: str | None = None
    exit_code: int | None = None
    """loadgenctl's own exit code; None while running."""
    role_exit_code: int | None = None
    oom_killed: bool = False
    """The failed role was killed because memory ran out."""
    containers: tuple[Mapping[str, Any], ...] = ()
    """How each container of a role ended, in order; see `RunStore.container_ended`."""
    last_lines: tuple[str, ...] = ()
    """The end of the failed role's log."""
    started_at: float | None = None
    updated_at: float | None = None
    finished_at: float | None = None
    attempts: tuple[Mapping[str, Any], ...] = ()
    """All attempts of a resumed run, the current one last; see `another`."""
    owner: Owner | None = None

    @property
    def attempt(self) -> int:
        """The number of the current attempt; 1 unless the run was resumed."""
        return max(1, len(self.attempts))

    @property
    def paused_s(self) -> float:
        """Seconds between the attempts, in which nothing ran."""
        paused = 0.0
        for before, after in pairwise(self.attempts):
            ended, began = before.get("ended_at"), after.get("began_at")
            if isinstance(ended, int | float) and isinstance(began, int | float):
                paused += max(0.0, began - ended)
        return paused

    @property
    def finished(self) -> bool:
        """True once the run has ended, successfully or not."""
        return self.outcome != "running"

    @property
    def killed(self) -> bool:
        """True for a run that was marked as interrupted after its process was gone: it has no exit
        code.
        """
        return self.outcome == "interrupted" and self.exit_code is None

    def as_found(self) -> Status:
        """This status seen from outside: `running` whose owner is gone was `killed`.

        Of a run of another host this cannot be known: its status stays as it is.
        """
        if self.finished or self.owner is None or self.owner.alive() is not False:
            return self
        return replace(self, outcome="killed", reason=self.reason or GONE)

    def to_json(self) -> dict[str, Any]:
        """The document, in the order a person reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Status:
        """Read the document; leave out unknown keys and values of a wrong kind; make an unknown
        outcome `error`.
        """
        kept, _ = without_damage(document, STATUS)
        known = {name: kept[name] for name in cls.__dataclass_fields__ if name in kept}
        if known.get("outcome") not in _OUTCOMES:
            known["reason"] = f"unknown outcome {document.get('outcome')!r}"
            known["outcome"] = "error"
        known["owner"] = _owner(mapping_of(known.get("owner")))
        tries = _tuple(known.get("attempts"))
        known["attempts"] = tuple(entry for entry in tries if isinstance(entry, Mapping))
        for name in ("containers", "last_lines"):
            known[name] = _tuple(known.get(name))
        return cls(**known)


def another(
    status: Status,
    *,
    stage: int,
    state: str,
    options: Mapping[str, Any],
    began_at: float,
    heard_at: float,
) -> tuple[Mapping[str, Any], ...]:
    """The attempts of `status`, the last one ended, and a new one.

    An entry: `attempt` (number), `stage` (from which it continued; null for the first), `state`
    (what the chain continued with, in words), `options` (given with `--resume`), `began_at` and,
    once another one follows, `ended_at` (s, epoch), `outcome` and `reason`. `heard_at` is the end
    of an attempt that did not record its own.
    """
    earlier = list(status.attempts)
    last = dict(earlier.pop()) if earlier else _attempt(FIRST, status.started_at)
    last |= {
        "ended_at": status.finished_at or heard_at,
        "outcome": status.outcome,
        "reason": status.reason,
    }
    new = _attempt(len(earlier) + 2, began_at)
    return (*earlier, last, new | {"stage": stage, "state": state, "options": dict(options)})


def _attempt(number: int, began_at: float | None) -> dict[str, Any]:
    return {
        ATTEMPT: number,
        "stage": None,
        "state": None,
        "options": {},
        "began_at": began_at,
        "ended_at": None,
        "outcome": None,
        "reason": None,
    }


def _owner(document: Mapping[str, Any]) -> Owner | None:
    """The owner in status.json; None if there is none, or in a form of another version."""
    pid, start, host = (document.get(name) for name in ("pid", "start", "host"))
    return None if pid is None or start is None or host is None else Owner(pid, start, host)


def _tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else ()
