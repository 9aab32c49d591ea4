"""`loadgenctl clean`: remove what runs that are gone left on the engines."""

from __future__ import annotations

import sys

from loadgenctl.cli.wiring import DOCKER, ENGINES, connect
from loadgenctl.engines import labels
from loadgenctl.engines.base import Leftover
from loadgenctl.errors import EngineUnavailable


def clean_engines(only: str | None, *, dry_run: bool) -> None:
    """Remove what dead runs of this machine left behind: on one engine, or on all.

    Raises `EngineUnavailable` for one that does not answer, after the others were cleaned.
    """
    found = 0
    for kind in ENGINES if only is None else (only,):
        try:
            items = _clean(kind, dry_run=dry_run)
        except EngineUnavailable as error:
            if only is None and kind == DOCKER:
                raise EngineUnavailable(
                    error.message, hint=f"{error.hint}; --engine local does without"
                ) from error
            raise
        for item in items:
            verb = "would remove" if dry_run else "removed"
            sys.stdout.write(f"{verb} {item.kind} {item.name}\n")
        sys.stdout.flush()
        found += len(items)
    if not found:
        sys.stdout.write("nothing left behind\n")


def _clean(kind: str, *, dry_run: bool) -> list[Leftover]:
    with connect(kind) as engine:
        if dry_run:
            return [
                item for item in engine.leftovers() if labels.owned_by_dead_process(item.labels)
            ]
        return labels.sweep(engine)
