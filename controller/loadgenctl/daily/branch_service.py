"""The service that follows a branch: it measures the newest revision, then waits for the next one.

Its state is read from the attempts' folders (`daily.history`), so a service that is restarted
resumes where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from loadgenctl.clock import Clock
from loadgenctl.daily.history import History
from loadgenctl.daily.journal import Journal
from loadgenctl.daily.make_attempt import Attempts, RunRequest, shown
from loadgenctl.daily.pruning import Pruner
from loadgenctl.errors import Interrupted, LoadgenError, RevisionNotFound
from loadgenctl.model import ResolvedRevision

PREFIX: Final = "daily-perf-"
"""The original's name of the folders."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """Which branch is followed, and how."""

    branch: str | None
    """None: the repository's default branch."""
    repository: str
    """Without credentials."""
    options: tuple[str, ...]
    """Of every run."""
    poll: float
    """Polling interval in seconds."""
    attempts: int
    """Failures after which a revision is given up."""
    retry_after: float
    """Seconds, see `History.pause`."""


@dataclass(slots=True)
class BranchService:
    """Follows one branch; one thread, and one run at a time."""

    options: FollowOptions
    attempts: Attempts
    pruner: Pruner
    journal: Journal
    clock: Clock
    newest: Callable[[], ResolvedRevision]
    """The branch's newest revision. Raises `RevisionNotFound`, `UsageError`."""
    ready: Callable[[], None]
    """Raises `LoadgenError` while no run can begin, e.g. without an engine."""
    check: Callable[[], None]
    """Raises `Interrupted` once a stop was requested."""
    _since: float = field(init=False)
    _last: RunRequest | None = field(default=None, init=False)
    _last_key: Hashable = field(default=None, init=False)

    def __post_init__(self) -> None:
        """The service starts now."""
        self._since = self.clock.wall()

    def forever(self) -> NoReturn:
        """Follow the branch until `Interrupted` is raised.

        Raises `RevisionNotFound` if the first successful poll does not find the branch.
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
        """Make one attempt at the newest revision, unless it is finished; its exit code, else 0.

        Raises the errors after which `forever` waits.
        """
        self._begin(once=True)
        request = self._poll()
        history = self.attempts.history(request)
        if history.settled(self.options.attempts):
            self._idle(request, history)
            return 0
        self.ready()
        attempt = self.attempts.make(request)
        self._judge(request)
        return attempt.code

    def _begin(self, *, once: bool = False) -> None:
        what = self.options
        how = "once" if once else f"polling every {what.poll / 60:g} min"
        self.journal.record(
            "started",
            f"following {what.branch or 'the default branch'} of {what.repository}, {how}",
            branch=what.branch,
            repository=what.repository,
            poll_s=None if once else what.poll,
            options=shown(what.options),
        )
        self.attempts.sweep_engine()

    def _turn(self) -> float:
        """Poll the branch, and run what is due; seconds until the next turn."""
        try:
            request = self._poll()
        except RevisionNotFound as error:
            if self._last is None:
                raise
            return self._trouble("look-failed", "the branch is gone", error)
        except Interrupted:
            raise
        except LoadgenError as error:
            return self._trouble("look-failed", "cannot query the branch", error)
        history = self.attempts.history(request)
        self._overtake(request)
        if history.settled(self.options.attempts):
            self._idle(request, history)
            return self.options.poll
        pause = history.pause(self.clock.wall(), first=self.options.retry_after, since=self._since)
        if pause > 0:
            self._put_off(request, history, pause)
            return min(pause, self.options.poll)
        try:
            self.ready()
        except Interrupted:
            raise
        except LoadgenError as error:
            pause = self._trouble("not-ready", "no run can begin", error)
            return min(pause, self.options.retry_after)
        self._last_key = None
        self._prune(busy=request)
        self.attempts.make(request)
        self.check()
        self._judge(request)
        return 0.0

    def _poll(self) -> RunRequest:
        what, found = self.options, self.newest()
        return RunRequest(
            name=f"{PREFIX}{found.short}",
            commit=found.commit or found.content_id,
            options=what.options,
            about={
                "branch": what.branch,
                "repository": what.repository,
                "commit_time": found.commit_time,
            },
        )

    def _overtake(self, request: RunRequest) -> None:
        """Report it if a newer revision replaces one that would have been tried again."""
        last, self._last = self._last, request
        if last is None or last.commit == request.commit:
            return
        history = self.attempts.history(last)
        if not history.settled(self.options.attempts):
            self.journal.record(
                "overtaken",
                f"{last.commit[:12]} is not tried again: {request.commit[:12]} is newer",
                commit=last.commit,
                by=request.commit,
                failures=history.failures,
            )

    def _judge(self, request: RunRequest) -> None:
        """After an attempt: give up on the revision if it failed too often, and prune."""
        history = self.attempts.history(request)
        settled = history.settled(self.options.attempts)
        if settled and not history.passed:
            self.journal.record(
                "gave-up",
                f"{request.commit[:12]} failed {history.failures} times and is given up",
                commit=request.commit,
                failures=history.failures,
            )
        self._prune(busy=None if settled else request)

    def _prune(self, busy: RunRequest | None) -> None:
        try:
            for pruned in self.pruner.prune(busy.name if busy else None):
                self.journal.record(
                    "pruned",
                    f"removed {pruned.what}: {pruned.name} ({pruned.freed / 1024**2:.1f} MiB)",
                    what=pruned.what,
                    name=pruned.name,
                    bytes=pruned.freed,
                )
            most = self.pruner.retention.most
            if most is not None and (used := self.pruner.used()) > most:
                self.journal.record(
                    "disk-full",
                    f"warning: what must be kept takes {used / 1024**2:.1f} MiB,"
                    " more than --max-disk allows",
                    bytes=used,
                    most=most,
                )
        except OSError as error:
            self._trouble("prune-failed", "cannot free space", error)

    def _idle(self, request: RunRequest, history: History) -> None:
        how = "passed" if history.passed else "was given up"
        self._record_once(
            (request.commit, how),
            "idle",
            f"{request.commit[:12]} {how}; nothing to do",
            commit=request.commit,
            outcome="passed" if history.passed else "gave-up",
        )

    def _put_off(self, request: RunRequest, history: History, pause: float) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(self.clock.wall() + pause))
        self._record_once(
            (request.commit, len(history.attempts)),
            "retry",
            f"{request.commit[:12]} will be tried again at {at}"
            f" ({history.failures} of {self.options.attempts} attempts failed)",
            commit=request.commit,
            failures=history.failures,
            pause_s=round(pause, 3),
        )

    def _record_once(self, key: Hashable, event: str, text: str, **fields: Any) -> None:
        """Record an event unless it has the key of the last one, e.g. at every poll."""
        if key != self._last_key:
            self._last_key = key
            self.journal.record(event, text, **fields)

    def _trouble(self, event: str, what: str, error: Exception) -> float:
        """Record an error after which the service continues; seconds until the next poll."""
        if not isinstance(error, LoadgenError):
            error = LoadgenError(str(error))
        parts = [what, error.message, *(error.detail or "").splitlines()[-1:]]
        self.journal.record(
            event,
            f"warning: {': '.join(parts)}" + (f" ({error.hint})" if error.hint else ""),
            reason=error.message,
            hint=error.hint,
            detail=error.detail,
        )
        return self.options.poll
