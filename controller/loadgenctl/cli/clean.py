"""`loadgenctl clean`: remove what dead runs left behind, and mark their results folders."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from loadgenctl.cli.standard_streams import keep_going


def clean_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, remove nothing.")
    ] = False,
    engine: Annotated[
        Literal["docker", "local"] | None,
        typer.Option(
            "--engine", metavar="docker|local", help="Clean this engine only. Default: both."
        ),
    ] = None,
) -> None:
    """Remove containers, networks, volumes and processes left behind by dead runs.

    Only runs of this machine are cleaned. Their results folders are kept and marked as interrupted.
    """
    keep_going()
    clean_engines(engine, dry_run=dry_run)


def clean_engines(only: str | None, *, dry_run: bool) -> None:
    """Remove what dead runs of this machine left behind, on the engine `only` or on all.

    Raises the first error when all engines were tried: `EngineUnavailable` for one that does not
    answer, `OSError` for one whose folder cannot be read, `EngineError` for what cannot be removed.
    """
    from loadgenctl.cli.wiring import DOCKER, ENGINES, connect
    from loadgenctl.errors import EngineError, EngineUnavailable
    from loadgenctl.formatting import harmless_lines
    from loadgenctl.run.leftovers import sweep

    found = 0
    troubles: list[EngineError | OSError] = []
    for kind in ENGINES if only is None else (only,):
        try:
            with connect(kind) as engine:
                swept = sweep(engine, dry_run=dry_run)
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
            sys.stdout.write(f"{harmless_lines(line)}\n")
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
