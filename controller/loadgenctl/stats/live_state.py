"""The state of a run, from its results folder alone: the document that `loadgenctl top` shows.

    as_of, run, stage, blocks, cycles, processes, containers, storage, damage

Its fields are described in docs/top.md. What is not known is null, never 0. Of a long file only the
end is read at first, then what is appended.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.records import schema
from loadgenctl.records.reader import RowFollower, RunFolder
from loadgenctl.records.status import Status
from loadgenctl.records.superseded import Counting
from loadgenctl.stats.live_collectors import Blocks, Cycles, Marks, Readings, number
from loadgenctl.stats.numbers import rounded
from loadgenctl.stats.read_run import planned_stages
from loadgenctl.stats.summary import CHAIN_ONLY, LOAD, sdk_row

Row = dict[str, Any]
Standing = dict[str, Any]

MIB: Final = 1024 * 1024
ENDS: Final[Mapping[str, int]] = {
    schema.PERF: 4 * MIB,
    schema.EVENTS: MIB,
    schema.CYCLES: MIB,
    schema.BLOCKS: MIB,
    schema.SAMPLES: 4 * MIB,
}
"""Bytes of a file's end that are read at first; for samples, enough for two full ones."""


class LiveRun:
    """Reads the state of a run repeatedly; it may not have begun yet, be running or have ended."""

    def __init__(self, path: Path) -> None:
        """Raise `OutputFolderError` if there is no run; an empty folder may get one later."""
        self.path = path
        self._folder = None if _empty(path) else _open(path)
        self._run: Row = {}
        self._started: float | None = None
        self._begin()

    def poll(self, now: float) -> Standing:
        """The state of the run; `now` in epoch seconds.

        Raises `OutputFolderError` when the folder is gone or cannot be read.
        """
        if not self.path.is_dir():
            raise OutputFolderError(
                f"the results folder {self.path} was removed while it was being read",
                hint="if its run is still running, that run fails",
            )
        # Before the rows, so that none is missing if the status says that the run has ended.
        status = self._status()
        started = None if status is None else number(status.started_at)
        if started not in (None, self._started):
            # The first poll, or the folder now has another run.
            self._run, self._started = {}, started
            self._begin()
        if self._folder is not None and not self._run:
            # Opened again to check the format, which is in run.json only.
            again = _open(self.path)
            again.damage |= self._folder.damage
            self._folder, self._run = again, again.run
        self._take_rows()
        return self._document(status, now)

    def _begin(self) -> None:
        known = None if self._folder is None else self._folder.counting()
        self._counting = known or Counting()
        self._followers = {
            name: RowFollower(self.path / name, last=last, counting=self._counting)
            for name, last in ENDS.items()
        }
        self._marks, self._blocks = Marks(), Blocks()
        self._cycles, self._readings = Cycles(), Readings()

    def _status(self) -> Status | None:
        if self._folder is None and not _empty(self.path):
            self._folder = _open(self.path)
        status = None if self._folder is None else self._folder.status
        return None if status is None else status.as_found()

    def _take_rows(self) -> None:
        changes = self._counting.changes
        rows = {name: follower.poll() for name, follower in self._followers.items()}
        if self._counting.changes != changes:
            # A later attempt has started a stage again; drop the rows of the earlier one.
            self._begin()
            rows = {name: follower.poll() for name, follower in self._followers.items()}
        self._marks.add(rows[schema.PERF])
        self._cycles.add_events(rows[schema.EVENTS])
        self._cycles.add_cycles(rows[schema.CYCLES])
        self._blocks.add(rows[schema.BLOCKS])
        self._readings.add(rows[schema.SAMPLES])

    def _document(self, status: Status | None, now: float) -> Standing:
        over = status is not None and status.finished
        as_of = (self._ended_at(status) if status is not None and over else None) or now
        stage = None if status is None else status.stage
        current = not over and self._cycles.stage == stage
        return {
            "as_of": rounded(as_of, 3),
            "run": self._run_row(status, as_of),
            "stage": self._stage_row(stage, as_of),
            "blocks": self._blocks.standing(as_of),
            "cycles": self._cycles.standing(as_of, current=current),
            "processes": self._readings.processes(as_of),
            "containers": self._readings.containers(as_of),
            "storage": self._readings.storage(as_of),
            "damage": self._damage(),
        }

    def _damage(self) -> dict[str, int]:
        """File → number of unreadable lines or fields; files without any are left out."""
        documents = {} if self._folder is None else self._folder.damage
        found = {name: damage.unreadable for name, damage in documents.items() if damage.unreadable}
        return found | {
            name: follower.unreadable
            for name, follower in self._followers.items()
            if follower.unreadable
        }

    def _ended_at(self, status: Status) -> float | None:
        """When the run ended; for a killed run, the newest time in its records."""
        finished = number(status.finished_at)
        if finished is not None:
            return finished
        started, last = number(status.started_at), self._marks.last_at
        heard = (
            number(status.updated_at),
            None if started is None or last is None else started + last,
            self._blocks.last_at,
            self._cycles.last_at,
            self._readings.last_at,
        )
        return max((at for at in heard if at is not None), default=None)

    def _run_row(self, status: Status | None, as_of: float) -> Row:
        outcome = None if status is None else status.outcome
        status = status or Status()
        started = number(status.started_at)
        return {
            "folder": self.path.absolute().name,
            "run_id": self._run.get("run_id"),
            **sdk_row(self._run),
            "outcome": outcome,
            "attempt": status.attempt,
            "owner_alive": None if status.owner is None else status.owner.alive(),
            "step": status.step,
            "role": status.role,
            "reason": status.reason,
            "hint": status.hint,
            "exit_code": status.exit_code,
            "last_lines": list(status.last_lines),
            "started_at": started,
            "elapsed_s": None
            if started is None
            else rounded(max(0.0, as_of - started - status.paused_s), 3),
        }

    def _stage_row(self, stage: int | None, as_of: float) -> Row | None:
        """The current stage, or that in which the run ended; else only the number of stages."""
        plan = planned_stages(self._run)
        if stage is None and not plan:
            return None
        spec = next((each for each in plan if each.get("index") == stage), {})
        mark, began = (None, None) if stage is None else self._marks.standing(stage)
        loaded = None if stage is None else self._marks.load_began(stage)
        load_planned = number(spec.get("load_duration_s"))
        chain_only = spec.get("chain_only")
        kind = (CHAIN_ONLY if chain_only else LOAD) if isinstance(chain_only, bool) else None
        return {
            "stage": stage,
            "stage_count": len(plan) or None,
            "kind": kind,
            "mark": mark,
            "elapsed_s": self._since(began, as_of),
            "planned_s": number(spec.get("duration")) if load_planned is None else None,
            "load_elapsed_s": self._since(loaded, as_of),
            "load_planned_s": load_planned,
        }

    def _since(self, at: float | None, as_of: float) -> float | None:
        """Seconds; `at` is in seconds since the run's start."""
        if at is None or self._started is None:
            return None
        return rounded(max(0.0, as_of - self._started - at), 3)


def _empty(path: Path) -> bool:
    """True for a folder without files; those being written have hidden names."""
    return path.is_dir() and all(entry.name.startswith(".") for entry in path.iterdir())


def _open(path: Path) -> RunFolder:
    folder = RunFolder(path)
    if folder.original:
        raise UsageError(
            f"{path} is of the original load generator, which does not record the state of a run",
            hint=f"to see its results, run: loadgenctl stats {path}",
        )
    return folder
