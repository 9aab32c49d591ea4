"""`loadgenctl run --resume RUN`: which run, and what may be given beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loadgenctl.cli.inputs import check_files
from loadgenctl.plan.resumed import changes, with_changes
from loadgenctl.run.resume import Resumption, examine


def to_resume(folder: Path, args: Sequence[str]) -> Resumption:
    """How the run in `folder` can be resumed. `args` are the other arguments.

    Options file and environment are not read: the plan is the recorded one.
    Raises `UsageError`.
    """
    given = changes(args)
    found = examine(folder)
    check_files(found.plan)
    shown = {key: value for key, value in given.items() if value is not None}
    return replace(found, plan=with_changes(found.plan, given), options=shown)
