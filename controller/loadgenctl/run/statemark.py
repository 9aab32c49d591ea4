"""What a state folder holds, written into it: of which run, and how far that had come.

Only what went on to its end, or was stopped as it should be, can be gone on with: a chain that was
killed may have written half a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from loadgenctl.plainfile import open_plain
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.files import replace_file
from loadgenctl.records.reader import parse_row

FILE = ".loadgenctl-run"
MOST = 4096
Standing = Literal["begun", "stopped", "finished"]
"""The stage has begun; its chain was stopped as it should be; all of it went well."""


@dataclass(frozen=True, slots=True)
class StateMark:
    """How far the run came with the state."""

    run_id: str
    stage: int
    standing: Standing


def write_mark(state: Path, mark: StateMark) -> None:
    """Replace the mark. Raises `OSError`."""
    replace_file(state / FILE, document_bytes(asdict(mark)))


def mark_of(state: Path) -> Path:
    """Where the mark is."""
    return state / FILE


def remove_mark(state: Path) -> None:
    """From now on nobody goes on with the state as it is. Raises `OSError`."""
    mark_of(state).unlink(missing_ok=True)


def read_mark(state: Path) -> StateMark | None:
    """The mark; None where there is none that can be read."""
    try:
        with open_plain(state / FILE) as stream:
            document: Mapping[str, object] | None = parse_row(stream.read(MOST))
    except OSError:
        return None
    if document is None:
        return None
    run_id, stage, standing = (document.get(name) for name in ("run_id", "stage", "standing"))
    if not isinstance(run_id, str) or not isinstance(stage, int):
        return None
    for known in get_args(Standing):
        if standing == known:
            return StateMark(run_id, stage, known)
    return None
