"""Why a run failed: any exception as an error of the tree in `errors.py`, and as status.json."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path
from typing import Any

from loadgenctl.errors import (
    STALLED,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    Interrupted,
    LoadgenError,
    RoleDied,
    RunError,
)
from loadgenctl.file_errors import behind, file_error, path_of
from loadgenctl.plainfile import NotPlainError
from loadgenctl.records import schema
from loadgenctl.records.output_guard import folder_error, require_writable
from loadgenctl.run.disk_space import Disks

FULL = 256 * 1024
"""Bytes free below which a disk counts as full."""
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of a disk that is full, was made read-only, or fails."""


def failure(error: LoadgenError) -> dict[str, Any]:
    """The fields of status.json that describe what went wrong."""
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
    """What `--json` prints if there is nothing else to print: `outcome` and `exit_code` as in
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


def as_error(error: Exception, results: Path) -> LoadgenError:
    """Any exception that ended a run, as an error of ours; an unexpected one has its traceback."""
    lost = _lost(error, results)
    if lost is not None:
        detail = getattr(error, "detail", None)
        cause = folder_error(results, lost)
        cause.detail = "\n".join(text for text in (detail, str(error)) if text)
        return cause
    if isinstance(error, EngineUnavailable):
        # It answered when the run began: the run failed, and the options were right.
        return EngineError(error.message, hint=error.hint, detail=error.detail)
    if isinstance(error, LoadgenError):
        return error
    if isinstance(error, NotPlainError):
        return RunError(
            f"{error.filename} is not read: {error.strerror}",
            step="read what the roles wrote",
            hint="the SDK has put it in the place of its own file",
        )
    trouble = behind(error)
    if trouble is not None:
        return file_error(trouble)
    return LoadgenError(
        f"internal error: {type(error).__name__}: {error}",
        hint="please report it with the lines above",
        detail="".join(traceback.format_exception(error)),
    )


def _lost(error: Exception, results: Path) -> OSError | None:
    """Why the results folder cannot be written any more, if that is the cause of an error.

    The first writer is the first to fail: a role that died of a full disk, or an engine that does
    not find what it should mount, is not the cause.
    """
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return error
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        # Also if another folder, which can be written, has the name by now.
        path = path_of(error)
        if path.is_relative_to(results.absolute()) and not path.parent.exists():
            return error
    if isinstance(error, NotPlainError) or not isinstance(error, OSError | RunError | EngineError):
        return None
    try:
        require_writable(results)
    except OSError as gone:
        return gone
    free = Disks().free(results)
    if isinstance(error, RunError) and free is not None and free < FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None
