"""Groups of commands that start quickly, and whose help shows no type behind a switch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer.core import TyperGroup, TyperOption


class QuickGroup(TyperGroup):
    """A group whose subcommands show their help without what typer checks values with."""

    def get_help_option(self, ctx: Any) -> Any:
        """As ever, but off instead of unset: typer checks what is unset, and loads pydantic."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def get_params(self, ctx: Any) -> Any:
        """The group's own options."""
        return _plain_switches(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A subcommand by its name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _plain_switches(command.get_params(ctx))
        return command


def _plain_switches(params: Iterable[Any]) -> Iterable[Any]:
    """Options that take no value are shown without `<bool>`, and are off instead of unset."""
    params = list(params)
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = param.metavar or ""
            param.default = param.default or False
    return params
