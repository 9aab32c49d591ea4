"""An error in the words of status.json."""

from __future__ import annotations

from typing import Any

from loadgenctl.errors import (
    STALLED,
    DeadlineExceeded,
    Interrupted,
    LoadgenError,
    RoleDied,
    RunError,
)
from loadgenctl.records import schema


def failure(error: LoadgenError) -> dict[str, Any]:
    """The fields of status.json that tell of what went wrong."""
    changes: dict[str, Any] = {
        "outcome": _outcome(error),
        "reason": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
        "last_lines": error.evidence,
    }
    for name in ("role", "step", "stage"):
        value = getattr(error, name, None)
        if value is not None:
            changes[name] = value
    if isinstance(error, RoleDied):
        changes |= {
            "role_exit_code": error.exit_code_of_role,
            "oom_killed": error.oom_killed,
        }
    return changes


def failure_document(error: LoadgenError) -> dict[str, Any]:
    """What `--json` prints where there is nothing else to print: `outcome` and `exit_code` as in
    status.json, `error` with `message`, `hint` and `detail`, which are null if not known.
    """
    return {
        "outcome": _outcome(error),
        "exit_code": error.exit_code,
        "error": {"message": error.message, "hint": error.hint, "detail": error.detail},
    }


def _outcome(error: LoadgenError) -> schema.Outcome:
    if isinstance(error, Interrupted):
        return "interrupted"
    if isinstance(error, RoleDied):
        return "out-of-memory" if error.oom_killed else "died"
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, RunError) and error.step == STALLED:
        return "stalled"
    return "error" if error.exit_code == LoadgenError.exit_code else "failed"
