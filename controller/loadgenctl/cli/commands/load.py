"""`loadgenctl load`: the load of a running run."""

from __future__ import annotations

from typing import Annotated

import typer

from loadgenctl.cli.commands.group import QuickGroup

load_app = typer.Typer(cls=QuickGroup, no_args_is_help=True, help="The load of a running run.")
config_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="What is loaded, and how often."
)
load_app.add_typer(config_app, name="config")


@config_app.command("get")
def get_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Results folder, name below results/ or id; the only running one if not given.",
        ),
    ] = None,
) -> None:
    """Print the load config in force, as JSON."""
    from loadgenctl.cli.load import get_config

    get_config(run)


@config_app.command("set")
def set_command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] JSON", help="""The new config, e.g. '{"faucet": {"interval": 10}}'."""
        ),
    ],
) -> None:
    """Set the load config of a running stage, and print what is then in force.

    Tasks that are left out are turned off; {} turns all off. Times may have units
    (`"interval": "2m"`). The stage's end and the next stages are as planned.
    """
    from loadgenctl.cli.load import set_config
    from loadgenctl.cli.streams import keep_going

    keep_going()
    set_config(words)
