"""Commands that make one run after the other: `daily` and `queue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgenctl.cli.commands.run import Config, OptionsCommand

RetryAfter = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Minutes to wait after a first failure, twice as long after each further one, at most"
        " 60; or a time with units, such as 90s.",
    ),
]


QuietMany = Annotated[
    bool, typer.Option("--quiet", help="Report only what has gone wrong, failed runs too.")
]


class ManyRunsCommand(OptionsCommand):
    """The table of a run's options, without those of one single run."""

    purpose = "many"


def daily_command(
    ctx: typer.Context,
    branch: Annotated[
        str | None,
        typer.Option(help="Branch to follow; the repository's default branch if not given."),
    ] = None,
    poll: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Minutes between two looks at the branch, or a time with units."
        ),
    ] = "10",
    attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Failures after which a revision is given up.")
    ] = 3,
    retry_after: RetryAfter = "5",
    keep: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Newest finished revisions that keep raw data and build."
        ),
    ] = 10,
    max_disk: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Room for all attempts, e.g. 200g; no limit if not set."),
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Run the newest revision once if it is due, then end."),
    ] = False,
    quiet: QuietMany = False,
    config: Config = None,
) -> None:
    """Follow a branch: measure its newest revision, wait for the next one, until stopped.

    Results are in `daily-perf-REVISION/attempt-N` below the working directory. A revision that
    passed is not run again, also not by the next start; one that failed is tried again, after a
    pause, unless a newer one is there. See docs/daily.md.

    Further options are those of `loadgenctl run`, for every run.

    Exit codes: 130 after Ctrl-C, 0 after SIGTERM, 2 bad usage; with --once that of the run, and 0
    if nothing was due.
    """
    from loadgenctl.cli.daily import Limits, follow
    from loadgenctl.cli.streams import keep_going

    keep_going(code_stays=True)
    limits = Limits(poll, attempts, retry_after, keep, max_disk)
    raise typer.Exit(follow(ctx.args, config, branch=branch, limits=limits, once=once, quiet=quiet))


def queue_command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE|-", help="The list; - reads standard input.")
    ],
    attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Failures after which a line is given up.")
    ] = 1,
    retry_after: RetryAfter = "5",
    quiet: QuietMany = False,
    config: Config = None,
) -> None:
    """Run a list of revisions, one per line, in its order.

    After the revision a line may have options of its own (those of `loadgenctl run`, quoted as for
    a shell); `#` begins a comment. Results are in `queue-REVISION/attempt-N` below the working
    directory. Started again, it continues: lines that passed, or failed as often as
    `--attempts` says, are not run again. See docs/daily.md.

    Further options, after FILE, are for every run.

    Exit codes: 0 all lines passed, else that of the first line that did not; 2 also for a bad list,
    of which nothing is run; 130 interrupted.
    """
    from loadgenctl.cli.queue import work_off
    from loadgenctl.cli.streams import keep_going

    keep_going(code_stays=True)
    raise typer.Exit(
        work_off(file, ctx.args, config, limit=attempts, retry_after=retry_after, quiet=quiet)
    )
