"""The sweep: remove what dead runs of this host left on an engine, and mark their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Engine, Leftover
from loadgenctl.errors import EngineError
from loadgenctl.owner import Owner, StartOf
from loadgenctl.records.mark_interrupted import mark_interrupted


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep did."""

    removed: tuple[str, ...] = ()
    """Kinds and names: `container loadgenctl-…`, `processes loadgenctl-…`."""
    marked: tuple[str, ...] = ()
    """What became of the dead runs' results folders, a line each."""
    error: EngineError | None = None
    """Why something is still there; the first of several."""

    def check(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


def sweep(
    engine: Engine,
    *,
    dry_run: bool = False,
    host: str | None = None,
    start_of: StartOf | None = None,
) -> SweepResult:
    """Remove what dead owners of this host left, and mark the results folders it is labelled with.

    What has a live owner, or one on another host, is kept: see
    `ownership_labels.owned_by_dead_process`. With `dry_run` nothing is removed. Raises
    `EngineError` if the engine cannot be queried.
    """
    items = ownership_labels.left_by_the_dead(engine, host=host, start_of=start_of)
    if dry_run:
        removed, error = items, None
    else:
        removed, error = ownership_labels.remove(engine, items)
    marks = (
        mark_interrupted(folder, owner, host=host, start_of=start_of, dry_run=dry_run)
        for folder, owner in _dead_runs(items)
    )
    return SweepResult(
        removed=tuple(f"{_kind(item, engine)} {item.name}" for item in removed),
        marked=tuple(line for line in marks if line is not None),
        error=error,
    )


def _kind(item: Leftover, engine: Engine) -> str:
    """Its kind in messages: without containers a role is its processes."""
    return item.kind if engine.own_network else "processes"


def _dead_runs(items: Iterable[Leftover]) -> list[tuple[Path, Owner]]:
    """Results folders and their dead owners, each once."""
    found: dict[tuple[Path, Owner], None] = {}
    for item in items:
        owner, results = (
            ownership_labels.owner_of(item.labels),
            item.labels.get(ownership_labels.RESULTS),
        )
        if owner is not None and results:
            found[Path(results), owner] = None
    return list(found)
