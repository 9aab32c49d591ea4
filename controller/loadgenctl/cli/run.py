"""`loadgenctl run`: a plan is executed, its summary shown and its reports written."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgenctl.cli.parameters import Config, Junit, Markdown, Quiet
from loadgenctl.cli.standard_streams import keep_going, said_so_far
from loadgenctl.errors import LoadgenError
from loadgenctl.program import program_name

if TYPE_CHECKING:
    from loadgenctl.building.site import SiteSettings
    from loadgenctl.cli.console import ConsoleProgress
    from loadgenctl.cli.report_files import ReportFiles
    from loadgenctl.model import RunPlan
    from loadgenctl.run.resume import Resumption
    from loadgenctl.run.runner import RunResult

_LOG_WIDTH = 100
"""Columns of the tables in a run's log."""


_Json = Annotated[bool, typer.Option("--json", help="Print the summary (or the plan) as JSON.")]
_Top = Annotated[
    bool,
    typer.Option("--top", help="Show the live view of `loadgenctl top`, on a terminal."),
]
_Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Resume a run that was killed, interrupted or failed, at its first unfinished"
        " stage. It uses the recorded plan and the same results folder. Of the options below,"
        " only --timeout.* and --disk.* are accepted with it.",
    ),
]


def run_command(
    ctx: typer.Context,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Resolve the revision, print the plan, run nothing."),
    ] = False,
    json_output: _Json = False,
    quiet: Quiet = False,
    top: _Top = False,
    junit: Junit = None,
    markdown: Markdown = None,
    config: Config = None,
    resume: _Resume = None,
) -> None:
    """Measure one SDK revision under load.

    Builds the revision in a Debian image, or uses the cached build. Then it runs the stages: chain
    node, client and load generator in separate containers. The chain restarts between stages.

    Press Ctrl-C once to end the stage and write the summary. Press it twice to stop immediately.
    Reports are also written for failed runs. In a GitHub job the page is added to the job summary.

    Exit codes: 0 passed, 2 bad usage, 3 build failed, 4 run failed, 130 interrupted.
    """
    from loadgenctl.cli.merged_options import read
    from loadgenctl.cli.report_files import reports_of_run

    if not dry_run:
        keep_going(code_stays=True)
    if resume is not None:
        from loadgenctl.cli.find_runs import find_run

        given, resumption = None, to_resume(find_run(resume), ctx.args)
        plan, site, unnamed = resumption.plan, read([], config).site(), False
    else:
        resumption, given = None, read(ctx.args, config)
        plan, site, unnamed = given.plan(), given.site(), given.unnamed
    files = reports_of_run(
        junit, markdown, os.environ, prints_json=json_output, results=plan.output_dir
    )
    if dry_run:
        from loadgenctl.cli.dryrun import foresee, print_plan

        sdk = None if resumption is not None else foresee(plan, site.rewrite_git)
        variables = () if given is None else given.settings.variables()
        print_plan(plan, as_json=json_output, resumption=resumption, sdk=sdk, variables=variables)
        return
    code = run_plan(
        plan,
        site,
        files=files,
        quiet=quiet,
        top=top,
        json_output=json_output,
        resumption=resumption,
        unnamed=unnamed,
    )
    raise typer.Exit(code)


def to_resume(folder: Path, args: Sequence[str]) -> Resumption:
    """How the run in `folder` can be resumed; `args` are the other arguments.

    Options file and environment are not read: the plan is the recorded one. Raises `UsageError`.
    """
    from loadgenctl.plan.accepted_options import changes, with_changes
    from loadgenctl.plan.file_checks import check_files
    from loadgenctl.run.resume import examine

    given = changes(args)
    found = examine(folder)
    check_files(found.plan)
    shown = {key: value for key, value in given.items() if value is not None}
    return replace(found, plan=with_changes(found.plan, given), options=shown)


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
    """Execute the plan, show its progress and its result; return the exit code.

    `top` shows the view of `loadgenctl top` during the run, on a terminal. `on_ready`, for a plan
    by hand, makes the text to print when all is up, see `Services.on_ready`. `resumption` is for a
    resumed run, see `execute`. With `unnamed` the results folder has its default name, and gets
    another one if that exists.
    """
    from rich.console import Console

    from loadgenctl.cli.console import ConsoleProgress
    from loadgenctl.cli.top import RunView
    from loadgenctl.cli.wiring import at_work
    from loadgenctl.clock import SystemClock
    from loadgenctl.run.runner import execute

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
        # The outcome is recorded: closing the terminal now must not prevent the reports.
        with wiring.interrupts.held():
            return tell(
                result, files=files, quiet=quiet, json_output=json_output, progress=progress
            )


@contextmanager
def _results(plan: RunPlan, *, unnamed: bool) -> Iterator[RunPlan]:
    """The plan; with `unnamed`, with a new folder that is removed if the run does not begin."""
    from loadgenctl.records.output_guard import new_folder

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
        # `rmdir` keeps a folder that is not empty.
        with suppress(OSError):
            folder.rmdir()
            if parent_is_new:
                folder.parent.rmdir()


def _show_ready(text: str, progress: ConsoleProgress) -> None:
    progress.log(text)
    # The step printed before has cleared the status line.
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
    """Show the result of a run and write its reports; return the exit code.

    A report that cannot be written makes a run that passed fail, and changes nothing else.
    """
    import traceback

    from rich.console import Console

    from loadgenctl.cli.console import ConsoleProgress

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
    from rich.text import Text

    from loadgenctl.cli.console import error_lines
    from loadgenctl.cli.print_data import print_json
    from loadgenctl.formatting import harmless
    from loadgenctl.reports.facts import read_facts
    from loadgenctl.run.failure import failure_document

    summary = result.summary
    if summary is None:
        progress.say(Text("warning: summary.json could not be written", style="yellow"))
        # The records may still be readable, and the reports are made of them.
        summary = _from_records(result)
    # Write reports before printing: the reader of the output may be gone.
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
    where = Text(f"results in {harmless(str(result.folder))}")
    if result.error is not None or not quiet:
        progress.say(where)
    if result.error is not None and (hint := _how_to_resume(result.folder)) is not None:
        progress.say(Text(hint))
    if result.error is None and troubles:
        return troubles[0].exit_code
    return result.exit_code


def _show_summary(summary: dict[str, Any], progress: ConsoleProgress, *, shown: bool) -> None:
    """Write the tables to the log, and with `shown` to standard output."""
    import io

    from rich.console import Console

    from loadgenctl.cli.print_data import width_for
    from loadgenctl.reports.table_model import WIDTH
    from loadgenctl.reports.text import print_summary

    page = io.StringIO()
    plain = Console(file=page, width=_LOG_WIDTH, force_terminal=False)
    print_summary(plain, summary, _LOG_WIDTH)
    progress.log(page.getvalue())
    if shown:
        stdout = Console()
        print_summary(stdout, summary, width_for(stdout, WIDTH))


def _how_to_resume(folder: Path) -> str | None:
    """The command that resumes an unfinished run; None if it cannot be resumed."""
    from loadgenctl.formatting import harmless
    from loadgenctl.run.resume import examine

    try:
        stage = examine(folder).stage
    except (LoadgenError, OSError):
        return None
    command = f"{program_name()} run --resume {shlex.quote(harmless(str(folder)))}"
    return f"to resume from stage {stage}, run: {command}"


def _from_records(result: RunResult) -> dict[str, Any] | None:
    """The summary computed again, without writing it; None if that fails, too."""
    from loadgenctl.reports.facts import read_facts

    try:
        return dict(read_facts(result.folder).summary)
    except (LoadgenError, OSError):
        return None
