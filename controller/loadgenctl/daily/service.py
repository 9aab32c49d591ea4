"""The service that follows a branch: the newest revision is measured, the next one is waited for.

What is done is not remembered but read from the folders (`daily.history`), so a service that starts
again continues where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from loadgenctl.clock import Clock
from loadgenctl.daily.attempts import Attempts, Job, shown
from loadgenctl.daily.disk import Disk
from loadgenctl.daily.history import History
from loadgenctl.daily.journal import Journal
from loadgenctl.errors import Interrupted, LoadgenError, RevisionNotFound
from loadgenctl.model import ResolvedRevision

PREFIX: Final = "daily-perf-"
"""As the original's users know the folders."""


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed, and how."""

    branch: str | None
    """None: the repository's default branch."""
    repository: str
    """Without credentials."""
    options: tuple[str, ...]
    """Of every run."""
    poll: float
    """Seconds between two looks at the branch."""
    attempts: int
    """Failures after which a revision is given up."""
    retry_after: float
    """Seconds, see `History.pause`."""


@dataclass(slots=True)
class Service:
    """Follows one branch; one thread, and one run at a time."""

    following: Following
    attempts: Attempts
    disk: Disk
    journal: Journal
    clock: Clock
    newest: Callable[[], ResolvedRevision]
    """The branch's newest revision. Raises `RevisionNotFound`, `UsageError`."""
    ready: Callable[[], None]
    """Raises `LoadgenError` while no run can begin, e.g. without an engine."""
    check: Callable[[], None]
    """Raises `Interrupted` once a stop was requested."""
    _since: float = field(init=False)
    _last: Job | None = field(default=None, init=False)
    _said: Hashable = field(default=None, init=False)

    def __post_init__(self) -> None:
        """The service begins now."""
        self._since = self.clock.wall()

    def forever(self) -> NoReturn:
        """Follow the branch until `Interrupted` is raised.

        Raises `RevisionNotFound` if the branch is not there at the first look that succeeds.
        """
        self._begin()
        while True:
            try:
                pause = self._turn()
            except (Interrupted, RevisionNotFound):
                raise
            except (LoadgenError, OSError) as error:
                pause = self._trouble("trouble", "cannot continue now", error)
            self.clock.sleep(pause)

    def once(self) -> int:
        """One attempt at the newest revision, if it is not done with; its exit code, else 0.

        What `forever` waits out is raised.
        """
        self._begin(once=True)
        job = self._look()
        history = self.attempts.history(job)
        if history.settled(self.following.attempts):
            self._idle(job, history)
            return 0
        self.ready()
        attempt = self.attempts.make(job)
        self._judge(job)
        return attempt.code

    def _begin(self, *, once: bool = False) -> None:
        what = self.following
        how = "once" if once else f"looking every {what.poll / 60:g} min"
        self.journal.tell(
            "started",
            f"following {what.branch or 'the default branch'} of {what.repository}, {how}",
            branch=what.branch,
            repository=what.repository,
            poll_s=None if once else what.poll,
            options=shown(what.options),
        )
        self.attempts.clear_away()

    def _turn(self) -> float:
        """Look, and run what is due; seconds until the next turn."""
        try:
            job = self._look()
        except RevisionNotFound as error:
            if self._last is None:
                raise
            return self._trouble("look-failed", "the branch is gone", error)
        except Interrupted:
            raise
        except LoadgenError as error:
            return self._trouble("look-failed", "cannot look at the branch", error)
        history = self.attempts.history(job)
        self._overtake(job)
        if history.settled(self.following.attempts):
            self._idle(job, history)
            return self.following.poll
        pause = history.pause(
            self.clock.wall(), first=self.following.retry_after, since=self._since
        )
        if pause > 0:
            self._put_off(job, history, pause)
            return min(pause, self.following.poll)
        try:
            self.ready()
        except Interrupted:
            raise
        except LoadgenError as error:
            pause = self._trouble("not-ready", "no run can begin", error)
            return min(pause, self.following.retry_after)
        self._said = None
        self._prune(busy=job)
        self.attempts.make(job)
        self.check()
        self._judge(job)
        return 0.0

    def _look(self) -> Job:
        what, found = self.following, self.newest()
        return Job(
            name=f"{PREFIX}{found.short}",
            commit=found.commit or found.content_id,
            options=what.options,
            about={
                "branch": what.branch,
                "repository": what.repository,
                "commit_time": found.commit_time,
            },
        )

    def _overtake(self, job: Job) -> None:
        """Say so if a revision that would have been tried again is left for a newer one."""
        last, self._last = self._last, job
        if last is None or last.commit == job.commit:
            return
        history = self.attempts.history(last)
        if not history.settled(self.following.attempts):
            self.journal.tell(
                "overtaken",
                f"{last.commit[:12]} is not tried again: {job.commit[:12]} is newer",
                commit=last.commit,
                by=job.commit,
                failures=history.failures,
            )

    def _judge(self, job: Job) -> None:
        """After an attempt: give the revision up if it failed too often, and make room."""
        history = self.attempts.history(job)
        settled = history.settled(self.following.attempts)
        if settled and not history.passed:
            self.journal.tell(
                "gave-up",
                f"{job.commit[:12]} failed {history.failures} times and is given up",
                commit=job.commit,
                failures=history.failures,
            )
        self._prune(busy=None if settled else job)

    def _prune(self, busy: Job | None) -> None:
        try:
            for pruned in self.disk.prune(busy.name if busy else None):
                self.journal.tell(
                    "pruned",
                    f"removed {pruned.what}: {pruned.name} ({pruned.freed / 1024**2:.1f} MiB)",
                    what=pruned.what,
                    name=pruned.name,
                    bytes=pruned.freed,
                )
            most = self.disk.room.most
            if most is not None and (used := self.disk.used()) > most:
                self.journal.tell(
                    "disk-full",
                    f"warning: what must stay takes {used / 1024**2:.1f} MiB,"
                    " more than --max-disk allows",
                    bytes=used,
                    most=most,
                )
        except OSError as error:
            self._trouble("prune-failed", "cannot make room", error)

    def _idle(self, job: Job, history: History) -> None:
        how = "passed" if history.passed else "was given up"
        self._once_told(
            (job.commit, how),
            "idle",
            f"{job.commit[:12]} {how}; nothing to do",
            commit=job.commit,
            outcome="passed" if history.passed else "gave-up",
        )

    def _put_off(self, job: Job, history: History, pause: float) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(self.clock.wall() + pause))
        self._once_told(
            (job.commit, len(history.attempts)),
            "retry",
            f"{job.commit[:12]} is tried again at {at}"
            f" ({history.failures} of {self.following.attempts} attempts failed)",
            commit=job.commit,
            failures=history.failures,
            pause_s=round(pause, 3),
        )

    def _once_told(self, key: Hashable, event: str, text: str, **fields: Any) -> None:
        """Not at every look the same."""
        if key != self._said:
            self._said = key
            self.journal.tell(event, text, **fields)

    def _trouble(self, event: str, what: str, error: Exception) -> float:
        """Tell of an error that ends nothing; seconds until the next look."""
        if not isinstance(error, LoadgenError):
            error = LoadgenError(str(error))
        told = [what, error.message, *(error.detail or "").splitlines()[-1:]]
        self.journal.tell(
            event,
            f"warning: {': '.join(told)}" + (f" ({error.hint})" if error.hint else ""),
            reason=error.message,
            hint=error.hint,
            detail=error.detail,
        )
        return self.following.poll
