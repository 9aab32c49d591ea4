"""`loadgenctl stats RUN…`: the numbers of results folders, without Docker."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.output import print_csv, print_json
from loadgenctl.cli.reporting import ReportFiles
from loadgenctl.cli.tables import width_for
from loadgenctl.errors import UsageError
from loadgenctl.reports.facts import read_facts
from loadgenctl.reports.parquet import load_polars, write_tables
from loadgenctl.reports.tables import marks_for
from loadgenctl.reports.text import WIDTH, evidence, print_lines, summary_lines
from loadgenctl.stats.table import run_row, table
from loadgenctl.stats.tables import tables


def show_stats(
    runs: Sequence[Path],
    *,
    as_json: bool = False,
    as_csv: bool = False,
    parquet: Path | None,
    files: ReportFiles = ReportFiles(),
) -> None:
    """What the runs measured, recomputed from their records, in one of several forms.

    JSON is a document for one run and a list for several; CSV has a row per run. Reports that go
    to `files` are written beside it. Raises `UsageError` if more than one form is asked for,
    `OutputFolderError` where there is no run or a report cannot be written.
    """
    if sum((as_json, as_csv, parquet is not None, files.prints)) > 1:
        raise UsageError(
            "--json, --csv, --parquet and --markdown - are different answers", hint="give one"
        )
    files.check()
    facts = cache(lambda: [read_facts(run) for run in runs])
    # Before anything is printed: the reader of the output may be gone.
    troubles = files.write(facts)
    if as_csv:
        print_csv(*table(run_row(run) for run in runs))
    elif parquet is not None:
        # Missing polars is reported at once, not after the folders were read.
        polars = load_polars()
        for file in write_tables(parquet, tables(runs), polars):
            sys.stdout.write(f"{file}\n")
    elif as_json:
        summaries = [run.summary for run in facts()]
        print_json(summaries[0] if len(summaries) == 1 else summaries)
    elif not files.prints:
        console = Console()
        marks = marks_for(console.encoding)
        width = width_for(console, WIDTH)
        for place, run in enumerate(facts()):
            lines = [*summary_lines(run.summary, width, marks), *evidence(run, width)]
            print_lines(console, [*([Text()] if place else []), *lines])
    for trouble in troubles:
        raise trouble
