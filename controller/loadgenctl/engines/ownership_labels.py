"""The owner of a container, network or volume, as labels on it; removal of what dead runs left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadgenctl.engines.base import Engine, Leftover
from loadgenctl.errors import EngineError
from loadgenctl.owner import Owner, StartOf

NAMESPACE = "io.loadgenctl"
RUN = f"{NAMESPACE}.run"
ROLE = f"{NAMESPACE}.role"
OWNER_PID = f"{NAMESPACE}.owner.pid"
OWNER_START = f"{NAMESPACE}.owner.start"
HOST = f"{NAMESPACE}.host"
RESULTS = f"{NAMESPACE}.results"
"""The run's results folder, by its absolute path."""

_LONGEST_PID = 10
"""Digits; labels are not trusted, and Python refuses to parse numbers with thousands of digits."""
_SWEEP_ORDER = {"container": 0, "network": 1, "volume": 2}


def make(owner: Owner, run: str, role: str, results: Path | None = None) -> dict[str, str]:
    """The labels of something that `owner` creates for a run, which may have a results folder."""
    made = {
        RUN: run,
        ROLE: role,
        OWNER_PID: str(owner.pid),
        OWNER_START: owner.start,
        HOST: owner.host,
    }
    return made if results is None else made | {RESULTS: str(results)}


def owner_of(labels: Mapping[str, str]) -> Owner | None:
    """The owner that the labels name; None if they are missing or incomplete."""
    pid, start = labels.get(OWNER_PID, ""), labels.get(OWNER_START, "")
    host = labels.get(HOST, "")
    if not (pid.isascii() and pid.isdecimal() and len(pid) <= _LONGEST_PID and start and host):
        return None
    return Owner(int(pid), start, host)


def owned_by_dead_process(
    labels: Mapping[str, str], *, host: str | None = None, start_of: StartOf | None = None
) -> bool:
    """True if the labels name an owner on this host that is dead.

    Without an owner (a cache that outlives runs), or with one on another host, the result is False:
    it cannot be determined here.
    """
    owner = owner_of(labels)
    return owner is not None and owner.alive(host=host, start_of=start_of) is False


def left_by_the_dead(
    engine: Engine, *, host: str | None = None, start_of: StartOf | None = None
) -> list[Leftover]:
    """What dead owners of this host left on the engine, in the order in which it can be removed:
    networks and volumes cannot be removed while a container uses them.
    """
    dead = (
        item
        for item in engine.leftovers()
        if owned_by_dead_process(item.labels, host=host, start_of=start_of)
    )
    return sorted(dead, key=lambda item: _SWEEP_ORDER.get(item.kind, len(_SWEEP_ORDER)))


def remove(engine: Engine, items: Sequence[Leftover]) -> tuple[list[Leftover], EngineError | None]:
    """Remove them one by one; return what was removed, and the first error. An error does not stop
    the rest.
    """
    removed: list[Leftover] = []
    failure: EngineError | None = None
    for item in items:
        try:
            engine.remove_leftover(item)
        except EngineError as error:
            failure = failure or error
        else:
            removed.append(item)
    return removed, failure
