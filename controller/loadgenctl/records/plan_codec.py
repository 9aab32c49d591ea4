"""The plan of a run in its run.json, written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.records.json_documents import decoded

RUN_AGAIN = "run it again without --resume"
_KEYS = {
    "duration_s": "duration",
    "monitor_interval_s": "monitor_interval",
    "light_interval_s": "light_interval",
    "timeouts_s": "timeouts",
}
"""Attribute of a plan or stage → its key in run.json, where it is not the same."""
_ATTRIBUTES = {key: name for name, key in _KEYS.items()}


def plan_document(plan: RunPlan) -> dict[str, Any]:
    """The plan with the keys of run.json."""
    document: dict[str, Any] = _renamed(asdict(plan), _KEYS)
    return document | {"stages": [_renamed(stage, _KEYS) for stage in document["stages"]]}


def recorded_plan(document: Mapping[str, Any]) -> RunPlan:
    """The `plan` of a run.json. Raises `UsageError` for one that this version cannot execute."""
    if "plan" not in document:
        raise UsageError("its run.json has no plan", hint=RUN_AGAIN)
    plan = _renamed(document["plan"], _ATTRIBUTES)
    if isinstance(plan, dict) and isinstance(plan.get("stages"), list):
        plan["stages"] = [_renamed(stage, _ATTRIBUTES) for stage in plan["stages"]]
    try:
        return decoded(RunPlan, plan, "plan")
    except ValueError as error:
        raise UsageError(f"its run.json cannot be read: {error}", hint=RUN_AGAIN) from error


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): item for key, item in value.items()}
