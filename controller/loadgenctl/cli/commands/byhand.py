"""Commands for those who drive the roles by hand: `compose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgenctl.cli.commands.run import Config, Quiet


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
    127.0.0.1. Done again for the same folder, it keeps the chain's and the client's state.

    Exit codes: 0 made, 2 bad usage, 3 the build failed, 130 interrupted.
    """
    from loadgenctl.cli.compose import make_compose
    from loadgenctl.cli.inputs import read_by_hand

    make_compose(read_by_hand(ctx.args, config), into, quiet=quiet)
