"""The rules of a load config.

They are the service's own (images/loadgen/service); they stand here as well so that a bad config is
refused before anything is started. A contract test holds the two together.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

from loadgenctl.errors import UsageError

TASKS = ("faucet", "amm", "vault")
"""What the drivers of all SDK families can run."""
MAX_SECONDS = 30 * 24 * 3600
MAX_LIMIT = 10_000

_KEYS = ("interval", "wait", "limit")
_DEFAULTS: Mapping[str, int] = {"interval": 60, "wait": 0, "limit": 1}

Number = int | float


def validate_config(config: object, tasks: Sequence[str] = TASKS) -> dict[str, dict[str, Number]]:
    """The config with every default applied, tasks that are off left out, in the order of `tasks`.

    Raises `UsageError`, with the nearest known name for an unknown one.
    """
    if not isinstance(config, Mapping):
        raise UsageError(
            "the load config must be an object", hint='write e.g. {"faucet": {"interval": 60}}'
        )
    for name in config:
        if name not in tasks:
            raise UsageError(f"the load has no task {name!r}", hint=_nearest(name, tasks))
    return {
        name: _validate_task(name, config[name]) for name in tasks if config.get(name) is not None
    }


def _validate_task(task: str, settings: object) -> dict[str, Number]:
    if not isinstance(settings, Mapping):
        raise UsageError(
            f"the load of {task} must be an object, or null for off",
            hint=f'write e.g. {{"{task}": {{"interval": 60}}}}',
        )
    for key in settings:
        if key not in _KEYS:
            raise UsageError(f"{task} has no setting {key!r}", hint=_nearest(key, _KEYS))
    given = {key: _DEFAULTS[key] if settings.get(key) is None else settings[key] for key in _KEYS}
    return {
        "interval": _number(f"{task}.interval", given["interval"], 1, MAX_SECONDS, "seconds"),
        "wait": _number(f"{task}.wait", given["wait"], 0, MAX_SECONDS, "seconds"),
        "limit": _whole(f"{task}.limit", given["limit"]),
    }


def _number(name: str, value: object, least: int, most: int, unit: str) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name} must be a number of {unit}")
    if not isinstance(value, int) and not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number of {unit}")
    if not least <= value <= most:
        raise UsageError(f"{name} must be from {least} to {most} {unit}")
    return int(value) if value == int(value) else value


def _whole(name: str, value: object) -> int:
    number = _number(name, value, 1, MAX_LIMIT, "cycles")
    if not isinstance(number, int):
        raise UsageError(f"{name} must be a whole number of cycles")
    return number


def _nearest(word: object, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
