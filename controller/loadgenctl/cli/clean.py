"""`loadgenctl clean`: remove what dead runs left, and mark their results folders."""

from __future__ import annotations

import sys

from loadgenctl.cli.console import clean
from loadgenctl.cli.wiring import DOCKER, ENGINES, connect
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.run.leftovers import SweepResult, sweep


def clean_engines(only: str | None, *, dry_run: bool) -> None:
    """Remove what dead runs of this machine left behind: on one engine, or on all.

    Raises `EngineUnavailable` for one that does not answer, `OSError` for one whose folder cannot
    be read, and `EngineError` for what cannot be removed: the first of them, after all else was
    done.
    """
    found = 0
    troubles: list[EngineError | OSError] = []
    for kind in ENGINES if only is None else (only,):
        try:
            swept = _sweep(kind, dry_run=dry_run)
        except EngineUnavailable as error:
            if only is None and kind == DOCKER:
                error.hint = f"{error.hint}; --engine local cleans without Docker"
            troubles.append(error)
            continue
        except OSError as error:
            troubles.append(error)
            continue
        verb = "would remove" if dry_run else "removed"
        for line in (*(f"{verb} {name}" for name in swept.removed), *swept.marked):
            sys.stdout.write(f"{clean(line)}\n")
        sys.stdout.flush()
        found += len(swept.removed)
        try:
            swept.check()
        except EngineError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]
    if not found:
        sys.stdout.write("nothing to remove\n")


def _sweep(kind: str, *, dry_run: bool) -> SweepResult:
    with connect(kind) as engine:
        return sweep(engine, dry_run=dry_run)
