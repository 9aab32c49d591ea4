"""The state of a run: the content of status.json, and who owns the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, get_args

from loadgenctl.owner import Owner
from loadgenctl.records.schema import Outcome
from loadgenctl.records.shape import STATUS, without_damage

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
    """All attempts of a resumed run, the current one last; see `records.attempts`."""
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
        outcome, lines = document.get("outcome"), known.get("last_lines")
        if not isinstance(outcome, str) or outcome not in _OUTCOMES:
            known["reason"] = f"unknown outcome {outcome!r}"
            known["outcome"] = "error"
        known["owner"] = _owner(known.get("owner"))
        ends = known.get("containers")
        known["containers"] = tuple(ends) if isinstance(ends, list | tuple) else ()
        tries = known.get("attempts")
        tries = tries if isinstance(tries, list | tuple) else ()
        known["attempts"] = tuple(entry for entry in tries if isinstance(entry, Mapping))
        known["last_lines"] = tuple(map(str, lines)) if isinstance(lines, list | tuple) else ()
        return cls(**known)


def _owner(document: Any) -> Owner | None:
    """The owner in status.json; None if there is none, or in a form of another version."""
    if not isinstance(document, Mapping):
        return None
    pid, start, host = (document.get(name) for name in ("pid", "start", "host"))
    if not (isinstance(pid, int) and isinstance(start, str) and isinstance(host, str)):
        return None
    return Owner(pid, start, host)
