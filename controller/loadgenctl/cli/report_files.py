"""Writes reports for CI systems: the JUnit file and the Markdown page."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadgenctl.errors import LoadgenError, OutputFolderError, UsageError
from loadgenctl.records.atomic import replace_file
from loadgenctl.reports.facts import RunFacts
from loadgenctl.reports.junit import junit
from loadgenctl.reports.markdown import page

SUMMARY_VARIABLE: Final = "GITHUB_STEP_SUMMARY"
"""The variable with the path of the file that GitHub shows on the job's page."""
STDOUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class _Target:
    wanted_by: str
    file: Path
    make: Callable[[Sequence[RunFacts]], bytes]
    hint: str
    append: bool = False


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The reports to write, and their paths."""

    junit: Path | None = None
    markdown: Path | None = None
    """`STDOUT` prints it."""
    step_summary: Path | None = None
    """The page is appended to it: other steps of the job write to it, too."""

    @property
    def prints(self) -> bool:
        """True if the page goes to standard output."""
        return self.markdown == STDOUT

    def check(self, made: Path | None = None) -> None:
        """Check before the run that reports can be written. Raises `UsageError`.

        `made` is a folder that will exist when the reports are written. No other folder is made: a
        typo would leave reports in an unexpected place.
        """
        if self.junit == STDOUT:
            raise UsageError(
                "--junit takes a file", hint="only --markdown takes - for standard output"
            )
        files = [target.file.absolute() for target in self._targets()]
        if len(set(files)) < len(files):
            raise UsageError(f"two reports cannot be one file: {max(files, key=files.count)}")
        for target in self._targets():
            reason = _why_not(target.file, made)
            if reason is not None:
                raise UsageError(f"{target.wanted_by}: {target.file} {reason}", hint=target.hint)

    def write(self, read: Callable[[], Sequence[RunFacts]]) -> list[LoadgenError]:
        """Write all reports about the runs that `read` returns; return the errors.

        If one report cannot be written, the others still are.
        """
        if not self.prints and not list(self._targets()):
            return []
        try:
            runs = read()
        except LoadgenError as error:
            return [error]
        troubles: list[LoadgenError] = []
        for target in self._targets():
            try:
                _put(target, target.make(runs))
            except OSError as error:
                message = f"{target.wanted_by}: {target.file} cannot be written: "
                message += error.strerror or str(error)
                troubles.append(OutputFolderError(message, hint=target.hint))
        if self.prints:
            sys.stdout.write(_pages(runs).decode())
        return troubles

    def _targets(self) -> Iterator[_Target]:
        if self.junit is not None:
            yield _Target("--junit", self.junit, junit, "name another file with --junit")
        if self.markdown is not None and not self.prints:
            yield _Target("--markdown", self.markdown, _pages, "name another file with --markdown")
        if self.step_summary is not None:
            hint = f"unset {SUMMARY_VARIABLE} to write no job page"
            yield _Target(f"${SUMMARY_VARIABLE}", self.step_summary, _pages, hint, append=True)


def reports_of_run(
    junit: Path | None,
    markdown: Path | None,
    environment: Mapping[str, str],
    *,
    prints_json: bool = False,
    results: Path | None = None,
) -> ReportFiles:
    """The reports of a run: those that were requested, and GitHub's job page in a GitHub job.

    `results` is the run's folder, which need not exist yet. Raises `UsageError` for a report that
    cannot be written, or cannot be printed together with JSON.
    """
    named = environment.get(SUMMARY_VARIABLE)
    job_page = Path(named) if named else None
    # A --markdown with that path means the job page, which must not replace what other steps wrote.
    files = ReportFiles(junit, None if markdown == job_page else markdown, job_page)
    files.check(results)
    if prints_json and files.prints:
        raise UsageError("--json and --markdown - both print", hint="give --markdown a file")
    return files


def _pages(runs: Sequence[RunFacts]) -> bytes:
    return "\n".join(page(facts) for facts in runs).encode()


def _put(target: _Target, content: bytes) -> None:
    file = target.file
    if target.append:
        with file.open("ab") as stream:
            # The existing text may end in the middle of a paragraph.
            stream.write(b"\n\n" + content)
    elif file.exists() and not file.is_file():
        # A device or a pipe must not be replaced by a file.
        file.write_bytes(content)
    else:
        replace_file(file.resolve(), content)


def _why_not(file: Path, made: Path | None) -> str | None:
    """Why `file` cannot be written, as far as it can be determined without writing; else None."""
    try:
        if file.is_dir():
            return "is a folder"
        if file.exists():
            return None if os.access(file, os.W_OK) else "cannot be written"
        folder = file.absolute().parent
        if made is not None and folder == made.absolute() and not folder.exists():
            return None
        if not folder.exists():
            return f"cannot be made: there is no folder {folder}"
    except OSError as error:
        # A parent folder that may not be searched.
        return f"cannot be written: {error.strerror}"
    if not folder.is_dir():
        return f"cannot be made: {folder} is not a folder"
    return None if os.access(folder, os.W_OK) else f"cannot be made: {folder} cannot be written"
