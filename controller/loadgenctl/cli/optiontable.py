"""The table of a run's options, for the help."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.table import Table

from loadgenctl.plan.options import OPTIONS, Option
from loadgenctl.plan.purposes import KEYS_FOR


def print_options(purpose: str | None = None) -> None:
    """Every option with its default, by group; with a purpose of `KEYS_FOR`, those it knows."""
    console = Console()
    shown = [option for option in OPTIONS if purpose is None or option.key in KEYS_FOR[purpose]]
    for group, options in groupby(shown, key=lambda option: option.group):
        table = Table(title=group, title_justify="left", box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for option in options:
            table.add_row(f"  {_flag(option)}", _about(option))
        console.print(table)
        console.print()


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
    return f"{option.help} [dim](default {default})[/dim]"
