"""The plan of a run as its run.json has it, to go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.records.documents import decoded

ANEW = "run it anew"


def recorded_plan(document: Mapping[str, Any]) -> RunPlan:
    """The `plan` of a run.json. Raises `UsageError` for one that this version cannot execute."""
    if "plan" not in document:
        raise UsageError("its run.json tells no plan", hint=ANEW)
    try:
        return decoded(RunPlan, document["plan"], "plan")
    except ValueError as error:
        raise UsageError(f"its run.json cannot be read: {error}", hint=ANEW) from error
