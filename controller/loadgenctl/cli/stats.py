"""`loadgenctl stats RUN`: a results folder's numbers, without Docker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadgenctl.reports.text import print_summary
from loadgenctl.stats.run import summarize


def stats_command(
    run: Annotated[Path, typer.Argument(help="A results folder, also of a killed run.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a run measured, recomputed from its records."""
    summary = summarize(run)
    if json_output:
        json.dump(summary, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_summary(Console(), summary)
