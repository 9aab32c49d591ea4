"""Groups of commands that start quickly, and whose help shows no type behind a switch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption


class QuickGroup(TyperGroup):
    """A group whose subcommands show their help without what typer checks values with."""

    def get_help_option(self, ctx: Any) -> Any:
        """As ever, but off instead of unset: typer checks what is unset, and loads pydantic."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def invoke(self, ctx: Any) -> Any:
        """The command; a value that it cannot take is refused in plain words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _in_plain_words(error.message)
            raise
        except BrokenPipeError as error:
            # typer would end with exit code 1 and print nothing.
            raise RuntimeError("a connection was closed by its other end") from error

    def get_params(self, ctx: Any) -> Any:
        """The group's own options."""
        return _plain_switches(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A subcommand by its name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _plain_switches(command.get_params(ctx))
        return command


_PHRASES = (
    (r"Input should be a valid integer.*", "it takes a whole number"),
    (r"Input should be a valid number.*", "it takes a number"),
    (r"Input should be greater than or equal to (\S+)", r"it must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"it must be at most \1"),
    (r"Value error, (.+)", r"\1"),
    (r"Input should be (.+)", r"it is one of \1"),
)
"""What pydantic says → what we say."""


def _in_plain_words(message: str) -> str:
    for pattern, words in _PHRASES:
        changed = re.sub(pattern, words, message)
        if changed != message:
            return changed
    return message


def _plain_switches(params: Iterable[Any]) -> Iterable[Any]:
    """Options that take no value are shown without `<bool>`, and are off instead of unset."""
    params = list(params)
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = param.metavar or ""
            param.default = param.default or False
    return params
