"""The error tree. Every class owns its exit code; a message says what happened, `hint` what to do
next.

    LoadgenError                 1    internal error
    ├── UsageError               2    bad usage or input: option, file, revision, output folder
    │   ├── UnknownOption        2    an argument that is not an option; the hint names the nearest
    │   ├── RevisionNotFound     2    no such commit, tag or branch in the SDK's repository
    │   └── OutputFolderError    2    the results folder cannot be made, written or read
    │       └── OutputFolderLost 4    usable at first, then full, read-only or missing
    ├── EngineError              4    the engine fails during the run
    │   └── EngineUnavailable    2    no container engine answers
    ├── BuildError               3    the image or the SDK did not build
    │   └── VersionsMissing      3    a registry does not serve versions that the SDK requires
    ├── RunError                 4    a role died or never became ready, or the load failed
    │   ├── RoleDied             4    a role's process ended while the run needed it
    │   ├── DeadlineExceeded     4    an expected event did not happen in time
    │   ├── LoadFailed           4    a load task failed, or nothing was loaded
    │   └── DiskFull             4    too little disk space was left for the run to continue
    ├── OutputLost               5    standard output cannot be written: its disk is full
    ├── ReaderGone               141  standard output no longer has a reader
    └── Interrupted              130  a person or the system requested a stop

They are raised where a problem is found, and become an exit code in one place, `cli.app.main`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from loadgenctl.masking import mask_addresses
from loadgenctl.program import as_called


class LoadgenError(Exception):
    """Base of all errors that loadgenctl raises on purpose."""

    exit_code: ClassVar[int] = 1
    evidence_lines: ClassVar[int] = 20
    """How many of the last lines of `detail` are shown and recorded."""

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        """`message` is one sentence; `hint` says what to do; `detail` is evidence (log lines).

        A command in the hint, such as `loadgenctl clean`, becomes the command to type on this
        machine. All three texts reach terminals, logs and records, so credentials in addresses are
        masked here.
        """
        self.message = mask_addresses(message)
        super().__init__(self.message)
        self.hint = None if hint is None else as_called(mask_addresses(hint))
        self.detail = None if detail is None else mask_addresses(detail)

    @property
    def evidence(self) -> tuple[str, ...]:
        """The lines of `detail` that are shown and recorded."""
        return tuple((self.detail or "").splitlines()[-self.evidence_lines :])


class UsageError(LoadgenError):
    """The request is wrong: an option, a file, a revision, a folder."""

    exit_code = 2


class UnknownOption(UsageError):
    """An unknown option; `name` is what was typed, without the dashes."""

    def __init__(self, name: str, message: str, *, hint: str | None = None) -> None:
        """`hint` names the nearest option."""
        super().__init__(message, hint=hint)
        self.name = name


class RevisionNotFound(UsageError):
    """No commit, tag or branch of that name."""


class OutputFolderError(UsageError):
    """The results folder cannot be created, written or read."""


class OutputFolderLost(OutputFolderError):
    """The results folder became unwritable during a run. The request was right; the run failed."""

    exit_code = 4


class EngineError(LoadgenError):
    """The engine refused or failed a call."""

    exit_code = 4


class EngineUnavailable(EngineError):
    """No engine answers."""

    exit_code = 2


class BuildError(LoadgenError):
    """The image or the SDK did not build; `detail` holds the failing step's last lines."""

    exit_code = 3


class VersionsMissing(BuildError):
    """A registry does not serve versions; `detail` holds the settings that override them."""

    evidence_lines = 200


STALLED = "stalled"
"""The step of a `RunError` about something that runs without progress."""


class RunError(LoadgenError):
    """The run failed; `role`, `step` and `stage` name where."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        role: str | None = None,
        step: str | None = None,
        stage: int | None = None,
        hint: str | None = None,
        detail: str | None = None,
    ) -> None:
        """See `LoadgenError`; `role` is the failing role, `step` the step at which it failed.

        Give `stage` only if it is not the stage that was reported last.
        """
        super().__init__(message, hint=hint, detail=detail)
        self.role = role
        self.step = step
        self.stage = stage


class RoleDied(RunError):
    """A role's main process ended while the run needed it."""

    def __init__(
        self,
        message: str,
        *,
        role: str,
        exit_code_of_role: int | None = None,
        oom_killed: bool = False,
        step: str | None = None,
        hint: str | None = None,
        detail: str | None = None,
    ) -> None:
        """`exit_code_of_role` as the engine reports it (137 = SIGKILL), `oom_killed` likewise."""
        super().__init__(message, role=role, step=step, hint=hint, detail=detail)
        self.exit_code_of_role = exit_code_of_role
        self.oom_killed = oom_killed


class DeadlineExceeded(RunError):
    """An expected event did not happen in time."""


class LoadFailed(RunError):
    """The load generator could not be configured, a task failed, or nothing was loaded."""


class DiskFull(RunError):
    """A disk of the run is nearly full; the run ends while its last files can still be written."""


class OutputLost(LoadgenError):
    """Standard output, the only purpose of a command, cannot be written."""

    exit_code = 5


class ReaderGone(LoadgenError):
    """Standard output has no reader: the command ends silently, as SIGPIPE would end it."""

    exit_code = 141


class Interrupted(LoadgenError):
    """A signal stops the run."""

    exit_code = 130


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Call `clean` at the end, however the work inside ends.

    The work's own error counts: a clean-up that fails after it becomes a note on that error. After
    successful work the clean-up's failure is raised.
    """
    try:
        yield
    except BaseException as error:
        try:
            clean()
        except Interrupted:
            raise
        except (LoadgenError, OSError) as failure:
            error.add_note(f"then the clean-up failed: {failure}")
        raise
    clean()
