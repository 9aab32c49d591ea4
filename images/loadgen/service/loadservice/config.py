"""What a load config may say, and how it is refused.

`{"faucet": {"interval": 60, "wait": 0, "limit": 1}, "amm": null}`: null or missing is off.
The controller reads this file, too (`loadgenctl.roles.load_config`), to refuse a config before
anything starts. So it imports nothing of this package.
"""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple, Union

MAX_BODY = 64 * 1024
"""Bytes of a config's JSON text."""
MAX_SECONDS = 30 * 24 * 3600
"""Upper bound of `interval` and `wait`: thirty days."""
MAX_LIMIT = 10_000
"""Upper bound of cycles in flight per task."""

_KEYS = ("interval", "wait", "limit")

Number = Union[int, float]


class ConfigError(ValueError):
    """A refused config."""

    def __init__(self, message: str, hint: Optional[str] = None) -> None:
        """`hint` says what to write instead."""
        super().__init__("%s; %s" % (message, hint) if hint else message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class TaskConfig:
    """One task that is on."""

    interval: Number = 60
    """Seconds between the due times of two starts, at least 1."""
    wait: Number = 0
    """Seconds before the first start."""
    limit: int = 1
    """Cycles in flight at most."""

    def as_json(self) -> Dict[str, Number]:
        """With every default applied."""
        return {"interval": self.interval, "wait": self.wait, "limit": self.limit}


Config = Mapping[str, TaskConfig]


def config_as_json(config: Config) -> Dict[str, Dict[str, Number]]:
    """The form that `GET /config` answers with."""
    return {name: task.as_json() for name, task in config.items()}


def parse_config(
    body: bytes, tasks: Sequence[str], unavailable: Optional[Mapping[str, str]] = None
) -> Dict[str, TaskConfig]:
    """A config from JSON text; `ConfigError` says why not. `unavailable` as in `check_config`."""
    if len(body) > MAX_BODY:
        raise ConfigError("the config is larger than %d bytes" % MAX_BODY)
    try:
        value = json.loads(
            body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates
        )
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError("the config is not valid JSON: %s" % error) from error
    return check_config(value, tasks, unavailable)


def check_config(
    value: Any, tasks: Sequence[str], unavailable: Optional[Mapping[str, str]] = None
) -> Dict[str, TaskConfig]:
    """A config from parsed JSON: the tasks that are on, in the order of `tasks`.

    `unavailable`: task that the driver knows and cannot run here -> why.
    """
    if not isinstance(value, Mapping):
        raise ConfigError("the load config must be an object, not " + _kind(value), _example())
    for name in value:
        if name in (unavailable or {}) and name not in tasks:
            if value[name] is None:
                continue
            raise ConfigError(
                "the task %s cannot run here: %s" % (_quoted(name), (unavailable or {})[name]),
                "offered are " + (", ".join(tasks) or "none"),
            )
        if name not in tasks:
            raise ConfigError("there is no task " + _quoted(name), _nearest(name, tasks))
    return {name: _check_task(name, value[name]) for name in tasks if value.get(name) is not None}


def _check_task(name: str, value: Any) -> TaskConfig:
    if not isinstance(value, Mapping):
        what = "the load of %s must be an object, or null for off, not %s" % (name, _kind(value))
        raise ConfigError(what, _example(name))
    for key in value:
        if key not in _KEYS:
            raise ConfigError("%s has no setting %s" % (name, _quoted(key)), _nearest(key, _KEYS))
    given = {key: value[key] for key in _KEYS if value.get(key) is not None}
    return TaskConfig(
        interval=_number(name + ".interval", given.get("interval", 60), 1, MAX_SECONDS, "seconds"),
        wait=_number(name + ".wait", given.get("wait", 0), 0, MAX_SECONDS, "seconds"),
        limit=_whole(name + ".limit", given.get("limit", 1)),
    )


def _number(name: str, value: Any, least: int, most: int, unit: str) -> Number:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError("%s must be a number of %s, not %s" % (name, unit, _kind(value)))
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError("%s must be a finite number of %s" % (name, unit))
    if not least <= value <= most:
        raise ConfigError("%s must be at least %d and at most %d %s" % (name, least, most, unit))
    return int(value) if value == int(value) else value


def _whole(name: str, value: Any) -> int:
    number = _number(name, value, 1, MAX_LIMIT, "cycles")
    if not isinstance(number, int):
        raise ConfigError("%s must be a whole number of cycles" % name)
    return number


def _nearest(word: Any, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word)[:64], known, n=1, cutoff=0.5)
    return "did you mean '%s'?" % close[0] if close else "known are %s" % ", ".join(known)


def _example(task: str = "faucet") -> str:
    return 'write e.g. {"%s": {"interval": 60}}' % task


def _quoted(word: Any) -> str:
    text = str(word)
    return "'%s'" % (text if len(text) <= 64 else text[:64] + "…")


def _kind(value: Any) -> str:
    names: List[Tuple[type, str]] = [
        (bool, "a boolean"),
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "an object"),
    ]
    return next((text for kind, text in names if isinstance(value, kind)), "null")


def _no_constant(text: str) -> NoReturn:
    raise ConfigError("the config is not valid JSON: %s is not a number" % text)


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError("%s is given twice" % _quoted(key))
        found[key] = value
    return found
