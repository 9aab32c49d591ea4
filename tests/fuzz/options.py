"""Options of a run: words of a command line, divided by NUL, to a plan and to what is shown."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Final

from tests.fuzz import mutate
from tests.fuzz.target import Target, require_harmless
from tests.hostile import corpus

from loadgenctl.cli.dryrun import print_plan
from loadgenctl.cli.show_options import show_options
from loadgenctl.plan.options import OPTIONS
from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import merge
from loadgenctl.roles.load_config import validate_config

_HERE: Final = Path("/nowhere")
_VALUES: Final = ("1", "0", "true", "x", "{}", "[]", '{"faucet":{"interval":5}}', "a.b", "--", "-")


def one_input(data: bytes) -> None:
    """See `Target.one_input`."""
    words = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")]
    settings = merge(words, {}, None, "")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        for as_json in (False, True):
            show_options(settings, as_json=as_json)
        plan = make_plan(settings, now=0.0, cwd=_HERE)
        for stage in plan.stages:
            validate_config(stage.load or {})
        for as_json in (False, True):
            print_plan(plan, as_json=as_json)
    require_harmless(shown.getvalue())


def seeds() -> list[bytes]:
    """Hostile words, and every option with a value."""
    hostile = [words for words in corpus("options") if sum(map(len, words)) < 2000]
    plain = [
        [f"--{option.key.replace('*', '1')}", value] for option in OPTIONS for value in _VALUES[:2]
    ]
    sane = ["--stages", "3", "--stage.duration", "10", "--stage.loadgen.faucet.interval", "10"]
    return [_joined(words) for words in [sane, *hostile, *plain]]


def _joined(words: list[str]) -> bytes:
    return "\0".join(words).encode("utf-8", "replace")


_POOL: Final = (
    *(f"--{option.key.replace('*', part)}" for option in OPTIONS for part in ("1", "chain")),
    *(f"--no-{option.key}" for option in OPTIONS if "*" not in option.key),
    *_VALUES,
    *(odd for odd in mutate.ODD if len(odd) < 100),
)


def _mutate(data: bytes, seed: int) -> bytes:
    return mutate.words(data, seed, _POOL)


TARGET: Final = Target(
    "options", "the option parser", one_input, seeds, _mutate, ("loadgenctl.plan", "loadgenctl.cli")
)
