"""What a shell may complete of a run's options, which typer does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from loadgenctl.errors import UsageError
from loadgenctl.plan.arguments import canonical
from loadgenctl.plan.lookup import find, names_of
from loadgenctl.plan.options import OPTIONS
from loadgenctl.plan.purposes import KEYS_FOR

_STAGE = re.compile(r"--stage\.(\d+)\.")
_LONGEST = 60
"""Characters of a help text beside a word."""


def complete_option(
    args: Sequence[str], incomplete: str, purpose: str | None = None
) -> list[tuple[str, str]]:
    """Words that `incomplete` may become, each with its help.

    `args` are the words before; `purpose` is one of `KEYS_FOR`, for the options that it knows.
    """
    if not incomplete.startswith("-"):
        found = _values(args)
    else:
        typed = _STAGE.match(incomplete)
        found = _names(purpose, stage=typed[1] if typed else "1")
    return [(word, _short(about)) for word, about in found if word.startswith(incomplete)]


def _short(about: str) -> str:
    """One line: shells show it beside the word."""
    head = about.partition(";")[0]
    return head if len(head) <= _LONGEST else f"{head[: _LONGEST - 1].rstrip()}…"


def _values(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The values of the option that the last word names."""
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
    for option in OPTIONS:
        if purpose is not None and option.key not in KEYS_FOR[purpose]:
            continue
        for pattern in names_of(option):
            name = pattern.replace(".N.", f".{stage}.")
            yield f"--{name.removesuffix('*')}", option.help
            if option.kind == "bool" and option.default:
                yield f"--no-{name}", option.help
