"""What a load config may say, to the load service and to the controller, which reads its rules."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from images.loadgen.service.loadservice.config import (
    MAX_LIMIT,
    MAX_SECONDS,
    ConfigError,
    check_config,
    config_as_json,
)

from loadgenctl.errors import UsageError
from loadgenctl.roles.load_config import TASKS, validate_config

HUGE = 10**400
GOOD: list[tuple[Any, dict[str, dict[str, float]]]] = [
    ({}, {}),
    ({"faucet": None}, {}),
    ({"faucet": {}}, {"faucet": {"interval": 60, "wait": 0, "limit": 1}}),
    (
        {"faucet": {"interval": None, "wait": None, "limit": None}},
        {"faucet": {"interval": 60, "wait": 0, "limit": 1}},
    ),
    (
        {"faucet": {"interval": 1.5, "wait": 0.25}},
        {"faucet": {"interval": 1.5, "wait": 0.25, "limit": 1}},
    ),
    (
        {"amm": {"interval": 5.0, "limit": 2.0}},
        {"amm": {"interval": 5, "wait": 0, "limit": 2}},
    ),
    (
        {"vault": {"interval": MAX_SECONDS, "wait": MAX_SECONDS, "limit": MAX_LIMIT}},
        {"vault": {"interval": MAX_SECONDS, "wait": MAX_SECONDS, "limit": MAX_LIMIT}},
    ),
    (
        {"vault": {"interval": 1}, "faucet": {"interval": 2}},
        {
            "faucet": {"interval": 2, "wait": 0, "limit": 1},
            "vault": {"interval": 1, "wait": 0, "limit": 1},
        },
    ),
]
_NO_OBJECTS: list[Any] = [60, "60", True, False, 0, "", [], [60]]
_NO_NUMBERS: list[Any] = ["5", "", True, [5], {}]
BAD: list[Any] = [
    *(None, [], 60, "faucet", True),
    *({"fauset": {}}, {"fauset": None}, {"": {}}, {"cycles": 5}),
    *({"faucet": value} for value in _NO_OBJECTS),
    {"faucet": {"intervall": 5}},
    {"faucet": {"intervall": None}},
    *(
        {"faucet": {"interval": value}}
        for value in (0, 0.999, -1, -HUGE, HUGE, MAX_SECONDS + 1, math.nan, math.inf, -math.inf)
    ),
    *({"faucet": {"interval": value}} for value in _NO_NUMBERS),
    *({"faucet": {"wait": value}} for value in (-1, -0.001, "0", False, math.nan, HUGE)),
    *(
        {"faucet": {"limit": value}}
        for value in (0, 0.5, 1.5, -1, "1", True, math.inf, MAX_LIMIT + 1, HUGE)
    ),
    {"faucet": {"interval": 5}, "amm": {"interval": 0}},
]


def service_s(config: Any) -> dict[str, dict[str, int | float]] | None:
    try:
        return config_as_json(check_config(config, TASKS))
    except ConfigError:
        return None


def controller_s(config: Any) -> dict[str, dict[str, int | float]] | None:
    try:
        return validate_config(config)
    except UsageError:
        return None


@pytest.mark.parametrize(("config", "normal"), GOOD)
def test_both_take_it_and_mean_the_same(config: Any, normal: object) -> None:
    taken = json.dumps(normal)
    assert json.dumps(service_s(config)) == taken
    assert json.dumps(controller_s(config)) == taken
    assert json.dumps(service_s(json.loads(taken))) == taken


@pytest.mark.parametrize("config", BAD, ids=lambda config: repr(config)[:50])
def test_both_refuse_it(config: Any) -> None:
    assert service_s(config) is None
    assert controller_s(config) is None


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"fauset": {}}, "did you mean 'faucet'?"),
        ({"faucet": {"limits": 2}}, "did you mean 'limit'?"),
        ({"xyz": {}}, "known are faucet, amm, vault"),
        ({"amm": 60}, 'write e.g. {"amm": {"interval": 60}}'),
        (60, 'write e.g. {"faucet": {"interval": 60}}'),
    ],
)
def test_the_controller_says_what_to_write_instead(config: object, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate_config(config)
    assert caught.value.hint == hint
