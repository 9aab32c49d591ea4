"""`loadgenctl clean`: remove what runs that are gone left on the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from loadgenctl.cli.wiring import connect
from loadgenctl.engines import labels


def clean_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove containers, networks and volumes that dead runs of this machine left behind."""
    with connect() as engine:
        if dry_run:
            items = [
                item for item in engine.leftovers() if labels.owned_by_dead_process(item.labels)
            ]
        else:
            items = labels.sweep(engine)
    for item in items:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {item.kind} {item.name}")
    if not items:
        typer.echo("nothing left behind")
