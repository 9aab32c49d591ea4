"""What the commands share: groups and commands that show plain help, and parameters.

This module is imported at every start: it imports typer and little else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from loadgenctl.errors import UnknownOption

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="File with options and site settings. Default: ./loadgenctl.toml, if it exists.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print warnings only, no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a JUnit report to FILE, whatever the outcome."),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write a Markdown page to FILE. With -, print it instead of the tables.",
    ),
]
Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN",
        help="Results folders, names below results/, or run ids. Default: the last run.",
    ),
]
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}
"""For commands that take a run's options: they read them from `ctx.args`, typer does not."""


class QuickGroup(TyperGroup):
    """A group whose help loads nothing heavy, and shows no types of Python."""

    def get_help_option(self, ctx: Any) -> Any:
        """Set the default to off: typer validates an unset value, and loads pydantic for it."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def invoke(self, ctx: Any) -> Any:
        """Run the command; reword the message for a value that it does not accept."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _in_plain_words(error.message)
            raise
        except BrokenPipeError as error:
            # typer would exit with code 1 and print nothing.
            raise RuntimeError("a connection was closed by its other end") from error

    def get_params(self, ctx: Any) -> Any:
        """The group's own options."""
        return _plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A subcommand by its name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _plain(command.get_params(ctx))
        return command


class OptionsCommand(TyperCommand):
    """A command that takes a run's options, which typer does not know.

    They are part of its help, of its shell completion, and of the names suggested for a typo.
    """

    purpose: ClassVar[str | None] = None
    """A key of `plan.accepted_options.KEYS_FOR`: the options that a command accepts; None: all."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then the table of options."""
        from loadgenctl.cli.show_options import print_options

        super().format_help(ctx, formatter)
        print_options(self.purpose)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The command's own options, and a run's."""
        from typer._click.shell_completion import CompletionItem

        from loadgenctl.cli.show_options import complete_option

        words = complete_option(ctx.args, incomplete, self.purpose)
        found = [CompletionItem(word, help=about) for word, about in words]
        return [*super().shell_complete(ctx, incomplete), *found]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; for an unknown option, suggest the nearest of all known names."""
        try:
            return super().invoke(ctx)
        except UnknownOption as error:
            from loadgenctl.plan.arguments import unknown
            from loadgenctl.plan.lookup import names

            own = [
                flag[2:] for param in self.get_params(ctx) for flag in param.opts if "--" in flag
            ]
            # All of a run's options, also those that this command refuses: the refusal says why.
            raise unknown(error.name, known=[*own, *names()], command=ctx.command_path) from error


class BuildCommand(OptionsCommand):
    """Takes the options that say what is built."""

    purpose = "build"


_PHRASES = (
    (r"Input should be a valid integer.*", "it takes a whole number"),
    (r"Input should be a valid number.*", "it takes a number"),
    (r"Input should be greater than or equal to (\S+)", r"it must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"it must be at most \1"),
    (r"Value error, (.+)", r"\1"),
    (r"Input should be (.+)", r"it is one of \1"),
)
"""pydantic's message → ours."""


def _in_plain_words(message: str) -> str:
    for pattern, words in _PHRASES:
        changed = re.sub(pattern, words, message)
        if changed != message:
            return changed
    return message


def _no_type(**_: object) -> None:
    """In place of a method that returns an argument's type for the help."""


def _plain(params: Iterable[Any]) -> Iterable[Any]:
    """The parameters: types are not shown (`<bool>`, `<list[Path]>`), switches are not unset."""
    params = list(params)
    for param in params:
        if isinstance(param, TyperArgument):
            setattr(param, "display_type_rich", _no_type)  # noqa: B010 - typer has no option for it
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = param.metavar or ""
            param.default = param.default or False
    return params
