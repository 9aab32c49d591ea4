"""`loadgenctl run`: the plan to a run, the run to a summary and reports."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.console import clean, show_error
from loadgenctl.cli.output import json_text
from loadgenctl.cli.reporting import ReportFiles
from loadgenctl.cli.runtop import RunView
from loadgenctl.cli.tables import width_for
from loadgenctl.cli.wiring import at_work
from loadgenctl.clock import SystemClock
from loadgenctl.errors import LoadgenError
from loadgenctl.model import RunPlan
from loadgenctl.program import program_name
from loadgenctl.records import schema
from loadgenctl.records.documents import read_document
from loadgenctl.reports.facts import read_facts
from loadgenctl.reports.text import WIDTH, print_summary
from loadgenctl.run.resume import Resumption, examine
from loadgenctl.run.runner import Ending, execute
from loadgenctl.site import SiteSettings


def run_plan(
    plan: RunPlan,
    site: SiteSettings,
    *,
    files: ReportFiles,
    quiet: bool,
    top: bool = False,
    json_output: bool = False,
    on_ready: Callable[[], None] | None = None,
    resumption: Resumption | None = None,
) -> int:
    """Do what the plan says, show how it goes and what came out; the exit code.

    `top` shows the view of `loadgenctl top` while it runs, on a terminal.
    `on_ready` is for a plan by hand, see `Services.on_ready`; `resumption` for one that is gone on
    with, see `execute`.
    """
    view = RunView(plan.output_dir, SystemClock()) if top else None
    with at_work(site, quiet=quiet, engine=plan.engine, view=view) as wiring:
        services = wiring.services(plan)
        if on_ready is not None:
            services = replace(services, on_ready=on_ready)
        ending = execute(plan, services, resumption)
    return tell(ending, files=files, quiet=quiet, json_output=json_output)


def tell(ending: Ending, *, files: ReportFiles, quiet: bool, json_output: bool) -> int:
    """Show what came out of a run and write its reports; the exit code.

    A report that cannot be written fails a run that passed, and changes nothing else.
    """
    stderr, stdout = Console(stderr=True), Console()
    summary = _summary(ending)
    if summary is None:
        stderr.print("warning: summary.json could not be written", style="yellow")
        # What the records tell is there all the same, and reports are made of it.
        summary = _from_records(ending)
    # Before anything is printed: whoever reads the output may have gone.
    troubles = files.write(lambda: [read_facts(ending.folder, summary)])
    if summary is None:
        stderr.print("warning: the records cannot be read, either", style="yellow")
    elif json_output:
        stdout.file.write(json_text(summary))
    elif not files.prints:
        print_summary(stdout, summary, width_for(stdout, WIDTH))
    for error in [ending.error, *troubles]:
        if error is not None:
            show_error(stderr, error)
    if ending.error is not None or not quiet:
        stderr.print(Text(f"results in {clean(str(ending.folder))}"), soft_wrap=True)
    if ending.error is not None and (way := _way_on(ending.folder)) is not None:
        stderr.print(Text(way), soft_wrap=True)
    if ending.error is None and troubles:
        return troubles[0].exit_code
    return ending.exit_code


def _way_on(folder: Path) -> str | None:
    """How a run that has not come to its end is gone on with; None where it cannot be."""
    try:
        stage = examine(folder).stage
    except (LoadgenError, OSError):
        return None
    command = f"{program_name()} run --resume {shlex.quote(clean(str(folder)))}"
    return f"to resume at stage {stage}: {command}"


def _summary(ending: Ending) -> dict[str, Any] | None:
    """The run's summary as written at its end; None where it could not be written."""
    try:
        return read_document(ending.folder / schema.SUMMARY)
    except OSError:
        return None


def _from_records(ending: Ending) -> dict[str, Any] | None:
    """The same computed once more, without writing; None where not even that can be done."""
    try:
        return dict(read_facts(ending.folder).summary)
    except (LoadgenError, OSError):
        return None
