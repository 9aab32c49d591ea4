"""The command line: `loadgenctl COMMAND`. Errors become exit codes here and nowhere else.

The modules of all commands are imported at every start. So that `--help` is quick, they import what
a command needs (engine client, parsers, compressors, rich) in the functions that use it.
"""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from loadgenctl.cli.clean import clean_command
from loadgenctl.cli.compose import ByHandCommand, compose_command
from loadgenctl.cli.daily import ManyRunsCommand, daily_command
from loadgenctl.cli.image import image_app
from loadgenctl.cli.load import load_app
from loadgenctl.cli.parameters import PASS_ON, OptionsCommand, QuickGroup
from loadgenctl.cli.queue import queue_command
from loadgenctl.cli.regen import regen_command
from loadgenctl.cli.results import list_command, slog_app, stats_command, top_command
from loadgenctl.cli.run import run_command
from loadgenctl.cli.sdk import sdk_app
from loadgenctl.cli.show_options import options_command
from loadgenctl.cli.standard_streams import finished, printed
from loadgenctl.cli.up import UpCommand, up_command
from loadgenctl.errors import Interrupted, LoadgenError, OutputLost, ReaderGone, UsageError
from loadgenctl.program import as_called
from loadgenctl.version import VERSION

JSON_FLAG = "--json"

app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Measure how a blockchain SDK revision performs under load. Builds the revision, runs"
    " chain, client and load generator in containers, stage by stage, and records results that can"
    " be compared.",
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
    """Entry point: run the command, turn its error into that error's exit code.

    `arguments` without the program's name; None: those of this process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(finished(_exit_code(given)))


def _exit_code(arguments: Sequence[str]) -> int:
    """Run the command; if it fails, show why."""
    try:
        code = _run(arguments)
        # Output that cannot be written shows only now.
        sys.stdout.flush()
    except ReaderGone as error:
        return error.exit_code
    except LoadgenError as error:
        _show(error)
        return _failed(arguments, error)
    except KeyboardInterrupt:
        return _failed(arguments, Interrupted("interrupted by SIGINT"))
    except Exception as error:  # noqa: BLE001 - the last net: an internal error, reported as such
        from loadgenctl.file_errors import behind, file_error

        failed = behind(error)
        if failed is not None:
            trouble = file_error(failed)
            _show(trouble)
            return _failed(arguments, trouble)
        trace = traceback.format_exc()
        sys.stderr.write(f"{trace}internal error; please report it with the lines above\n")
        message = f"internal error: {type(error).__name__}: {error}"
        return _failed(arguments, LoadgenError(message, detail=trace))
    return code


def _run(arguments: Sequence[str]) -> int:
    """The command's exit code. Raises what the command raises."""
    app.info.epilog = as_called(_EPILOG)
    try:
        app(arguments, prog_name="loadgenctl")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        words = getattr(ended.__context__, "format_message", None)
        if code == Interrupted.exit_code and not printed():
            return _failed(arguments, Interrupted("interrupted by SIGINT"))
        if words is not None:
            # A usage error, which typer has already shown.
            return _failed(arguments, UsageError(words()))
        return code
    return 0


def _failed(arguments: Sequence[str], error: LoadgenError) -> int:
    """The exit code of the error, which is also printed as JSON with `--json`."""
    options = itertools.takewhile(lambda word: word != "--", arguments)
    if JSON_FLAG in options and not printed():
        from loadgenctl.cli.print_data import print_json
        from loadgenctl.run.failure import failure_document

        try:
            print_json(failure_document(error))
            sys.stdout.flush()
        except (OutputLost, ReaderGone):
            # The exit code is that of the first error; standard error shows the rest.
            return error.exit_code
    return error.exit_code


def _show(error: LoadgenError) -> None:
    from rich.console import Console

    from loadgenctl.cli.console import show_error

    show_error(Console(stderr=True), error)
