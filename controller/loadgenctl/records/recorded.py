"""The plan of a run as its run.json has it, to go on with it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan

ANEW = "run it anew"
_NONE = type(None)


def recorded_plan(document: Mapping[str, Any]) -> RunPlan:
    """The `plan` of a run.json. Raises `UsageError` for one that this version cannot execute."""
    if "plan" not in document:
        raise UsageError("its run.json tells no plan", hint=ANEW)
    try:
        plan = _decode(RunPlan, document["plan"], "plan")
    except ValueError as error:
        raise UsageError(f"its run.json cannot be read: {error}", hint=ANEW) from error
    assert isinstance(plan, RunPlan)
    return plan


def _decode(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as the type that `hint` says. Raises `ValueError` for another one."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in args if each is not _NONE)
        return None if value is None else _decode(inner, value, where)
    if origin is Literal and value in args:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(args[0], item, f"{where}.{n}") for n, item in enumerate(value))
    if isinstance(value, dict) and is_dataclass(hint):
        return _object(hint, value, where)
    if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _decode(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise ValueError(f"{where} is {value!r:.60}")


def _object(kind: Any, document: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(document.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{where}.{unknown[0]} is of another version")
    for field in fields(kind):
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and field.name not in document:
            raise ValueError(f"{where}.{field.name} is missing")
    return kind(
        **{name: _decode(hints[name], value, f"{where}.{name}") for name, value in document.items()}
    )
