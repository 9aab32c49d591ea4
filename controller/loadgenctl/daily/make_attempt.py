"""Make an attempt at a revision: its folder, its run, and a status whatever happens to the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadgenctl.clock import Clock
from loadgenctl.daily.history import (
    ATTEMPT,
    Attempt,
    History,
    next_number,
    read_attempt,
    read_history,
)
from loadgenctl.daily.journal import Journal
from loadgenctl.errors import Interrupted, LoadgenError, OutputFolderError, UsageError
from loadgenctl.file_errors import file_error
from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.reader import holds_run
from loadgenctl.records.status import Status
from loadgenctl.run.leftovers import SweepResult
from loadgenctl.sources.giturl import without_credentials

CONSOLE: Final = "console.log"
"""The output of the run, in the attempt's folder."""
_LAST_LINES: Final = 20
_STOPPED: Final = frozenset({129, 130, 143})
"""Exit codes of a run that was stopped, also by SIGHUP and SIGTERM before it handled them."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A revision to be measured, by as many attempts as it takes."""

    name: str
    """Of the folder with its attempts."""
    commit: str
    options: tuple[str, ...] = ()
    """Of `loadgenctl run`, without revision and results folder."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """For attempt.json: where the revision comes from."""


Execute = Callable[[RunRequest, Path], int]
"""Executes a run to its end, with its results and its output (CONSOLE) in an empty folder that
exists; the exit code.
"""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts below one folder."""

    root: Path
    clock: Clock
    execute: Execute
    journal: Journal
    sweep: Callable[[], SweepResult]
    """Removes what dead runs left on the engine. Raises `LoadgenError`."""

    def sweep_engine(self) -> None:
        """Sweep and report it: containers of a killed run would disturb the next one."""
        try:
            result = self.sweep()
            for name in result.removed:
                text = f"removed {name}, left behind by a dead run"
                self.journal.record("swept", text, name=name)
            for line in result.marked:
                self.journal.record("swept", line, name=line)
            result.check()
        except Interrupted:
            raise
        except LoadgenError as error:
            self.journal.record(
                "sweep-failed", f"warning: cannot sweep: {error.message}", reason=error.message
            )

    def history(self, request: RunRequest) -> History:
        """Its attempts so far. Raises `OSError`."""
        return read_history(self.root / request.name)

    def make(self, request: RunRequest) -> Attempt:
        """Run it once. Raises `Interrupted`, and `OutputFolderError` if there can be no folder."""
        folder, about = self._open(request)
        where = folder.relative_to(self.root)
        self.journal.record(
            "attempt-started",
            f"running {where}",
            commit=request.commit,
            attempt=about["attempt"],
            folder=str(where),
        )
        code, trouble = self._run(request, folder)
        about |= {"ended_at": round(self.clock.wall(), 3), "exit_code": code}
        try:
            if not (folder / schema.STATUS).exists():
                self._write_status(folder, about, trouble)
            replace_file(folder / ATTEMPT, document_bytes(about))
        except OSError as error:
            if not holds_run(folder):
                _discard(folder)
            raise _cannot(folder, error) from error
        attempt = read_attempt(folder)
        if attempt is None:
            raise OutputFolderError(f"{folder} was removed while it was in use")
        self._record_end(request, attempt)
        if attempt.outcome == "killed":
            self.sweep_engine()
        return attempt

    def _open(self, request: RunRequest) -> tuple[Path, dict[str, Any]]:
        parent = self.root / request.name
        try:
            parent.mkdir(exist_ok=True)
            number = next_number(parent)
            folder = parent / f"attempt-{number}"
            folder.mkdir()
        except OSError as error:
            raise _cannot(parent, error) from error
        about = {
            "commit": request.commit,
            "attempt": number,
            "started_at": round(self.clock.wall(), 3),
            "options": shown(request.options),
            **request.about,
        }
        try:
            replace_file(folder / ATTEMPT, document_bytes(about))
        except OSError as error:
            _discard(folder)
            raise _cannot(parent, error) from error
        return folder, about

    def _run(self, request: RunRequest, folder: Path) -> tuple[int, str | None]:
        try:
            return self.execute(request, folder), None
        except Interrupted:
            raise
        except LoadgenError as error:
            return error.exit_code, error.message
        except OSError as error:
            return UsageError.exit_code, file_error(error).message
        except Exception as error:  # noqa: BLE001 - no failure of a run may end the service
            return LoadgenError.exit_code, f"internal error: {type(error).__name__}: {error}"

    def _write_status(self, folder: Path, about: Mapping[str, Any], trouble: str | None) -> None:
        """For a run that ended before it wrote one, e.g. without an engine."""
        code = about["exit_code"]
        lines = _last_lines(folder / CONSOLE)
        errors = [line for line in lines if line.startswith("error: ")]
        status = Status(
            outcome=_outcome(code),
            step="start the run",
            reason=trouble or "".join(errors[-1:]).removeprefix("error: ") or f"exit code {code}",
            hint=f"its output is in {CONSOLE}",
            exit_code=code,
            last_lines=tuple(lines),
            started_at=about["started_at"],
            updated_at=about["ended_at"],
            finished_at=about["ended_at"],
        )
        replace_file(folder / schema.STATUS, document_bytes(status.to_json()))

    def _record_end(self, request: RunRequest, attempt: Attempt) -> None:
        minutes = (attempt.ended_at - attempt.started_at) / 60
        why = f": {attempt.reason}" if attempt.reason else ""
        self.journal.record(
            "attempt-ended",
            f"{request.commit[:12]} {attempt.outcome} after {minutes:.1f} min{why}",
            commit=request.commit,
            attempt=attempt.number,
            folder=str(attempt.folder.relative_to(self.root)),
            outcome=attempt.outcome,
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            duration_s=round(attempt.ended_at - attempt.started_at, 3),
        )


def shown(options: Sequence[str]) -> list[str]:
    """The options without credentials, for records and messages."""
    return [without_credentials(option) for option in options]


def _outcome(code: int) -> schema.Outcome:
    if code in _STOPPED:
        return "interrupted"
    return "error" if code in {0, LoadgenError.exit_code} or code > 128 else "failed"


def _discard(folder: Path) -> None:
    """Remove the folder of an attempt without files: on a full disk, every poll would add one."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()  # unless there are other attempts in it


def _last_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes()[-16384:].decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-_LAST_LINES:]


def _cannot(folder: Path, error: OSError) -> OutputFolderError:
    trouble = file_error(error)
    return OutputFolderError(
        f"the attempt cannot be kept in {folder}: {trouble.message}", hint=trouble.hint
    )
