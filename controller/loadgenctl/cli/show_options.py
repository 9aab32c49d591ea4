"""A run's options for a person: `loadgenctl options`, the table in the help, shell completion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from loadgenctl.cli.parameters import Config, Json

if TYPE_CHECKING:
    from loadgenctl.plan.options import Option
    from loadgenctl.plan.settings import Row, Settings

_STAGE = re.compile(r"--stage\.(\d+)\.")
_LONGEST = 60
"""Characters of a help text beside a completed word."""


def options_command(ctx: typer.Context, json_output: Json = False, config: Config = None) -> None:
    """Show the merged options of a run, and where each value comes from.

    Defaults, options file, environment, command line: later sources override earlier ones.
    """
    from loadgenctl.cli.merged_options import read

    show_options(read(ctx.args, config).settings, as_json=json_output)


def show_options(settings: Settings, *, as_json: bool) -> None:
    """Print every option that has a value, in the order of the help."""
    from rich.text import Text

    from loadgenctl.cli.print_data import print_json, print_table
    from loadgenctl.formatting import harmless
    from loadgenctl.plan.settings import rows

    found = rows(settings)
    if as_json:
        names = ("option", "value", "source", "from")
        cells = [(row.key, _plain(row), row.source, row.origin) for row in found]
        print_json([dict(zip(names, values, strict=True)) for values in cells])
        return
    shown = []
    for row in found:
        value = _plain(row)
        text = value if isinstance(value, str) else json.dumps(value)
        named = row.source in {"default", "file"}
        where = row.origin if named else f"{row.source} ({row.origin})"
        style = "dim" if row.source == "default" else ""
        shown.append([Text(harmless(cell), style) for cell in (row.key, text, where)])
    print_table(("option", "value", "from"), shown)


def _plain(row: Row) -> object:
    from loadgenctl.sources.giturl import without_credentials

    if isinstance(row.value, Path):
        return str(row.value)
    return without_credentials(row.value) if row.key == "sdk-repo" else row.value


def print_options(purpose: str | None = None) -> None:
    """Print the options with their defaults, by group.

    `purpose` is a key of `KEYS_FOR`, for the options that it names; None: all.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for group, options in groupby(_known(purpose), key=lambda option: option.group):
        table = Table(title=group, title_justify="left", box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for option in options:
            table.add_row(f"  {_flag(option)}", _about(option))
        console.print(table)
        console.print()


def _known(purpose: str | None) -> list[Option]:
    from loadgenctl.plan.options import OPTIONS

    if purpose is None:
        return list(OPTIONS)
    from loadgenctl.plan.accepted_options import KEYS_FOR

    return [option for option in OPTIONS if option.key in KEYS_FOR[purpose]]


def _flag(option: Option) -> str:
    key = option.key
    if key.startswith("stage.*."):
        key = key.replace("*", "N", 1)
    elif ".*" in key and option.kind != "tree":
        key = key.replace("*", "ROLE", 1)
    if option.unit is not None:
        return f"--{key} TIME"
    kinds = {"bool": "", "int": " N", "number": " X", "bytes": " SIZE", "path": " PATH"}
    if option.kind == "text":
        return f"--{key} {'|'.join(option.choices) or 'TEXT'}"
    return f"--{key}{kinds.get(option.kind, ' VALUE')}"


def _about(option: Option) -> str:
    if option.default is None or (option.kind == "bool" and not option.default):
        return option.help
    default = "on" if option.default is True else option.default
    if option.kind == "bytes":
        default = f"{option.default / 1024**2:g} MiB"
    return f"{option.help} [dim]Default: {default}.[/dim]"


def complete_option(
    args: Sequence[str], incomplete: str, purpose: str | None = None
) -> list[tuple[str, str]]:
    """The words that a shell may complete `incomplete` to, each with its help.

    `args` are the words before it; `purpose` is as for `print_options`.
    """
    if not incomplete.startswith("-"):
        found = _values(args)
    else:
        typed = _STAGE.match(incomplete)
        found = _names(purpose, stage=typed[1] if typed else "1")
    return [(word, _short(about)) for word, about in found if word.startswith(incomplete)]


def _short(about: str) -> str:
    """The first sentence, on the one line that a shell shows beside a word."""
    head = about.partition(". ")[0]
    return head if len(head) <= _LONGEST else f"{head[: _LONGEST - 1].rstrip()}…"


def _values(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The values of the option that is the last of `args`."""
    from loadgenctl.errors import UsageError
    from loadgenctl.plan.arguments import canonical
    from loadgenctl.plan.lookup import find

    if not args or not args[-1].startswith("--"):
        return
    try:
        match = find(canonical(args[-1][2:]))
    except UsageError:
        return
    if match is not None:
        for choice in match.option.choices:
            yield choice, ""


def _names(purpose: str | None, *, stage: str) -> Iterator[tuple[str, str]]:
    from loadgenctl.plan.lookup import names_of

    for option in _known(purpose):
        for pattern in names_of(option):
            name = pattern.replace(".N.", f".{stage}.")
            yield f"--{name.removesuffix('*')}", option.help
            if option.kind == "bool" and option.default:
                yield f"--no-{name}", option.help
