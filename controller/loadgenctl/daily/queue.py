"""A list of revisions, measured one after the other in its order.

A line is a revision and options of its own, as a shell would split them (no shell is asked); `#`
begins a comment. Lines are told apart by revision and own options, and where both are the same by
their order: so a list may grow, and what is done of it is not done again.
"""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.daily.attempts import Attempts, Job
from loadgenctl.daily.history import History
from loadgenctl.daily.journal import Journal
from loadgenctl.errors import Interrupted, LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision

PREFIX: Final = "queue-"
_SHOWN: Final = 20
"""Bad lines that are told with their reasons."""
Resolve = Callable[[str, tuple[str, ...]], ResolvedRevision]
"""Revision and all options of its run → the revision pinned down. Raises `UsageError`."""
Check = Callable[[str, tuple[str, ...]], None]
"""The same without looking for the revision."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list."""

    number: int
    """From 1, comments and empty lines counted."""
    revision: str
    options: tuple[str, ...]
    """Its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, and what is to be done for it."""

    line: Line
    job: Job


@dataclass(frozen=True, slots=True)
class Result:
    """What has become of a line by now."""

    entry: Entry
    history: History
    before: bool
    """True if nothing was left to do for it."""

    @property
    def code(self) -> int:
        """0 if it passed, else its last attempt's exit code."""
        last = self.history.decisive
        return 1 if last is None else last.code


def parse(text: str) -> list[Line]:
    """The lines of a list. Raises `UsageError` that names all bad ones."""
    lines: list[Line] = []
    wrong: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(_without_comment(raw))
        except ValueError as error:
            wrong.append((number, str(error).lower()))
            continue
        if words and words[0].startswith("-"):
            wrong.append((number, f"begins with the option {words[0][:40]}, not with a revision"))
        elif words:
            lines.append(Line(number, words[0], tuple(words[1:])))
    _refuse(wrong)
    if not lines:
        raise UsageError(
            "the list holds no revision", hint="one per line; what follows # is a comment"
        )
    return lines


def prepare(
    lines: Sequence[Line], common: tuple[str, ...], check: Check, resolve: Resolve
) -> list[Entry]:
    """Every line checked, then every revision found. Raises `UsageError` that names all bad ones.

    `common` are options of all lines; a line's own go over them.
    """
    _refuse(_tried(lines, lambda line: check(line.revision, (*common, *line.options))))
    found: dict[int, ResolvedRevision] = {}

    def find(line: Line) -> None:
        found[line.number] = resolve(line.revision, (*common, *line.options))

    _refuse(_tried(lines, find))
    seen: Counter[str] = Counter()
    entries = []
    for line in lines:
        resolved = found[line.number]
        name = _name(resolved, line.options)
        seen[name] += 1
        job = Job(
            name=name if seen[name] == 1 else f"{name}-{seen[name]}",
            commit=resolved.commit or resolved.content_id,
            options=(*common, *line.options),
            about={
                "revision": line.revision,
                "repository": resolved.repository,
                "commit_time": resolved.commit_time,
            },
        )
        entries.append(Entry(line, job))
    return entries


@dataclass(frozen=True, slots=True)
class Queue:
    """Works a list off."""

    attempts: Attempts
    journal: Journal
    clock: Clock
    limit: int
    """Failures after which a line is left."""
    retry_after: float
    """Seconds, see `History.pause`."""
    ready: Callable[[], None]
    """Raises `LoadgenError` while no run can begin, e.g. without an engine."""
    check: Callable[[], None]
    """Raises `Interrupted` once a stop was requested."""

    def run(self, entries: Sequence[Entry]) -> None:
        """Do what is left to do, in order.

        Raises `Interrupted`, `OutputFolderError`, and what `ready` raises.
        """
        since, left = self.clock.wall(), len(entries) - len(self.done(entries))
        self.journal.tell(
            "started",
            f"{len(entries)} lines, {left} to run",
            lines=len(entries),
            left=left,
        )
        self.attempts.clear_away()
        for entry in entries:
            self._work_off(entry, since)

    def results(self, entries: Sequence[Entry], before: Iterable[Entry] = ()) -> list[Result]:
        """What has become of every line; `before` are those that needed nothing."""
        done = [entry.line.number for entry in before]
        return [
            Result(entry, self.attempts.history(entry.job), entry.line.number in done)
            for entry in entries
        ]

    def done(self, entries: Sequence[Entry]) -> list[Entry]:
        """The lines for which nothing is left to do."""
        return [entry for entry in entries if self._settled(entry)]

    def _work_off(self, entry: Entry, since: float) -> None:
        job = entry.job
        if self._settled(entry):
            passed = self.attempts.history(job).passed
            how = "passed before" if passed else "failed before; raise --attempts to try it again"
            self.journal.tell(
                "skipped",
                f"line {entry.line.number}: {job.commit[:12]} {how} ({job.name})",
                line=entry.line.number,
                commit=job.commit,
                folder=job.name,
            )
        while not self._settled(entry):
            pause = self.attempts.history(job).pause(
                self.clock.wall(), first=self.retry_after, since=since
            )
            if pause > 0:
                self.journal.tell(
                    "retry",
                    f"line {entry.line.number} is tried again in {pause / 60:.1f} min",
                    line=entry.line.number,
                    commit=job.commit,
                    pause_s=round(pause, 3),
                )
                self.clock.sleep(pause)
            self.ready()
            self.attempts.make(job)
            self.check()

    def _settled(self, entry: Entry) -> bool:
        return self.attempts.history(entry.job).settled(self.limit)


def exit_code(results: Iterable[Result]) -> int:
    """0 if all lines passed, else that of the first that did not, in the list's order."""
    return next((result.code for result in results if result.code), 0)


def _tried(lines: Iterable[Line], act: Callable[[Line], None]) -> list[tuple[int, str]]:
    """The lines for which it cannot be done, and why."""
    wrong = []
    for line in lines:
        try:
            act(line)
        except Interrupted:
            raise
        except LoadgenError as error:
            hint = f" ({error.hint})" if error.hint else ""
            wrong.append((line.number, f"{error.message}{hint}"))
    return wrong


def _refuse(wrong: Sequence[tuple[int, str]]) -> None:
    if not wrong:
        return
    told = [f"line {number}: {why}" for number, why in wrong]
    if len(told) > _SHOWN:
        told[_SHOWN - 1 :] = [f"and {len(told) - _SHOWN + 1} more"]
    numbers = ", ".join(str(number) for number, _ in wrong)
    raise UsageError(
        f"the list's line{'s' if len(wrong) > 1 else ''} {numbers} cannot be run; nothing was run",
        hint="fix the list and try again",
        detail="\n".join(told),
    )


def _name(resolved: ResolvedRevision, options: tuple[str, ...]) -> str:
    """`queue-0123456789ab`, and a hash of the line's own options if there are any."""
    if not options:
        return f"{PREFIX}{resolved.short}"
    digest = hashlib.sha256("\0".join(options).encode()).hexdigest()[:6]
    return f"{PREFIX}{resolved.short}-{digest}"


def _without_comment(line: str) -> str:
    """Cut at a `#` that begins a word outside of quotes, as a shell does it."""
    quote, before = "", " "
    position = 0
    while position < len(line):
        char = line[position]
        if char == "\\" and quote != "'":
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and before.isspace():
            return line[:position]
        before = char
        position += 1
    return line
