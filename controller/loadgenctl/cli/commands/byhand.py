"""Commands for those who drive the roles by hand: `up` and `compose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgenctl.cli.commands.run import Config, Quiet


def up_command(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and do nothing.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Bring up chain, client and load generator, to drive them by hand until Ctrl-C.

    Everything is as in a run, records too, but in one stage without an end. Ports 26657, 8000 and
    3352 are published on 127.0.0.1. The load is off unless one is given, and set with `curl`. When
    all is ready, the addresses and commands to try are printed. Ctrl-C once ends it and shows the
    summary; twice stops immediately.

    Exit codes: 0 ended by Ctrl-C, 2 bad usage, 3 build failed, 4 a role died or a cycle failed, 130
    interrupted before it was ready, or twice.
    """
    from loadgenctl.cli.inputs import read_for_up
    from loadgenctl.cli.streams import keep_going

    if not dry_run:
        keep_going(code_stays=True)
    given = read_for_up(ctx.args, config)
    plan = given.plan_by_hand()
    if dry_run:
        from loadgenctl.cli.dryrun import print_plan
        from loadgenctl.cli.foresee import foresee

        sdk = foresee(plan, given.site().rewrite_git)
        print_plan(plan, as_json=False, sdk=sdk, variables=given.settings.variables())
        return
    from loadgenctl.cli.up import bring_up

    raise typer.Exit(bring_up(plan, given.site(), quiet=quiet, unnamed=given.unnamed))


def compose_command(
    ctx: typer.Context,
    into: Annotated[
        Path,
        typer.Option("--into", metavar="DIR", help="Folder for the file, the tools and the state."),
    ],
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make a compose file of the roles, to drive them by hand with `docker compose`.

    Builds the revision as a run would (or finds it built), and starts nothing. The roles are those
    of a run: the same image, commands and limits. Ports 26657, 8000 and 3352 are published on
    127.0.0.1. A second call for the same folder keeps the chain's and the client's state.

    Exit codes: 0 made, 2 bad usage, 3 the build failed, 130 interrupted.
    """
    from loadgenctl.cli.compose import make_compose
    from loadgenctl.cli.inputs import read_by_hand
    from loadgenctl.cli.streams import keep_going

    keep_going()
    make_compose(read_by_hand(ctx.args, config), into, quiet=quiet)
