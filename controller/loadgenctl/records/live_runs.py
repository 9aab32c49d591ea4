"""Finds the running runs below a results directory by their folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loadgenctl.errors import OutputFolderError
from loadgenctl.records.reader import RunFolder, holds_run


@dataclass(frozen=True, slots=True)
class RunningRuns:
    """Results folders of running runs, the newest first."""

    here: list[Path] = field(default_factory=list)
    """Their process lives on this machine."""
    elsewhere: list[Path] = field(default_factory=list)
    """Their folders say so, and it cannot be checked here."""


def find_running(results: Path) -> RunningRuns:
    """Check the folders directly in `results`, which need not exist. Raises `OSError`."""
    if not results.is_dir():
        return RunningRuns()
    found = RunningRuns()
    begun: dict[Path, float] = {}
    # A link to a run is the same run.
    links_last = sorted(results.iterdir(), key=lambda entry: (entry.is_symlink(), entry.name))
    seen: set[Path] = set()
    for entry in links_last:
        folder = entry.resolve()
        if folder in seen or not entry.is_dir() or not holds_run(entry):
            continue
        seen.add(folder)
        alive = _alive(entry)
        if alive is None:
            continue
        begun[entry] = alive[1]
        (found.here if alive[0] else found.elsewhere).append(entry)
    for runs in (found.here, found.elsewhere):
        runs.sort(key=lambda run: begun[run], reverse=True)
    return found


def _alive(path: Path) -> tuple[bool, float] | None:
    """Whether a running run is surely of this machine, and its start; None if it is not running."""
    try:
        status = RunFolder(path).status
    except OutputFolderError:
        # Of a newer version, or not readable: it cannot be shown.
        return None
    if status is None or status.as_found().finished:
        return None
    started = status.started_at if isinstance(status.started_at, int | float) else 0.0
    return status.owner is not None and status.owner.alive() is True, started
