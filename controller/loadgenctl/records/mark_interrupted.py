"""Marks the results folder of a run whose process is gone, which can no longer do that itself.

Only status.json is replaced, and only if it still says that this very process is at work. A folder
that is gone, cannot be written or holds something else by now is reported and not changed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loadgenctl.errors import OutputFolderError
from loadgenctl.owner import Owner, StartOf
from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.status import GONE


def mark_interrupted(
    folder: Path,
    owner: Owner,
    *,
    host: str | None = None,
    start_of: StartOf | None = None,
    dry_run: bool = False,
) -> str | None:
    """Write `interrupted` into the status.json of the run that `owner` left in `folder`.

    Returns what was done, or why it could not be done, in words; None if there was nothing to do:
    the run had ended by itself, or another one has the folder now. `host` and `start_of` as in
    `Owner.alive`. With `dry_run` it only says what it would do.
    """
    try:
        status = RunFolder(folder).status
    except (OutputFolderError, OSError) as error:
        return f"the results of a run that is gone cannot be marked: {error}"
    if status is None:
        return f"the results of a run that is gone cannot be marked: {folder} has no status"
    if status.finished or status.owner != owner:
        return None
    if owner.alive(host=host, start_of=start_of) is not False:
        return None
    if dry_run:
        return f"would mark {folder} as interrupted"
    # `updated_at` stays: it is the last sign of the run itself.
    marked = replace(
        status,
        outcome="interrupted",
        reason=status.reason or f"{GONE}: it was killed, or the machine went down",
    )
    try:
        replace_file(folder / schema.STATUS, document_bytes(marked.to_json()))
    except OSError as error:
        return f"{folder} cannot be marked as interrupted: {error.strerror or error}"
    return f"marked {folder} as interrupted"
