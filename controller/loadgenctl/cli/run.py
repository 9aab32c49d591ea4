"""`loadgenctl run`: the plan to a run, the run to a summary and reports."""

from __future__ import annotations

import io
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.console import ConsoleProgress, clean, error_lines
from loadgenctl.cli.output import print_json
from loadgenctl.cli.reporting import ReportFiles
from loadgenctl.cli.runtop import RunView
from loadgenctl.cli.streams import said_so_far
from loadgenctl.cli.tables import width_for
from loadgenctl.cli.wiring import at_work
from loadgenctl.clock import SystemClock
from loadgenctl.errors import LoadgenError
from loadgenctl.model import RunPlan
from loadgenctl.program import program_name
from loadgenctl.records.folder import new_folder
from loadgenctl.reports.facts import read_facts
from loadgenctl.reports.text import WIDTH, print_summary
from loadgenctl.run.ending import failure_document
from loadgenctl.run.resume import Resumption, examine
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.site import SiteSettings

_LOG_WIDTH = 100
"""Columns of the tables in a run's log."""


def run_plan(
    plan: RunPlan,
    site: SiteSettings,
    *,
    files: ReportFiles,
    quiet: bool,
    top: bool = False,
    json_output: bool = False,
    on_ready: Callable[[RunPlan], str] | None = None,
    resumption: Resumption | None = None,
    unnamed: bool = False,
) -> int:
    """Do what the plan says, show how it goes and what came out; the exit code.

    `top` shows the view of `loadgenctl top` while it runs, on a terminal.
    `on_ready` is for a plan by hand: what to print once all is up, see `Services.on_ready`;
    `resumption` for one that is resumed, see `execute`. With `unnamed` the results
    folder's name is the default, and another one is taken where that one exists.
    """
    progress = ConsoleProgress(Console(stderr=True), quiet=quiet)
    progress.log(said_so_far())
    with (
        _results(plan, unnamed=unnamed) as plan,
        at_work(site, quiet=quiet, engine=plan.engine, progress=progress) as wiring,
    ):
        if top:
            progress.view = RunView(plan.output_dir, SystemClock())
        services = wiring.services(plan)
        if on_ready is not None:
            ready = on_ready
            services = replace(services, on_ready=lambda: _show_ready(ready(plan), progress))
        result = execute(plan, services, resumption)
        # The outcome is written: a terminal that is closed now takes no report away.
        with wiring.interrupts.held():
            return tell(
                result, files=files, quiet=quiet, json_output=json_output, progress=progress
            )


@contextmanager
def _results(plan: RunPlan, *, unnamed: bool) -> Iterator[RunPlan]:
    """The plan, for `unnamed` with a new folder, which does not stay if the run does not begin."""
    if not unnamed:
        yield plan
        return
    parent_is_new = not plan.output_dir.parent.exists()
    folder = new_folder(plan.output_dir)
    own_state = plan.state_dir.parent == plan.output_dir
    state = folder / plan.state_dir.name if own_state else plan.state_dir
    try:
        yield replace(plan, output_dir=folder, state_dir=state)
    finally:
        # A folder that holds something stays.
        with suppress(OSError):
            folder.rmdir()
            if parent_is_new:
                folder.parent.rmdir()


def _show_ready(text: str, progress: ConsoleProgress) -> None:
    progress.log(text)
    # The step that was told before has taken the changing line off the terminal.
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(
    result: RunResult,
    *,
    files: ReportFiles,
    quiet: bool,
    json_output: bool,
    progress: ConsoleProgress | None = None,
) -> int:
    """Show what came out of a run and write its reports; the exit code.

    A report that cannot be written fails a run that passed, and changes nothing else.
    """
    progress = progress or ConsoleProgress(Console(stderr=True), quiet=quiet)
    try:
        return _tell(result, files, progress, quiet=quiet, json_output=json_output)
    except Exception:
        progress.log(traceback.format_exc())
        raise


def _tell(
    result: RunResult,
    files: ReportFiles,
    progress: ConsoleProgress,
    *,
    quiet: bool,
    json_output: bool,
) -> int:
    summary = result.summary
    if summary is None:
        progress.say(Text("warning: summary.json could not be written", style="yellow"))
        # The reports can still be made of the records.
        summary = _from_records(result)
    # Before anything is printed: whoever reads the output may have gone.
    troubles = files.write(lambda: [read_facts(result.folder, summary)])
    progress.clear_line()
    if summary is None:
        progress.say(Text("warning: the records cannot be read, either", style="yellow"))
        if json_output and result.error is not None:
            print_json(failure_document(result.error))
    else:
        _show_summary(summary, progress, shown=not files.prints and not json_output)
        if json_output:
            print_json(summary)
    sys.stdout.flush()
    for error in [result.error, *troubles]:
        for line in () if error is None else error_lines(error):
            progress.say(line)
    where = Text(f"results in {clean(str(result.folder))}")
    if result.error is not None or not quiet:
        progress.say(where)
    if result.error is not None and (how := _how_to_resume(result.folder)) is not None:
        progress.say(Text(how))
    if result.error is None and troubles:
        return troubles[0].exit_code
    return result.exit_code


def _show_summary(summary: dict[str, Any], progress: ConsoleProgress, *, shown: bool) -> None:
    """The tables, in the log whatever is shown."""
    page = io.StringIO()
    plain = Console(file=page, width=_LOG_WIDTH, force_terminal=False)
    print_summary(plain, summary, _LOG_WIDTH)
    progress.log(page.getvalue())
    if shown:
        stdout = Console()
        print_summary(stdout, summary, width_for(stdout, WIDTH))


def _how_to_resume(folder: Path) -> str | None:
    """The command that resumes a run that did not end; None if it cannot be resumed."""
    try:
        stage = examine(folder).stage
    except (LoadgenError, OSError):
        return None
    command = f"{program_name()} run --resume {shlex.quote(clean(str(folder)))}"
    return f"to resume from stage {stage}, run: {command}"


def _from_records(result: RunResult) -> dict[str, Any] | None:
    """The summary computed from the records, without writing it; None if they cannot be read."""
    try:
        return dict(read_facts(result.folder).summary)
    except (LoadgenError, OSError):
        return None
