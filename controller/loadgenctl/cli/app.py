"""The command line: `loadgenctl COMMAND`. Errors become an exit here and nowhere else.

What is imported here is imported at every start: see `cli.commands`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from loadgenctl.cli.commands.byhand import compose_command, up_command
from loadgenctl.cli.commands.daily import ManyRunsCommand, daily_command, queue_command
from loadgenctl.cli.commands.engine import clean_command, image_app, sdk_app
from loadgenctl.cli.commands.group import QuickGroup
from loadgenctl.cli.commands.load import load_app
from loadgenctl.cli.commands.results import (
    list_command,
    regen_command,
    slog_app,
    stats_command,
    top_command,
)
from loadgenctl.cli.commands.run import (
    PASS_ON,
    ByHandCommand,
    OptionsCommand,
    UpCommand,
    options_command,
    run_command,
)
from loadgenctl.errors import LoadgenError
from loadgenctl.program import as_called
from loadgenctl.version import VERSION

app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Measure how a blockchain SDK revision performs under load: build it, run chain, client"
    " and load generator in containers, stage by stage, and keep results that can be compared.",
)
_EPILOG = "Try it without an SDK: loadgenctl run --sdk sim --stages 3 --stage.duration 1"


def _version(value: bool) -> None:
    if value:
        typer.echo(f"loadgenctl {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


app.command("run", cls=OptionsCommand, context_settings=PASS_ON)(run_command)
app.command("options", cls=OptionsCommand, context_settings=PASS_ON)(options_command)
app.command("daily", cls=ManyRunsCommand, context_settings=PASS_ON)(daily_command)
app.command("queue", cls=ManyRunsCommand, context_settings=PASS_ON)(queue_command)
app.command("list")(list_command)
app.command("stats")(stats_command)
app.command("regen")(regen_command)
app.command("top")(top_command)
app.add_typer(slog_app, name="slog")
app.add_typer(load_app, name="load")
app.add_typer(sdk_app, name="sdk")
app.add_typer(image_app, name="image")
app.command("clean")(clean_command)
app.command("up", cls=UpCommand, context_settings=PASS_ON)(up_command)
app.command("compose", cls=ByHandCommand, context_settings=PASS_ON)(compose_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: run the command, turn its error into the exit code that it owns.

    `arguments` without the program's name; None: those of this process.
    """
    try:
        app.info.epilog = as_called(_EPILOG)
        app(arguments, prog_name="loadgenctl")
        sys.exit(0)
    except LoadgenError as error:
        _show(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError) as error:
        from loadgenctl.filetrouble import behind, file_error

        found = behind(error)
        if found is not None:
            trouble = file_error(found)
            _show(trouble)
            sys.exit(trouble.exit_code)
        if not isinstance(error, OSError):
            _internal_error()
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            _internal_error()
        _forget_output()
        _show(LoadgenError(f"cannot write the output: {error.strerror}"))
        sys.exit(1)
    except Exception:  # noqa: BLE001 - the last net: an internal error, told as such
        _internal_error()


def _show(error: LoadgenError) -> None:
    from rich.console import Console

    from loadgenctl.cli.console import show_error

    show_error(Console(stderr=True), error)


def _internal_error() -> NoReturn:
    traceback.print_exc()
    sys.stderr.write("internal error; please report it with the lines above\n")
    sys.exit(1)


def _forget_output() -> None:
    """What is still in the buffer cannot be written either: let the exit not try."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
