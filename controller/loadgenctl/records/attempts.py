"""The attempts of a resumed run, as status.json lists them.

An entry: `attempt` (number), `stage` (from which it continued; null for the first), `state` (what
the chain continued with, in words), `options` (given with `--resume`), `began_at` and, once another
one follows, `ended_at` (s, epoch; of a killed one, its last record), `outcome` and `reason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadgenctl.records.counting import ATTEMPT, FIRST
from loadgenctl.records.status import Status

Entry = dict[str, Any]


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

    `heard_at` is the end of an attempt that did not record its own.
    """
    earlier = list(status.attempts)
    last = dict(earlier.pop()) if earlier else _entry(FIRST, status.started_at)
    last |= {
        "ended_at": status.finished_at or heard_at,
        "outcome": status.outcome,
        "reason": status.reason,
    }
    new = _entry(len(earlier) + 2, began_at) | {"stage": stage, "state": state}
    return (*earlier, last, new | {"options": dict(options)})


def _entry(number: int, began_at: float | None) -> Entry:
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
