"""The body of a PUT to the load service: its parser, and the scheduler that lives by it.

The controller's own rules must say the same of every text.
"""

from __future__ import annotations

import json
from typing import Any, Final

from images.loadgen.service.loadservice.config import ConfigError, config_as_json, parse_config
from images.loadgen.service.loadservice.scheduler import Scheduler
from tests.fuzz import mutate
from tests.fuzz.target import Target
from tests.hostile import corpus

from loadgenctl.errors import UsageError
from loadgenctl.roles.load_config import TASKS, validate_config

_STARTS: Final = 3


def one_input(data: bytes) -> None:
    """See `Target.one_input`; a `ConfigError` becomes a `UsageError`, as it does in a run."""
    try:
        config = parse_config(data, TASKS)
    except ConfigError as error:
        _require_refused(data)
        raise UsageError(str(error)) from error
    assert validate_config(json.loads(data)) == config_as_json(config)
    scheduler = Scheduler(list(TASKS))
    for task in scheduler.configure(config, 0.0):
        scheduler.prepared(task, True, 0.0)
    for _ in range(_STARTS):
        due = scheduler.next_due()
        if due is None:
            break
        for start in scheduler.advance(due)[:_STARTS]:
            scheduler.finished(start.task, True, due)
    json.dumps(scheduler.status())


def _require_refused(data: bytes) -> None:
    """The controller, too, refuses what is JSON at all (and no key is there twice)."""
    try:
        value: Any = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return
    if len(data) > 64 * 1024:
        return
    try:
        validate_config(value)
    except UsageError:
        return
    raise AssertionError(f"the controller takes what the load service refuses: {data!r}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def seeds() -> list[bytes]:
    """Hostile bodies, and plain ones."""
    plain = [
        b"{}",
        b'{"faucet":{"interval":60,"wait":0,"limit":10},"amm":null}',
        b'{"faucet":{"interval":1.5},"amm":{"wait":3,"limit":null},"vault":{}}',
    ]
    return plain + [
        text.encode("utf-8", "surrogatepass") for text in corpus("puts") if len(text) < 5000
    ]


TARGET: Final = Target(
    "loadconfig",
    "the load config endpoint",
    one_input,
    seeds,
    mutate.lines,
    ("images.loadgen.service", "loadgenctl.roles.load_config"),
)
