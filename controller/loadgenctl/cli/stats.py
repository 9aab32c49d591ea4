"""`loadgenctl stats RUN`: a results folder's numbers, without Docker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from loadgenctl.reports.text import print_summary
from loadgenctl.stats.run import summarize


def show_stats(run: Path, *, as_json: bool) -> None:
    """What a run measured, recomputed from its records."""
    summary = summarize(run)
    if as_json:
        json.dump(summary, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_summary(Console(), summary)
