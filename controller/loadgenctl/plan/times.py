"""Times for people: parsed (`90s`, `10m`, `1h30m`) and printed (`1 min 30 s`). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Unit = Literal["s", "min"]
"""The unit of a plain number."""

SECONDS: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
NAMES: Mapping[Unit, str] = {"s": "seconds", "min": "minutes"}
EXAMPLES = "90s, 10m or 1h30m"
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *(ms|min|[smhd])", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern} *)+", re.ASCII)
_LOAD_TIMES = ("interval", "wait")


def seconds_of(text: str) -> float | None:
    """The seconds of a time with units, such as `1h30m`; None for another text."""
    text = text.strip()
    if not _WHOLE.fullmatch(text):
        return None
    return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))


def in_unit(seconds: float, unit: Unit) -> float:
    """Convert seconds to an option's unit."""
    return seconds / SECONDS[unit]


def words(seconds: float) -> str:
    """`45 s`, `1 min 30 s`, `24 h`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else left, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def with_seconds(load: Mapping[str, Any]) -> dict[str, Any]:
    """The load config with times such as `2m` as seconds; other values are not changed."""
    return {task: _task_with_seconds(config) for task, config in load.items()}


def _task_with_seconds(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {name: _second(name, value) for name, value in config.items()}


def _second(name: str, value: Any) -> Any:
    if name not in _LOAD_TIMES or not isinstance(value, str):
        return value
    found = seconds_of(value)
    return value if found is None else found
