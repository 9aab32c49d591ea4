"""Commands about what is kept: `loadgenctl clean`."""

from __future__ import annotations

from typing import Annotated

import typer


def clean_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove containers, networks and volumes that dead runs of this machine left behind."""
    from loadgenctl.cli.clean import clean_engine

    clean_engine(dry_run=dry_run)
