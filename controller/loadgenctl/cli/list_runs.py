"""`loadgenctl list`: the runs in a folder, the newest first."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, TypeVar

from loadgenctl.cli.find_runs import RESULTS, folders_of_runs, started_at
from loadgenctl.cli.print_data import print_csv, print_json, print_list
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.formatting import MISSING, age, harmless
from loadgenctl.plan.times import words
from loadgenctl.records.reader import RunFolder, last_heard
from loadgenctl.records.status import Status
from loadgenctl.reports.facts import part
from loadgenctl.reports.table_model import Column, Row, Table
from loadgenctl.stats.live_collectors import number

T = TypeVar("T", str, int)


@dataclass(frozen=True, slots=True)
class Listed:
    """One run, as far as its folder is readable. Times in seconds; `started_at` since the epoch."""

    folder: str
    run_id: str | None = None
    sdk: str | None = None
    simulated: bool | None = None
    revision: str | None = None
    """As it was given to `run`."""
    commit: str | None = None
    outcome: str | None = None
    """None for a folder of the original load generator."""
    started_at: float | None = None
    duration_s: float | None = None
    stages: int | None = None
    """Those that began."""
    stages_planned: int | None = None
    cycles: int | None = None
    """Those that succeeded."""
    cycles_failed: int | None = None


def show_list(folders: Sequence[Path], *, as_json: bool, as_csv: bool) -> None:
    """The runs of all `folders`, or of `results/`.

    A run that cannot be read is named on standard error. Raises `UsageError` for a folder that does
    not exist.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", hint="give one of them")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder}", hint="pass a folder that contains runs"
            )
    found = [run for folder in folders or [RESULTS] for run in folders_of_runs(folder)]
    found.sort(key=started_at, reverse=True)
    now = time.time()
    runs = [run for folder in found if (run := _readable(folder, now)) is not None]
    if as_json:
        print_json([asdict(run) for run in runs])
    elif as_csv:
        print_csv([field.name for field in fields(Listed)], [asdict(run) for run in runs])
    elif runs:
        rows = [
            asdict(run) | {"age_s": None if run.started_at is None else now - run.started_at}
            for run in runs
        ]
        print_list(Table("", _COLUMNS, rows, form="list"))
    else:
        where = ", ".join(map(str, folders)) or f"{RESULTS}/"
        sys.stdout.write(f"no runs in {where}\n")


def _readable(folder: Path, now: float) -> Listed | None:
    try:
        return listed(folder, now)
    except OutputFolderError as error:
        sys.stderr.write(f"warning: left out: {error.message}\n")
        return None


def listed(folder: Path, now: float) -> Listed:
    """The entry of a run; `now` in epoch seconds. Raises `OutputFolderError`."""
    records = RunFolder(folder)
    run, status, summary = records.run, records.status, records.summary
    sdk, plan, totals = part(run, "sdk"), part(run, "plan"), part(summary, "totals")
    cycles = part(part(totals, "cycles"), "all")
    planned = plan.get("stages")
    found = None if status is None else status.as_found()
    began = started_at(folder)
    if found is None:
        took = number(part(summary, "run").get("duration_s"))
    else:
        took = _took(found, folder, began, now)
    return Listed(
        folder=str(folder),
        run_id=_typed(str, run.get("run_id")),
        sdk=_typed(str, sdk.get("family")),
        simulated=sdk.get("simulated") if isinstance(sdk.get("simulated"), bool) else None,
        revision=_typed(str, sdk.get("requested")),
        commit=_typed(str, sdk.get("commit")),
        outcome=None if found is None else found.outcome,
        started_at=began,
        duration_s=None if took is None else round(float(took), 3),
        stages=_typed(int, totals.get("stage_count")),
        stages_planned=len(planned) if isinstance(planned, list) else None,
        cycles=_typed(int, cycles.get("succeeded")),
        cycles_failed=_typed(int, cycles.get("failed")),
    )


def _took(found: Status, folder: Path, began: float, now: float) -> float | None:
    """Seconds as in `top` and `stats`: without the time between attempts, and of a killed run until
    its last record.
    """
    ended = now if not found.finished else found.finished_at or last_heard(folder)
    return None if ended is None else max(0.0, ended - began - found.paused_s)


def _revision(row: Row) -> str:
    """Identifies SDKs in little space: the commit for Agoric's, the family before others."""
    what = row["commit"][:12] if row["commit"] else row["revision"] or MISSING
    return harmless(what if row["sdk"] in {None, "agoric"} else f"{row['sdk']} {what}")


def _stages(row: Row) -> str:
    planned = "" if row["stages_planned"] is None else f"/{row['stages_planned']}"
    return _known(row["stages"]) + planned


def _cycles(row: Row) -> str:
    failed = f" (+{row['cycles_failed']} failed)" if row["cycles_failed"] else ""
    return _known(row["cycles"]) + failed


def _known(value: object) -> str:
    return MISSING if value is None else str(value)


_COLUMNS: Final = (
    Column("run", "folder", harmless, "words"),
    Column("revision", "", _revision, "words"),
    Column("outcome", "outcome", _known, "words"),
    Column("age", "age_s", lambda age_s: MISSING if age_s is None else age(age_s), "words"),
    Column("took", "duration_s", lambda took: MISSING if took is None else words(took), "words"),
    Column("stages", "", _stages, "words"),
    Column("cycles", "", _cycles),
)


def _typed(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
