"""`loadgenctl regen RUN…`: a folder's computed files made anew from its raw records."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadgenctl.cli.output import print_json
from loadgenctl.formatting import clean
from loadgenctl.records import schema
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.rewrite import COMPUTED, replace_computed, require_ended, require_raw
from loadgenctl.stats.regen import Regenerated, RowChange, regenerate


def regenerate_folders(runs: Sequence[Path], *, as_json: bool, force: bool = False) -> None:
    """Make the computed files of all `runs` anew and say what changed.

    Raises `OutputFolderError`: before anything is written if one of them is still going on, or
    has lost its raw data. With `force`, a run of another machine counts as ended, whatever it says.
    """
    for run in runs:
        require_ended(RunFolder(run), force=force)
        require_raw(RunFolder(run))
    told = []
    for run in runs:
        made = regenerate(run)
        written = [name for name in COMPUTED if name in made.content and _put(made, name)]
        told.append(_document(run, made, written))
        if not as_json:
            for line in _lines(run, made, written):
                sys.stdout.write(f"{line}\n")
    if as_json:
        print_json({"runs": told})


def _put(made: Regenerated, name: str) -> bool:
    return replace_computed(made.folder, name, made.content[name])


def _document(run: Path, made: Regenerated, written: list[str]) -> Mapping[str, Any]:
    files: dict[str, Any] = {
        name: {**asdict(change), "written": name in written} for name, change in made.rows.items()
    }
    files[schema.SUMMARY] = {
        "changed": list(made.sections),
        "written": schema.SUMMARY in written,
    }
    return {"folder": str(run), "files": files, "refused": dict(made.refused)}


def _lines(run: Path, made: Regenerated, written: list[str]) -> list[str]:
    lines = [clean(run)]
    for name, change in made.rows.items():
        lines.append(f"  {name:<13} {_words(change, written=name in written)}")
    parts = ", ".join(made.sections)
    summary = f"changed: {parts}" if schema.SUMMARY in written else "as it was"
    refused = [
        f"  {clean(name)} was not read: it {clean(why)}" for name, why in made.refused.items()
    ]
    return [*lines, f"  {schema.SUMMARY:<13} {summary}", *refused]


def _words(change: RowChange, *, written: bool) -> str:
    counts = {
        "added": change.added,
        "changed": change.changed,
        "removed": change.gone,
        "damaged before": change.damaged,
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    if not told:
        # Rows may be the same and their text or their order not.
        told = "the same, written anew" if written else "as they were"
    return f"{change.rows} rows: {told}"
