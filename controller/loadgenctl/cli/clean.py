"""`loadgenctl clean`: what runs that are gone left is removed, and their results are marked."""

from __future__ import annotations

import sys

from loadgenctl.cli.console import clean
from loadgenctl.cli.wiring import DOCKER, ENGINES, connect
from loadgenctl.errors import EngineUnavailable
from loadgenctl.run.leftovers import Swept, sweep


def clean_engines(only: str | None, *, dry_run: bool) -> None:
    """Remove what dead runs of this machine left behind: on one engine, or on all.

    Raises `EngineUnavailable` for one that does not answer, after the others were cleaned, and
    `EngineError` for what cannot be removed, after all else was.
    """
    found = 0
    for kind in ENGINES if only is None else (only,):
        try:
            swept = _sweep(kind, dry_run=dry_run)
        except EngineUnavailable as error:
            if only is None and kind == DOCKER:
                raise EngineUnavailable(
                    error.message, hint=f"{error.hint}; --engine local does without"
                ) from error
            raise
        verb = "would remove" if dry_run else "removed"
        for line in (*(f"{verb} {name}" for name in swept.removed), *swept.told):
            sys.stdout.write(f"{clean(line)}\n")
        sys.stdout.flush()
        found += len(swept.removed)
        swept.check()
    if not found:
        sys.stdout.write("nothing left behind\n")


def _sweep(kind: str, *, dry_run: bool) -> Swept:
    with connect(kind) as engine:
        return sweep(engine, dry_run=dry_run)
