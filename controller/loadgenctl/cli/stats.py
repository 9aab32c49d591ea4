"""`loadgenctl stats RUN…`: the numbers of results folders, without Docker."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadgenctl.cli.output import print_csv, print_json
from loadgenctl.errors import UsageError
from loadgenctl.reports.parquet import load_polars, write_tables
from loadgenctl.reports.text import print_summary
from loadgenctl.stats.run import summarize
from loadgenctl.stats.table import run_row, table
from loadgenctl.stats.tables import tables


def show_stats(
    runs: Sequence[Path], *, as_json: bool = False, as_csv: bool = False, parquet: Path | None
) -> None:
    """What the runs measured, recomputed from their records, in one of four forms.

    JSON is a document for one run and a list for several; CSV has a row per run. Raises
    `UsageError` if more than one form is asked for, `OutputFolderError` where there is no run.
    """
    if sum((as_json, as_csv, parquet is not None)) > 1:
        raise UsageError("--json, --csv and --parquet are different answers", hint="give one")
    if as_csv:
        print_csv(*table(run_row(run) for run in runs))
    elif parquet is not None:
        # Missing polars is told at once, not after the folders were read.
        polars = load_polars()
        for file in write_tables(parquet, tables(runs), polars):
            sys.stdout.write(f"{file}\n")
    elif as_json:
        summaries = [summarize(run) for run in runs]
        print_json(summaries[0] if len(summaries) == 1 else summaries)
    else:
        console = Console()
        for place, run in enumerate(runs):
            if place:
                console.print()
            print_summary(console, summarize(run))
