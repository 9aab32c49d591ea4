"""`loadgenctl regen RUN…`: compute a folder's derived files again from its raw records."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgenctl.cli.parameters import Json, Runs
from loadgenctl.cli.standard_streams import keep_going

if TYPE_CHECKING:
    from loadgenctl.stats.regen import Regenerated, RowChange


def regen_command(
    runs: Runs = None,
    json_output: Json = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also regenerate runs of other machines that are marked as running."
        ),
    ] = False,
) -> None:
    """Compute blocks.jsonl, cycles.jsonl and summary.json of ended runs again.

    Reads slogs, events, samples and perf.jsonl without changing them, and prints what changed.
    Works for killed runs and for folders of the original load generator, too.
    """
    from loadgenctl.cli.find_runs import find_runs

    keep_going()
    regenerate_folders(find_runs(runs or []), as_json=json_output, force=force)


def regenerate_folders(runs: Sequence[Path], *, as_json: bool, force: bool = False) -> None:
    """Compute the derived files of all `runs` again and print what changed.

    With `force`, a run of another machine counts as ended whatever its status says. Raises
    `OutputFolderError`, before anything is written, if one of them is in progress or has lost its
    raw data.
    """
    from loadgenctl.cli.print_data import print_json
    from loadgenctl.records.computed_files import (
        COMPUTED,
        replace_computed,
        require_ended,
        require_raw,
    )
    from loadgenctl.records.reader import RunFolder
    from loadgenctl.stats.regen import regenerate

    for run in runs:
        require_ended(RunFolder(run), force=force)
        require_raw(RunFolder(run))
    documents = []
    for run in runs:
        made = regenerate(run)
        written = [
            name
            for name in COMPUTED
            if name in made.content and replace_computed(made.folder, name, made.content[name])
        ]
        documents.append(_document(run, made, written))
        if not as_json:
            for line in _lines(run, made, written):
                sys.stdout.write(f"{line}\n")
    if as_json:
        print_json({"runs": documents})


def _document(run: Path, made: Regenerated, written: list[str]) -> Mapping[str, Any]:
    from loadgenctl.records import schema

    files: dict[str, Any] = {
        name: {**asdict(change), "written": name in written} for name, change in made.rows.items()
    }
    files[schema.SUMMARY] = {
        "changed": list(made.sections),
        "written": schema.SUMMARY in written,
    }
    return {"folder": str(run), "files": files, "refused": dict(made.refused)}


def _lines(run: Path, made: Regenerated, written: list[str]) -> list[str]:
    from loadgenctl.formatting import clean
    from loadgenctl.records import schema

    lines = [clean(run)]
    for name, change in made.rows.items():
        lines.append(f"  {name:<13} {_words(change, written=name in written)}")
    parts = ", ".join(made.sections)
    summary = f"changed: {parts}" if schema.SUMMARY in written else "unchanged"
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
    found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    if not found:
        # The rows may be the same while their text or their order is not.
        found = "the same, written again" if written else "unchanged"
    return f"{change.rows} rows: {found}"
