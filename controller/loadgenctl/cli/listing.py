"""`loadgenctl list`: the runs that are there, the newest first."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadgenctl.cli.output import print_csv, print_json
from loadgenctl.cli.runs import RESULTS, folders_of_runs, started_at
from loadgenctl.cli.tables import age, print_table
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.plan.times import words
from loadgenctl.records.reader import RunFolder, last_heard
from loadgenctl.records.status import Status


@dataclass(frozen=True, slots=True)
class Listed:
    """One run, as far as its folder tells. Times in seconds, those of the day since the epoch."""

    folder: str
    run_id: str | None = None
    sdk: str | None = None
    simulated: bool | None = None
    revision: str | None = None
    """As it was asked for."""
    commit: str | None = None
    outcome: str | None = None
    """None for a folder of the original load generator."""
    started_at: float | None = None
    duration_s: float | None = None
    stages: int | None = None
    """That were begun."""
    stages_planned: int | None = None
    cycles: int | None = None
    """That succeeded."""
    cycles_failed: int | None = None


def show_list(folders: Sequence[Path], *, as_json: bool, as_csv: bool) -> None:
    """The runs of all `folders`, or of `results/`.

    What holds a run that cannot be read is named on standard error. Raises `UsageError` for a
    folder that does not exist.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", hint="give one of them")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", hint="name the folder that holds runs")
    found = [run for folder in folders or [RESULTS] for run in folders_of_runs(folder)]
    found.sort(key=started_at, reverse=True)
    now = time.time()
    runs = [run for folder in found if (run := _readable(folder, now)) is not None]
    if as_json:
        print_json([asdict(run) for run in runs])
    elif as_csv:
        print_csv(list(Listed.__dataclass_fields__), [_cells(run) for run in runs])
    elif runs:
        heads = ("run", "revision", "outcome", "age", "took", "stages", "cycles")
        print_table(heads, [_row(run, now) for run in runs], right="cycles")
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
    """What is listed of a run; `now` in epoch seconds. Raises `OutputFolderError`."""
    records = RunFolder(folder)
    run, status, summary = records.run, records.status, records.summary
    sdk, plan, totals = _part(run, "sdk"), _part(run, "plan"), _part(summary, "totals")
    cycles = _part(_part(totals, "cycles"), "all")
    planned = plan.get("stages")
    found = None if status is None else status.as_found()
    began = started_at(folder)
    if found is None:
        took = _number(_part(summary, "run").get("duration_s"))
    else:
        took = _took(found, folder, began, now)
    return Listed(
        folder=str(folder),
        run_id=_text(run.get("run_id")),
        sdk=_text(sdk.get("family")),
        simulated=sdk.get("simulated") if isinstance(sdk.get("simulated"), bool) else None,
        revision=_text(sdk.get("requested")),
        commit=_text(sdk.get("commit")),
        outcome=None if found is None else found.outcome,
        started_at=began,
        duration_s=None if took is None else round(took, 3),
        stages=_whole(totals.get("stage_count")),
        stages_planned=len(planned) if isinstance(planned, list) else None,
        cycles=_whole(cycles.get("succeeded")),
        cycles_failed=_whole(cycles.get("failed")),
    )


def _took(found: Status, folder: Path, began: float, now: float) -> float | None:
    """Seconds as `top` and `stats` give them: without the time between attempts, and of a killed
    run until its last record.
    """
    ended = now if not found.finished else found.finished_at or last_heard(folder)
    return None if ended is None else max(0.0, ended - began - found.paused_s)


def _cells(run: Listed) -> dict[str, Any]:
    return {name: value for name, value in asdict(run).items() if value is not None}


def _row(run: Listed, now: float) -> tuple[str, ...]:
    stages = "-" if run.stages is None else str(run.stages)
    if run.stages_planned is not None:
        stages = f"{stages}/{run.stages_planned}"
    cycles = "-" if run.cycles is None else str(run.cycles)
    failed = f" (+{run.cycles_failed} failed)" if run.cycles_failed else ""
    return (
        run.folder,
        _revision(run),
        run.outcome or "-",
        "-" if run.started_at is None else age(now - run.started_at),
        "-" if run.duration_s is None else words(run.duration_s),
        stages,
        f"{cycles}{failed}",
    )


def _revision(run: Listed) -> str:
    """What tells SDKs apart in little room: the commit for Agoric's, the family before others."""
    what = run.commit[:12] if run.commit else run.revision or "-"
    if run.sdk in {None, "agoric"}:
        return what
    return f"{run.sdk} {what}"


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
