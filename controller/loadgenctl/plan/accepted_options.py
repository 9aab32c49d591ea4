"""Which options each command, and `--resume`, accepts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.arguments import parse
from loadgenctl.plan.lookup import find
from loadgenctl.plan.options import OPTIONS, WAITS
from loadgenctl.plan.settings import DEFAULT, Settings, merge

ROLE_TIMEOUTS = "timeout.*"
"""The time limits for roles to start."""
TIMEOUTS = (ROLE_TIMEOUTS, *(f"timeout.{wait}" for wait in WAITS))
"""All time limits."""
BUILD_KEYS = ("sdk", "revision", "sdk-repo", "src")
"""The options that say what is built, for the commands that only build."""
BY_HAND_KEYS = (
    *BUILD_KEYS,
    "client",
    "chain.compute-limit",
    "chain.snapshot-interval",
    "sim-config",
    "fail-fast",
    "limit.*.cpus",
    "limit.*.memory",
    "limit.*.pids",
    ROLE_TIMEOUTS,
)
"""The options that have a meaning for roles driven by hand."""
RESUME_KEYS = ("disk.needed", "disk.reserve", *TIMEOUTS)
"""The options that may be given with `--resume`: they do not change what is measured."""
ONE_RUN_KEYS = ("revision", "src", "output-dir")
"""The options of a single run; commands that make many runs set them themselves."""
UP_KEYS = (
    *BY_HAND_KEYS,
    "timeout.block",
    "timeout.cycle",
    "engine",
    "network",
    "port.*",
    "stage.loadgen.*",
    "chain-only",
    "reset",
    "monitor-interval",
    "sample-interval",
    "slog-codec",
    "output-dir",
    "state-dir",
    "keep-state",
    "disk.needed",
    "disk.reserve",
    "test-data.*",
)
"""The options for roles driven by hand with records and an initial load."""
KEYS_FOR: Mapping[str, tuple[str, ...]] = {
    "build": BUILD_KEYS,
    "by hand": BY_HAND_KEYS,
    "up": UP_KEYS,
    "many": tuple(option.key for option in OPTIONS if option.key not in ONE_RUN_KEYS),
}
"""Purpose → the options that it accepts."""


def check_build(args: Sequence[str]) -> None:
    """Refuse arguments that do not change what is built. Raises `UsageError`."""
    for origin in _others(args, BUILD_KEYS):
        known = ", ".join(f"--{key}" for key in BUILD_KEYS)
        raise UsageError(f"{origin} does not change what is built", hint=f"what does: {known}")


def check_by_hand(args: Sequence[str]) -> None:
    """Refuse arguments without a meaning for `compose`. Raises `UsageError`."""
    _check_by_hand(args, BY_HAND_KEYS, hint="see loadgenctl compose --help")


def check_up(args: Sequence[str]) -> None:
    """Refuse arguments without a meaning for `up`. Raises `UsageError`."""
    hint = "they run, with their ports published, until Ctrl-C; see loadgenctl up --help"
    _check_by_hand(args, UP_KEYS, hint=hint)


def check_initial_load(args: Sequence[str], settings: Settings) -> None:
    """Refuse an initial load that `up` cannot start. Raises `UsageError`."""
    typed = merge(args, {}, None, "").tree("stage.loadgen") or {}
    if "cycles" in typed:
        raise UsageError("roles driven by hand end by Ctrl-C, not after some cycles")
    if typed and settings.get("chain-only"):
        raise UsageError(
            f"{settings.origins['chain-only',]} leaves no load generator to configure",
            hint="drop it, or --stage.loadgen.*",
        )


def check_many(settings: Settings, *, hint: str) -> None:
    """Refuse options of a single run, also in the file or environment. Raises `UsageError`.

    `hint` says how the command sets them.
    """
    for path, origin in settings.origins.items():
        if ".".join(path) in ONE_RUN_KEYS and origin != DEFAULT:
            raise UsageError(
                f"{origin} sets the {path[0]} of one run, and here many are made", hint=hint
            )
    if settings.get("engine") == "local":
        raise UsageError(
            f"{settings.origins['engine',]}: revisions are built and run in containers here",
            hint="give --engine docker",
        )


def changes(args: Sequence[str]) -> dict[str, Any]:
    """The options given with `--resume`. Raises `UsageError` for one that changes the plan."""
    given: dict[str, Any] = {}
    for setting in parse(args):
        match = find(setting.path)
        if match is None or match.option.key not in RESUME_KEYS:
            may = ", ".join(f"--{key}" for key in RESUME_KEYS)
            raise UsageError(
                f"{setting.origin} cannot be given with --resume: a run continues as planned",
                hint=f"leave it out, or run again without --resume; accepted options: {may}",
            )
        given[".".join(setting.path)] = setting.value
    return given


def with_changes(plan: RunPlan, given: Mapping[str, Any]) -> RunPlan:
    """The plan with the options that `changes` returned."""
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


def _check_by_hand(args: Sequence[str], keys: Sequence[str], *, hint: str) -> None:
    for origin in _others(args, keys):
        raise UsageError(f"{origin} means nothing for roles that are driven by hand", hint=hint)


def _others(args: Sequence[str], keys: Sequence[str]) -> Iterator[str]:
    """The arguments that set options other than `keys`, as they were typed."""
    for setting in parse(args):
        match = find(setting.path)
        if match is None or match.option.key not in keys:
            yield setting.origin
