"""Checks of a plan against what the planner does not know: folders, files, rules of loads.

Whatever inspects the machine or belongs to another package is passed as a function. Only
`check_files` reads files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.settings import Settings, load_toml
from loadgenctl.plan.times import with_seconds

MAX_BOOTSTRAP: Final = 64 * 1024 * 1024
"""Bytes of a bootstrap configuration."""
NO_LOAD: Final = (
    "no stage runs the load; the first and the last one run the chain alone unless they have a load"
    " config, e.g. --stage.0.loadgen.faucet.interval"
)


def placed(
    plan: RunPlan, *, is_blank: Callable[[Path], bool], installed: Callable[[], Path]
) -> RunPlan:
    """The plan with its `source_dir` and `checkout` decided. Raises `UsageError`.

    `is_blank`: whether a folder is to be filled. `installed` finds the SDK of this machine.
    """
    if plan.source_dir is not None and is_blank(plan.source_dir):
        return replace(plan, checkout=True)
    if plan.source_dir is not None and plan.repository is not None:
        raise UsageError(
            "--src and --sdk-repo exclude each other",
            hint="what is in the folder is used as it is; only an empty one is filled",
        )
    if plan.engine != "local" or plan.sdk != "agoric" or plan.source_dir is not None:
        return plan
    return replace(plan, source_dir=installed())


def check_files(plan: RunPlan) -> None:
    """Read the files that the plan names. Raises `UsageError`."""
    if plan.sim_config is not None:
        load_toml(plan.sim_config, hint="--sim-config names a TOML file, see docs/simulated-sdk.md")
    if plan.bootstrap is not None:
        hint = "--custom-bootstrap names a bootstrap configuration, which is JSON"
        try:
            with plan.bootstrap.open("rb") as stream:
                content = stream.read(MAX_BOOTSTRAP + 1)
            if len(content) <= MAX_BOOTSTRAP:
                json.loads(content)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{plan.bootstrap} cannot be used: {error}", hint=hint) from error
        if len(content) > MAX_BOOTSTRAP:
            size = f"{MAX_BOOTSTRAP >> 20} MiB"
            raise UsageError(f"{plan.bootstrap} is larger than {size}", hint=hint)


def check_load(
    plan: RunPlan, settings: Settings, validate: Callable[[object], object]
) -> str | None:
    """Check the loads of a run's stages, and the shared one; return a warning, if there is one.

    `validate` raises `UsageError` for an invalid load config.
    """
    shared = with_seconds(settings.tree("stage.loadgen") or {})
    shared.pop("cycles", None)
    for load in (shared, *(stage.load or {} for stage in plan.stages)):
        validate(load)
    wanted = bool(shared) and not settings.get("chain-only")
    return NO_LOAD if wanted and all(stage.chain_only for stage in plan.stages) else None
