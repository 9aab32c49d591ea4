"""The error tree. Every class owns its exit code; a message says what happened, `hint` what to do
next.

    LoadgenError                 1    internal error
    ├── UsageError               2    bad usage or input: option, file, revision, output folder
    │   ├── UnknownOption        2    an argument that is no option; the nearest one is told
    │   ├── RevisionNotFound     2    no such commit, tag or branch in the SDK's repository
    │   └── OutputFolderError    2    the results folder cannot be made, written or read
    │       └── OutputFolderLost 4    it was well when the run began, and is full, read-only or gone
    ├── EngineError              4    the engine fails in mid-run
    │   └── EngineUnavailable    2    nothing answers where the container engine should be
    ├── BuildError               3    the image or the SDK did not build
    │   └── VersionsMissing      3    a registry does not serve versions that the SDK asks for
    ├── RunError                 4    a role died, never became ready, or the load failed
    │   ├── RoleDied             4    a role's process ended while it was needed
    │   ├── DeadlineExceeded     4    something awaited did not come in time
    │   ├── LoadFailed           4    the load ran but a task failed or nothing was loaded
    │   └── DiskFull             4    too little room was left for the run to go on
    ├── OutputLost               5    standard output cannot be written: its disk is full
    ├── ReaderGone               141  standard output has no reader any more
    └── Interrupted              130  a person or the system asked to stop

They are raised where something is known to be wrong and turned into an exit once, in
`cli.app.main`.
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
        """`message` is one sentence; `hint` says what to do, with commands as `loadgenctl clean`,
        which become what is to be typed here; `detail` is evidence (log lines).

        All three reach terminals, logs and records: credentials in addresses are taken out here.
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
    """What the person asked for cannot be done as asked."""

    exit_code = 2


class UnknownOption(UsageError):
    """An option that nobody knows; `name` is what was typed, without the dashes."""

    def __init__(self, name: str, message: str, *, hint: str | None = None) -> None:
        """`hint` names the nearest one."""
        super().__init__(message, hint=hint)
        self.name = name


class RevisionNotFound(UsageError):
    """No commit, tag or branch of that name."""


class OutputFolderError(UsageError):
    """The results folder cannot be created, written or read."""


class OutputFolderLost(OutputFolderError):
    """The results folder cannot be written any more in the middle of a run: nothing was asked
    wrongly, the run has failed.
    """

    exit_code = 4


class EngineError(LoadgenError):
    """The engine refused or failed a call in the middle of the work."""

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
"""The step of a `RunError` about something that goes on and gets nowhere."""


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
        """See `LoadgenError`; `role` is the failing role, `step` what was going on.

        `stage` only where that is not the one that is told of last.
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
    """Something that was waited for did not happen in time."""


class LoadFailed(RunError):
    """The load generator could not be configured, a task failed, or nothing was loaded."""


class DiskFull(RunError):
    """A disk of the run is about to be full; ended while there is room for what it must leave."""


class OutputLost(LoadgenError):
    """Standard output, which was all that a command was called for, cannot be written."""

    exit_code = 5


class ReaderGone(LoadgenError):
    """Standard output has no reader: the command ends without a word, as SIGPIPE ends others."""

    exit_code = 141


class Interrupted(LoadgenError):
    """A signal asked the run to stop."""

    exit_code = 130


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Call `clean` at the end, however the work inside ends.

    Why the work failed is what counts: a clean-up that fails after that is a note on the work's
    error. After work that went well its failure is raised.
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
