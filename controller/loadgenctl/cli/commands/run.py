"""`loadgenctl run` and `loadgenctl options`; what commands with a run's options have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from loadgenctl.cli.commands.results import Junit, Markdown
from loadgenctl.errors import UnknownOption

PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}
"""For commands with a run's options: they are read from `ctx.args`, not by typer."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Options and site settings; ./loadgenctl.toml if it is there.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")]


class OptionsCommand(TyperCommand):
    """Adds a run's options, which typer does not know, to the help and to what is suggested."""

    purpose: ClassVar[str | None] = None
    """Of `KEYS_FOR`, to show only the options it knows."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then the table."""
        from loadgenctl.cli.optiontable import print_options

        super().format_help(ctx, formatter)
        print_options(self.purpose)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What a shell may complete: the command's own options, and a run's."""
        from typer._click.shell_completion import CompletionItem

        from loadgenctl.cli.completion import complete_option

        words = complete_option(ctx.args, incomplete, self.purpose)
        found = [CompletionItem(word, help=about) for word, about in words]
        return [*super().shell_complete(ctx, incomplete), *found]

    def invoke(self, ctx: Any) -> Any:
        """The command; for an unknown option the nearest one is sought among all that it takes."""
        try:
            return super().invoke(ctx)
        except UnknownOption as error:
            from loadgenctl.plan.arguments import unknown
            from loadgenctl.plan.lookup import names

            own = [
                flag[2:] for param in self.get_params(ctx) for flag in param.opts if "--" in flag
            ]
            # Also what this command refuses of a run's options: then it is told why.
            raise unknown(error.name, known=[*own, *names()], command=ctx.command_path) from error


class BuildCommand(OptionsCommand):
    """The same with the options that say what is built."""

    purpose = "build"


class ByHandCommand(OptionsCommand):
    """The same with the options that mean something for roles driven by hand."""

    purpose = "by hand"


class UpCommand(OptionsCommand):
    """The same with the options of roles driven by hand that leave records."""

    purpose = "up"


def run_command(
    ctx: typer.Context,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Resolve the revision, print the plan, run nothing."),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the plan or the summary as JSON.")
    ] = False,
    quiet: Quiet = False,
    top: Annotated[
        bool,
        typer.Option(
            "--top", help="Show the view of `loadgenctl top` while it runs, on a terminal."
        ),
    ] = False,
    junit: Junit = None,
    markdown: Markdown = None,
    config: Config = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Resume a run that was killed, interrupted or failed, in its results folder, at"
            " the first stage that was not finished, with the plan that is recorded there. Of the"
            " options below only --timeout.* and --disk.* may be given.",
        ),
    ] = None,
) -> None:
    """Measure one SDK revision under load.

    Builds the revision in a Debian image (cached), then runs stages: chain node, client and load
    generator in separate containers, the chain restarted between stages. Ctrl-C once ends the stage
    and still writes the summary; twice stops at once. Reports are written for every run that left a
    results folder, failed ones too; in GitHub's jobs the page is added to the job's summary.

    Exit codes: 0 passed, 2 bad usage, 3 build failed, 4 the run failed, 130 interrupted.
    """
    from loadgenctl.cli.inputs import read
    from loadgenctl.cli.reporting import reports_of_run
    from loadgenctl.cli.streams import keep_going

    if not dry_run:
        keep_going(code_stays=True)
    if resume is not None:
        from loadgenctl.cli.resume import to_resume
        from loadgenctl.cli.runs import find_run

        given, resumption = None, to_resume(find_run(resume), ctx.args)
        plan, site, unnamed = resumption.plan, read([], config).site(), False
    else:
        resumption, given = None, read(ctx.args, config)
        plan, site, unnamed = given.plan(), given.site(), given.unnamed
    files = reports_of_run(
        junit, markdown, os.environ, prints_json=json_output, results=plan.output_dir
    )
    if dry_run:
        from loadgenctl.cli.dryrun import print_plan
        from loadgenctl.cli.foresee import foresee

        sdk = None if resumption is not None else foresee(plan, site.rewrite_git)
        variables = () if given is None else given.settings.variables()
        print_plan(plan, as_json=json_output, resumption=resumption, sdk=sdk, variables=variables)
        return
    from loadgenctl.cli.run import run_plan

    raise typer.Exit(
        run_plan(
            plan,
            site,
            files=files,
            quiet=quiet,
            top=top,
            json_output=json_output,
            resumption=resumption,
            unnamed=unnamed,
        )
    )


def options_command(
    ctx: typer.Context,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """Show the options of a run as they are merged, and where each value comes from.

    Defaults, then the options file, then the environment, then the command line; the later one
    wins.
    """
    from loadgenctl.cli.inputs import read
    from loadgenctl.cli.options import show_options

    show_options(read(ctx.args, config).settings, as_json=json_output)
