"""Groups of commands that start quickly."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class QuickGroup(TyperGroup):
    """A group whose subcommands show their help without what typer checks values with."""

    def get_help_option(self, ctx: Any) -> Any:
        """As ever, but off instead of unset: typer checks what is unset, and loads pydantic."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
