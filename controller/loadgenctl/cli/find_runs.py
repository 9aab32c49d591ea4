"""Find a run by its folder, by its name below `results/`, or by its id; or find the last run.

Used by every command that takes a RUN.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.formatting import clean
from loadgenctl.records.reader import RunFolder, holds_run

RESULTS: Final = Path("results")
"""The default parent of results folders."""
RUN_ID: Final = re.compile(r"[0-9a-f]{10}")
_ATTEMPT: Final = re.compile(r"attempt-\d+")


def find_run(named: str | Path, results: Path = RESULTS) -> Path:
    """The folder of a run: that path, else that name or that run's id below `results`.

    Raises `UsageError` if there is none.
    """
    path = Path(named)
    if path.exists() or path.is_symlink():
        return path
    text = str(named)
    if not path.is_absolute() and (results / path).is_dir():
        return results / path
    if RUN_ID.fullmatch(text):
        for folder in folders_of_runs(results):
            if run_id_of(folder) == text:
                return folder
    names = [folder.name for folder in folders_of_runs(results)]
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    hint = "`loadgenctl list` shows the runs in results/; pass a folder or a run's id"
    raise OutputFolderError(
        f"there is no results folder {clean(text)}",
        hint=f"did you mean {clean(str(results / near[0]))}?" if near else hint,
    )


def find_runs(named: Sequence[Path]) -> list[Path]:
    """The folders of runs; without a name the last run, which is named on standard error.

    Of several paths, those without a readable run are left out with a warning. Raises `UsageError`
    for an unknown name, and if no run is left.
    """
    if not named:
        last = last_run()
        sys.stderr.write(f"the last run: {clean(str(last))}\n")
        return [last]
    paths = [find_run(name) for name in named]
    if len(paths) == 1:
        return paths
    kept = []
    trouble: OutputFolderError | None = None
    for path in paths:
        try:
            RunFolder(path)
        except OutputFolderError as error:
            trouble = error
            sys.stderr.write(f"warning: left out: {clean(error.message)}\n")
        else:
            kept.append(path)
    if not kept and trouble is not None:
        raise trouble
    return kept


def last_run(results: Path = RESULTS) -> Path:
    """The run below `results` that began last. Raises `UsageError` if there is none."""
    found = folders_of_runs(results)
    if not found:
        raise UsageError(
            f"there is no run in {results}/",
            hint="pass a results folder, or start a run: loadgenctl run --sdk sim --stages 1",
        )
    return max(found, key=started_at)


def folders_of_runs(folder: Path) -> list[Path]:
    """Results folders: `folder` itself, or those in it, including attempts of `daily` and `queue`.

    Sorted by name; links, and folders that may not be entered, are left out.
    """
    if not folder.is_dir():
        return []
    if holds_run(folder):
        return [folder]
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or not _is_folder(entry):
            continue
        if _holds_run(entry):
            found.append(entry)
        else:
            found += [each for each in _attempts(entry) if _holds_run(each)]
    return found


def started_at(folder: Path) -> float:
    """When the run began, in epoch seconds; if that is not recorded, the time of its folder."""
    try:
        records = RunFolder(folder)
        status = records.status
        began = records.run.get("started_at") if status is None else status.started_at
    except OutputFolderError:
        began = None
    return float(began) if isinstance(began, int | float) else folder.stat().st_mtime


def run_id_of(folder: Path) -> str | None:
    """The run's id; None if the folder does not contain it."""
    try:
        found = RunFolder(folder).run.get("run_id")
    except OutputFolderError:
        return None
    return found if isinstance(found, str) else None


def _attempts(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except PermissionError:
        return
    for entry in entries:
        if _ATTEMPT.fullmatch(entry.name) and not entry.is_symlink() and _is_folder(entry):
            yield entry


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False


def _holds_run(path: Path) -> bool:
    try:
        return holds_run(path)
    except PermissionError:
        return False
