"""`python -m tests.docs.commands [--check]`: writes docs/commands.md from the program.

With `--check` nothing is written, and the exit code is 1 if the page and the program differ.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from loadgenctl.cli.app import app
from loadgenctl.cli.parameters import OptionsCommand
from loadgenctl.cli.show_options import print_options

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
BEGIN: Final = "<!-- begin: made by bin/docs -->"
END: Final = "<!-- end: made by bin/docs -->"
WIDTH: Final = 100
RUN_OPTIONS: Final = "## Options of a run"


def commands(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Every command below a group, with its context; groups themselves are left out."""
    if not hasattr(command, "list_commands"):
        yield command, context
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        yield from commands(below, below.context_class(below, info_name=name, parent=context))


def page(text: str) -> str:
    """The page with what is between its marks replaced."""
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} lacks the lines {BEGIN} and {END}")
    root = typer.main.get_command(app)
    found = list(commands(root, root.context_class(root, info_name="loadgenctl")))
    table = ["| command | what it does |", "| --- | --- |"]
    for command, context in found:
        path = context.command_path
        table.append(f"| [`{path}`](#{path.replace(' ', '-')}) | {_paragraphs(command)[0]} |")
    sections = [part for each in found for part in section(*each)]
    made = "\n\n".join([BEGIN, "\n".join(table), *sections, run_options(), END])
    return f"{head}{made}{tail}"


def section(command: Any, context: Any) -> Iterator[str]:
    """The paragraphs about a command."""
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    yield f"## {context.command_path}"
    yield f"    {usage}"
    yield from (_wrapped(text) for text in _paragraphs(command))
    records = (
        param.get_help_record(context)
        for param in command.get_params(context)
        if param.name != "help"
    )
    options = [_wrapped(f"- `{name}`: {about}", "  ") for name, about in filter(None, records)]
    if options:
        yield "\n".join(options)
    if isinstance(command, OptionsCommand):
        yield _wrapped(_which_options(command))


def run_options() -> str:
    """The table that `loadgenctl run --help` ends with, as it is printed."""
    out = io.StringIO()
    # rich reads the width from there, and a docs line has no more.
    os.environ["COLUMNS"] = str(WIDTH)
    with contextlib.redirect_stdout(out):
        print_options()
    lines = "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip()
    return f"{RUN_OPTIONS}\n\n```text\n{lines}\n```"


def _which_options(command: OptionsCommand) -> str:
    link = f"[options of a run](#{RUN_OPTIONS.removeprefix('## ').lower().replace(' ', '-')})"
    if command.purpose is None:
        return f"It also takes the {link}."
    return f"It also takes those {link} that its `--help` shows."


def _paragraphs(command: Any) -> list[str]:
    return [" ".join(text.split()) for text in re.split(r"\n\s*\n", command.help.strip())]


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def main(words: Sequence[str]) -> int:
    """Write or check the page; the exit code."""
    text = PAGE.read_text("utf-8")
    made = page(text)
    if made == text:
        return 0
    if "--check" in words:
        sys.stdout.write("docs/commands.md differs from the program; run bin/docs\n")
        return 1
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
