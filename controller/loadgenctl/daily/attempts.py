"""One attempt at a revision: its folder, its run, and a status whatever became of that."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

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
from loadgenctl.filetrouble import file_error
from loadgenctl.records import schema
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.files import replace_file
from loadgenctl.records.reader import holds_run
from loadgenctl.records.status import Status
from loadgenctl.run.leftovers import Swept
from loadgenctl.sources.giturl import without_credentials

CONSOLE: Final = "console.log"
"""What the run said, in the attempt's folder."""
_LAST_LINES: Final = 20
_STOPPED: Final = frozenset({129, 130, 143})
"""Exit codes of a run that was stopped, by SIGHUP and SIGTERM before it could take them over."""


@dataclass(frozen=True, slots=True)
class Job:
    """A revision to be measured."""

    name: str
    """Of its folder."""
    commit: str
    options: tuple[str, ...] = ()
    """Of `loadgenctl run`, without revision and results folder."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """For attempt.json: where the revision comes from."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and where its results go."""

    commit: str
    options: tuple[str, ...]
    folder: Path
    """It is there, and holds no run."""


class Execute(Protocol):
    """Does a run to its end."""

    def __call__(self, order: Order) -> int:
        """The exit code. Results, and what was said (CONSOLE), are in the order's folder."""
        ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts below one folder."""

    root: Path
    clock: Clock
    execute: Execute
    journal: Journal
    sweep: Callable[[], Swept]
    """Removes what dead runs left on the engine; what that was. Raises `LoadgenError`."""

    def clear_away(self) -> None:
        """Sweep, and report it: the containers of a killed run would run meanwhile."""
        try:
            swept = self.sweep()
            for left in swept.removed:
                self.journal.tell("swept", f"removed {left}, left behind by a dead run", name=left)
            for line in swept.told:
                self.journal.tell("swept", line, name=line)
            swept.check()
        except Interrupted:
            raise
        except LoadgenError as error:
            self.journal.tell(
                "sweep-failed", f"warning: cannot sweep: {error.message}", reason=error.message
            )

    def history(self, job: Job) -> History:
        """What was tried of it so far. Raises `OSError`."""
        return read_history(self.root / job.name)

    def make(self, job: Job) -> Attempt:
        """Run it once more. Raises `OutputFolderError` if there can be no folder, and
        `Interrupted`.
        """
        folder, about = self._open(job)
        where = folder.relative_to(self.root)
        self.journal.tell(
            "attempt-started",
            f"running {where}",
            commit=job.commit,
            attempt=about["attempt"],
            folder=str(where),
        )
        code, trouble = self._run(Order(job.commit, job.options, folder))
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
        self._tell_end(job, attempt)
        if attempt.outcome == "killed":
            self.clear_away()
        return attempt

    def _open(self, job: Job) -> tuple[Path, dict[str, Any]]:
        parent = self.root / job.name
        try:
            parent.mkdir(exist_ok=True)
            number = next_number(parent)
            folder = parent / f"attempt-{number}"
            folder.mkdir()
        except OSError as error:
            raise _cannot(parent, error) from error
        about = {
            "commit": job.commit,
            "attempt": number,
            "started_at": round(self.clock.wall(), 3),
            "options": shown(job.options),
            **job.about,
        }
        try:
            replace_file(folder / ATTEMPT, document_bytes(about))
        except OSError as error:
            _discard(folder)
            raise _cannot(parent, error) from error
        return folder, about

    def _run(self, order: Order) -> tuple[int, str | None]:
        try:
            return self.execute(order), None
        except Interrupted:
            raise
        except LoadgenError as error:
            return error.exit_code, error.message
        except OSError as error:
            return UsageError.exit_code, file_error(error).message
        except Exception as error:  # noqa: BLE001 - no run may end the service, whatever it does
            return LoadgenError.exit_code, f"internal error: {type(error).__name__}: {error}"

    def _write_status(self, folder: Path, about: Mapping[str, Any], trouble: str | None) -> None:
        """For a run that ended before it had a results folder, e.g. without an engine."""
        code = about["exit_code"]
        lines = _last_lines(folder / CONSOLE)
        told = [line for line in lines if line.startswith("error: ")]
        status = Status(
            outcome=_outcome(code),
            step="start the run",
            reason=trouble or "".join(told[-1:]).removeprefix("error: ") or f"exit code {code}",
            hint=f"what it said is in {CONSOLE}",
            exit_code=code,
            last_lines=tuple(lines),
            started_at=about["started_at"],
            updated_at=about["ended_at"],
            finished_at=about["ended_at"],
        )
        replace_file(folder / schema.STATUS, document_bytes(status.to_json()))

    def _tell_end(self, job: Job, attempt: Attempt) -> None:
        minutes = (attempt.ended_at - attempt.started_at) / 60
        why = f": {attempt.reason}" if attempt.reason else ""
        self.journal.tell(
            "attempt-ended",
            f"{job.commit[:12]} {attempt.outcome} after {minutes:.1f} min{why}",
            commit=job.commit,
            attempt=attempt.number,
            folder=str(attempt.folder.relative_to(self.root)),
            outcome=attempt.outcome,
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            duration_s=round(attempt.ended_at - attempt.started_at, 3),
        )


def shown(options: Sequence[str]) -> list[str]:
    """The options fit to be written down: an address may hold a password."""
    return [without_credentials(option) for option in options]


def _outcome(code: int) -> schema.Outcome:
    if code in _STOPPED:
        return "interrupted"
    return "error" if code in {0, LoadgenError.exit_code} or code > 128 else "failed"


def _discard(folder: Path) -> None:
    """Remove the folder of an attempt that left nothing: on a full disk every turn would leave
    another one.
    """
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
