"""A list of revisions, measured one after the other in its order.

A line is a revision and its own options, split like a shell's words (no shell is run); `#` begins
a comment. Lines are identified by revision and own options, and if both are equal by their order:
a list may grow, and lines that are finished are not run again.
"""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.daily.history import History
from loadgenctl.daily.journal import Journal
from loadgenctl.daily.make_attempt import Attempts, RunRequest
from loadgenctl.errors import Interrupted, LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision

PREFIX: Final = "queue-"
_SHOWN: Final = 20
"""Invalid lines that are listed with their reasons."""
Resolve = Callable[[str, tuple[str, ...]], ResolvedRevision]
"""Revision and all options of its run → the revision pinned down. Raises `UsageError`."""
Check = Callable[[str, tuple[str, ...]], None]
"""Checks the same without resolving the revision."""


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
    """A line, and the run that it requests."""

    line: Line
    request: RunRequest


@dataclass(frozen=True, slots=True)
class LineResult:
    """The attempts at a line so far."""

    entry: Entry
    history: History
    before: bool
    """True if it was finished before this start."""

    @property
    def code(self) -> int:
        """0 if it passed, else its last attempt's exit code."""
        last = self.history.decisive
        return 1 if last is None else last.code


def parse(text: str) -> list[Line]:
    """The lines of a list. Raises `UsageError` that names all invalid ones."""
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
    """Check every line, then resolve every revision. Raises `UsageError` with all invalid ones.

    `common` are the options of all lines; a line's own options override them.
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
        request = RunRequest(
            name=name if seen[name] == 1 else f"{name}-{seen[name]}",
            commit=resolved.commit or resolved.content_id,
            options=(*common, *line.options),
            about={
                "revision": line.revision,
                "repository": resolved.repository,
                "commit_time": resolved.commit_time,
            },
        )
        entries.append(Entry(line, request))
    return entries


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs the lines of a list."""

    attempts: Attempts
    journal: Journal
    clock: Clock
    limit: int
    """Failures after which a line is skipped."""
    retry_after: float
    """Seconds, see `History.pause`."""
    ready: Callable[[], None]
    """Raises `LoadgenError` while no run can begin, e.g. without an engine."""
    check: Callable[[], None]
    """Raises `Interrupted` once a stop was requested."""

    def run(self, entries: Sequence[Entry]) -> None:
        """Run the lines that are not finished, in order.

        Raises `Interrupted`, `OutputFolderError`, and what `ready` raises.
        """
        since, left = self.clock.wall(), len(entries) - len(self.done(entries))
        self.journal.record(
            "started",
            f"{len(entries)} lines, {left} to run",
            lines=len(entries),
            left=left,
        )
        self.attempts.sweep_engine()
        for entry in entries:
            self._run_line(entry, since)

    def results(self, entries: Sequence[Entry], before: Iterable[Entry] = ()) -> list[LineResult]:
        """The attempts at every line; `before` are the lines that were finished before."""
        done = [entry.line.number for entry in before]
        return [
            LineResult(entry, self.attempts.history(entry.request), entry.line.number in done)
            for entry in entries
        ]

    def done(self, entries: Sequence[Entry]) -> list[Entry]:
        """The lines that are finished."""
        return [entry for entry in entries if self._settled(entry)]

    def _run_line(self, entry: Entry, since: float) -> None:
        request = entry.request
        if self._settled(entry):
            passed = self.attempts.history(request).passed
            how = "passed before" if passed else "failed before; raise --attempts to try it again"
            self.journal.record(
                "skipped",
                f"line {entry.line.number}: {request.commit[:12]} {how} ({request.name})",
                line=entry.line.number,
                commit=request.commit,
                folder=request.name,
            )
        while not self._settled(entry):
            pause = self.attempts.history(request).pause(
                self.clock.wall(), first=self.retry_after, since=since
            )
            if pause > 0:
                self.journal.record(
                    "retry",
                    f"line {entry.line.number} will be tried again in {pause / 60:.1f} min",
                    line=entry.line.number,
                    commit=request.commit,
                    pause_s=round(pause, 3),
                )
                self.clock.sleep(pause)
            self.ready()
            self.attempts.make(request)
            self.check()

    def _settled(self, entry: Entry) -> bool:
        return self.attempts.history(entry.request).settled(self.limit)


def exit_code(results: Iterable[LineResult]) -> int:
    """0 if all lines passed, else that of the first one that did not."""
    return next((result.code for result in results if result.code), 0)


def _tried(lines: Iterable[Line], act: Callable[[Line], None]) -> list[tuple[int, str]]:
    """The lines for which `act` fails, and why."""
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
    reasons = [f"line {number}: {why}" for number, why in wrong]
    if len(reasons) > _SHOWN:
        reasons[_SHOWN - 1 :] = [f"and {len(reasons) - _SHOWN + 1} more"]
    numbers = ", ".join(str(number) for number, _ in wrong)
    raise UsageError(
        f"the list's line{'s' if len(wrong) > 1 else ''} {numbers} cannot be run; nothing was run",
        hint="fix the list and try again",
        detail="\n".join(reasons),
    )


def _name(resolved: ResolvedRevision, options: tuple[str, ...]) -> str:
    """`queue-0123456789ab`, and a hash of the line's own options if there are any."""
    if not options:
        return f"{PREFIX}{resolved.short}"
    digest = hashlib.sha256("\0".join(options).encode()).hexdigest()[:6]
    return f"{PREFIX}{resolved.short}-{digest}"


def _without_comment(line: str) -> str:
    """The line up to a `#` that begins a word outside of quotes, as in a shell."""
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
