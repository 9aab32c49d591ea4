"""Who owns a container, network or volume, as labels on it; the sweep of what dead runs left."""

from __future__ import annotations

from collections.abc import Mapping

from loadgenctl.engines.base import Engine, Leftover
from loadgenctl.errors import EngineError
from loadgenctl.owner import Owner, StartOf

NAMESPACE = "io.loadgenctl"
RUN = f"{NAMESPACE}.run"
ROLE = f"{NAMESPACE}.role"
OWNER_PID = f"{NAMESPACE}.owner.pid"
OWNER_START = f"{NAMESPACE}.owner.start"
HOST = f"{NAMESPACE}.host"

_SWEEP_ORDER = {"container": 0, "network": 1, "volume": 2}


def make(owner: Owner, run: str, role: str) -> dict[str, str]:
    """The labels of something that `owner` makes for a run."""
    return {
        RUN: run,
        ROLE: role,
        OWNER_PID: str(owner.pid),
        OWNER_START: owner.start,
        HOST: owner.host,
    }


def owner_of(labels: Mapping[str, str]) -> Owner | None:
    """Whom the labels name; None if they name nobody whole."""
    pid, start = labels.get(OWNER_PID, ""), labels.get(OWNER_START, "")
    host = labels.get(HOST, "")
    if not (pid.isascii() and pid.isdecimal() and start and host):
        return None
    return Owner(int(pid), start, host)


def owned_by_dead_process(
    labels: Mapping[str, str], *, host: str | None = None, start_of: StartOf | None = None
) -> bool:
    """True if the labels name an owner on this host that no longer lives.

    Without an owner (a cache that outlives runs), or with one on another host, the answer is False:
    nobody here can know.
    """
    owner = owner_of(labels)
    return owner is not None and owner.alive(host=host, start_of=start_of) is False


def owned_by(labels: Mapping[str, str], owner: Owner) -> bool:
    """True if exactly this process owns it."""
    return owner_of(labels) == owner


def sweep(
    engine: Engine, *, host: str | None = None, start_of: StartOf | None = None
) -> list[Leftover]:
    """Remove what dead owners on this host left on the engine, and say what that was.

    Containers go first: networks and volumes cannot go while one uses them. An item that cannot be
    removed does not keep the others; the first such error is raised at the end.
    """
    removed: list[Leftover] = []
    failures: list[EngineError] = []
    items = engine.leftovers()
    for item in sorted(items, key=lambda item: _SWEEP_ORDER.get(item.kind, len(_SWEEP_ORDER))):
        if not owned_by_dead_process(item.labels, host=host, start_of=start_of):
            continue
        try:
            engine.remove_leftover(item)
        except EngineError as error:
            failures.append(error)
        else:
            removed.append(item)
    if failures:
        raise failures[0]
    return removed
