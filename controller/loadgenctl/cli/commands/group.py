"""Groups of commands that start quickly."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class QuickGroup(TyperGroup):
    """A group whose subcommands show their help without what typer checks values with."""

    def invoke(self, ctx: Any) -> Any:
        """As ever, but typer would end on this error with exit code 1 and without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise RuntimeError("a connection was closed by its other end") from error

    def get_help_option(self, ctx: Any) -> Any:
        """As ever, but off instead of unset: typer checks what is unset, and loads pydantic."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
