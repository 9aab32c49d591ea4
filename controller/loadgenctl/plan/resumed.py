"""What may be said of a run's plan when the run is gone on with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.arguments import parse
from loadgenctl.plan.lookup import find
from loadgenctl.plan.purposes import RESUME_KEYS


def changes(args: Sequence[str]) -> dict[str, Any]:
    """What was given beside `--resume`, by option. Raises `UsageError` unless it may be."""
    given: dict[str, Any] = {}
    for setting in parse(args):
        match = find(setting.path)
        if match is None or match.option.key not in RESUME_KEYS:
            may = ", ".join(f"--{key}" for key in RESUME_KEYS)
            raise UsageError(
                f"{setting.origin} cannot be given beside --resume: a run goes on as planned",
                hint=f"leave it out, or run anew without --resume; what may be given: {may}",
            )
        given[".".join(setting.path)] = setting.value
    return given


def with_changes(plan: RunPlan, given: Mapping[str, Any]) -> RunPlan:
    """The plan with what `changes` let through."""
    waits = {
        key.removeprefix("timeout."): float(value)
        for key, value in given.items()
        if key.startswith("timeout.")
    }
    return replace(
        plan,
        timeouts_s={**plan.timeouts_s, **waits},
        disk_needed=given.get("disk.needed", plan.disk_needed),
        disk_reserve=given.get("disk.reserve", plan.disk_reserve),
    )
