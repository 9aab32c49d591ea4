"""`loadgenctl clean`: remove what runs that are gone left on the engine."""

from __future__ import annotations

import sys

from loadgenctl.cli.wiring import connect
from loadgenctl.engines import labels


def clean_engine(*, dry_run: bool) -> None:
    """Remove containers, networks and volumes that dead runs of this machine left behind."""
    with connect() as engine:
        if dry_run:
            items = [
                item for item in engine.leftovers() if labels.owned_by_dead_process(item.labels)
            ]
        else:
            items = labels.sweep(engine)
    for item in items:
        verb = "would remove" if dry_run else "removed"
        sys.stdout.write(f"{verb} {item.kind} {item.name}\n")
    if not items:
        sys.stdout.write("nothing left behind\n")
