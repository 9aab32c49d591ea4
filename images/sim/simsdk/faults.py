"""Configured faults: kind, time and rate.

Pure: the caller that finds a fault due performs it.

Every kind may have `stage`: the fault happens only in that stage ($SIM_STAGE).
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TASKS = ("faucet", "amm", "vault")

_BLOCK = {"at_block": 0, "after_blocks": 0}
"""`at_block`: that height or the next one; `after_blocks`: since the start of the process."""

KINDS: Mapping[str, Mapping[str, Any]] = {
    "chain-crash": {**_BLOCK, "exit_code": 1},
    "chain-stall": {**_BLOCK, "seconds": 0.0},
    "consensus-failure": {**_BLOCK, "exit_code": -1},
    "slow-start": {"seconds": 5.0, "role": "chain"},
    "slow-restart": {"seconds": 5.0, "role": "chain"},
    "stop-crash": {"role": "chain", "exit_code": 139},
    "stop-hang": {"role": "chain", "seconds": 0.0},
    "memory-hog": {**_BLOCK, "mib": 256},
    "slog-torn": {**_BLOCK, "newline": True},
    "slog-huge": {**_BLOCK, "mib": 16},
    "slog-garbage": {**_BLOCK, "bytes": 4096},
    "slog-ends": {**_BLOCK},
    "slog-clock-back": {**_BLOCK, "seconds": 3600.0},
    "slog-clock-forward": {**_BLOCK, "seconds": 3600.0},
    "solo-never-ready": {},
    "solo-dies": {"after_txs": 1, "exit_code": 1},
    "provision-fails": {},
    "driver-hang": {"task": "any", "at_cycle": 1},
    "driver-exit": {"task": "any", "at_cycle": 1, "exit_code": 1},
    "driver-silent": {},
    "task-unavailable": {"task": "any"},
    "prepare-fails": {"task": "any"},
    "cycle-fails": {"task": "any", "every": 0, "rate": 0.0},
}
"""Kind → its options with their defaults, whose types are the options' types."""

ROLES = ("chain", "solo")


@dataclass(frozen=True)
class Fault:
    """One `[[fault]]` of the configuration, every option filled in."""

    kind: str
    options: Mapping[str, Any]
    stage: int | None = None

    def __getitem__(self, name: str) -> Any:
        """An option's value."""
        return self.options[name]


def parse_faults(entries: object) -> tuple[Fault, ...]:
    """Parse the `[[fault]]` tables. Raises `ValueError` with a message for the user."""
    if not isinstance(entries, list):
        raise ValueError("faults are written as [[fault]] tables")  # noqa: TRY004 - one error for the caller
    return tuple(_parse(number, entry) for number, entry in enumerate(entries, 1))


def _parse(number: int, entry: object) -> Fault:
    where = f"fault {number}"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table")  # noqa: TRY004
    kind = str(entry.get("kind"))
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, list(KINDS), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"kinds: {', '.join(KINDS)}"
        raise ValueError(f"{where}: unknown kind {kind!r}; {hint}")
    defaults = KINDS[kind]
    options = dict(defaults)
    stage: int | None = None
    for key, value in entry.items():
        if key == "kind":
            continue
        if key == "stage":
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{where} ({kind}): stage must be a whole number")
            stage = value
            continue
        if key not in defaults:
            near = difflib.get_close_matches(key, [*defaults, "stage"], n=1, cutoff=0.4)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"options: {', '.join([*defaults, 'stage'])}"
            )
            raise ValueError(f"{where} ({kind}): unknown key {key!r}; {hint}")
        options[key] = _option(f"{where} ({kind}): {key}", defaults[key], value)
    _complete(f"{where} ({kind})", options)
    return Fault(kind, options, stage)


def _option(where: str, default: object, value: object) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{where} must be true or false")  # noqa: TRY004
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(f"{where} must be a string")  # noqa: TRY004
        return value
    number = (int, float) if isinstance(default, float) else int
    if isinstance(value, bool) or not isinstance(value, number):
        kind = "number" if isinstance(default, float) else "whole number"
        raise ValueError(f"{where} must be a {kind}")  # noqa: TRY004
    return value


def _complete(where: str, options: Mapping[str, Any]) -> None:
    if "at_block" in options and options["at_block"] <= 0 and options["after_blocks"] <= 0:
        raise ValueError(f"{where} needs at_block or after_blocks")
    if options.get("task", "any") not in ("any", *TASKS):
        raise ValueError(f"{where}: task must be any, {', '.join(TASKS)}")
    if options.get("role", "chain") not in ROLES:
        raise ValueError(f"{where}: role must be one of {', '.join(ROLES)}")
    if not 0 <= options.get("rate", 0) <= 1:
        raise ValueError(f"{where}: rate must be between 0 and 1")


class FaultBook:
    """The faults of one process in one stage; block faults happen once per process."""

    def __init__(self, faults: Sequence[Fault], stage: int | None, seed: str) -> None:
        """`stage` is from $SIM_STAGE; without one, faults with a stage never happen."""
        self._faults = [fault for fault in faults if fault.stage is None or fault.stage == stage]
        self._spent: set[int] = set()
        self._seed = seed

    def at_block(self, height: int, since_start: int) -> list[Fault]:
        """Block faults due at this height; `since_start` counts this process's blocks from 1."""
        due = []
        for index, fault in enumerate(self._faults):
            if "at_block" not in fault.options or index in self._spent:
                continue
            after, at = fault["after_blocks"], fault["at_block"]
            if (after and since_start >= after) or (at and height >= at):
                self._spent.add(index)
                due.append(fault)
        return due

    def first(self, kind: str, **wanted: str) -> Fault | None:
        """The first fault of a kind whose options have these values; None if there is none."""
        for fault in self._faults:
            if fault.kind == kind and all(fault[name] == value for name, value in wanted.items()):
                return fault
        return None

    def delay(self, role: str, restarted: bool) -> float:
        """Delay of the role's start, in seconds."""
        kinds = ("slow-start", "slow-restart") if restarted else ("slow-start",)
        return sum(
            float(f["seconds"]) for f in self._faults if f.kind in kinds and f["role"] == role
        )

    def for_cycle(self, task: str, seq: int) -> Fault | None:
        """The fault of cycle `seq` of a task; the same for the same seed."""
        for fault in self._faults:
            if fault.options.get("task") not in ("any", task):
                continue
            if fault.kind in ("driver-hang", "driver-exit") and fault["at_cycle"] == seq:
                return fault
            if fault.kind == "cycle-fails" and self._fails(fault, task, seq):
                return fault
        return None

    def unavailable(self, task: str) -> bool:
        """True if the driver cannot run a task."""
        kind = "task-unavailable"
        return any(self.first(kind, task=which) is not None for which in (task, "any"))

    def for_prepare(self, task: str) -> Fault | None:
        """The fault of the preparation of a task."""
        return self.first("prepare-fails", task=task) or self.first("prepare-fails", task="any")

    def _fails(self, fault: Fault, task: str, seq: int) -> bool:
        every, rate = fault["every"], fault["rate"]
        if not every and not rate:
            return True
        if every and seq % every == 0:
            return True
        # The random value depends only on the cycle's number, not on earlier cycles.
        return bool(rate and random.Random(f"{self._seed}/{task}/{seq}").random() < rate)  # noqa: S311 - not a secret
