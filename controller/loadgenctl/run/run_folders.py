"""The folders of a run on the host, and the mark in its state folder, which names the run of the
state and how far that run had come.

Only a state whose stage finished, or whose chain was stopped cleanly, can be resumed from: a chain
that was killed may have written half a block.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from loadgenctl.errors import OutputFolderError
from loadgenctl.plainfile import open_plain, require_inside, write_plain
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.reader import parse_row
from loadgenctl.roles.pod import PodFolders
from loadgenctl.sources.locks import try_exclusive

UNPRIVILEGED = 1000
STATE_PARTS = ("project", "home")
LOCK = ".loadgenctl-lock"
MARKER = ".loadgenctl-state"
"""A file in a state folder whose parts loadgenctl made, and so may remove."""
MARK = ".loadgenctl-run"
"""The file with the `StateMark`."""
_MARK_BYTES = 4096
Standing = Literal["begun", "stopped", "finished"]
"""The stage has begun; its chain was stopped cleanly; the stage finished without a failure."""


@dataclass(frozen=True, slots=True)
class StateMark:
    """How far the run came with the state."""

    run_id: str
    stage: int
    standing: Standing


def write_mark(state: Path, mark: StateMark) -> None:
    """Replace the mark. Raises `OSError`."""
    replace_file(state / MARK, document_bytes(asdict(mark)))


def remove_mark(state: Path) -> None:
    """From now on no run resumes from the state. Raises `OSError`."""
    (state / MARK).unlink(missing_ok=True)


def read_mark(state: Path) -> StateMark | None:
    """The mark; None if there is none that can be read."""
    try:
        with open_plain(state / MARK) as stream:
            document: Mapping[str, object] | None = parse_row(stream.read(_MARK_BYTES))
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


def caller() -> tuple[int, int]:
    """uid and gid of the user who runs loadgenctl."""
    return os.getuid(), os.getgid()


def role_user() -> tuple[int, int]:
    """uid and gid of roles in containers: the caller's, or unprivileged ones when that is root."""
    return caller() if os.getuid() else (UNPRIVILEGED, UNPRIVILEGED)


def reset_state(state: Path) -> None:
    """Remove what an earlier run kept there, and nothing that loadgenctl did not make.

    Raises `OutputFolderError` if loadgenctl did not make the folder's `project` or `home`, and if
    something cannot be removed: it would pass for the state of a fresh chain.
    """
    parts = [part for name in STATE_PARTS if os.path.lexists(part := state / name)]
    if not parts:
        return
    require_ours(state, parts[0])
    hint = "remove it as its owner, or choose another --state-dir"
    for part in (state / MARK, *parts):
        remove_path(part, hint=hint)


def remove_path(path: Path, *, hint: str) -> None:
    """Remove a folder with all that is in it, a file or a link; do nothing if there is none.

    Raises `OutputFolderError` if any of it is left, with the first such path and its owner.
    """
    kept: list[Path] = []

    def failed(_: object, name: str, __: object) -> None:
        kept.append(Path(os.fsdecode(name)))
        # Called while the error is handled. Some versions then call it for the folder, too.
        raise  # noqa: PLE0704

    # The error's own name of the file depends on the version of Python; 3.12 renamed the handler.
    handler: dict[str, Any] = {"onexc" if sys.version_info >= (3, 12) else "onerror": failed}
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, **handler)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        stays = kept[0] if kept else path
        raise OutputFolderError(
            f"{path} cannot be removed: {stays}{_owned(stays)}: {error.strerror}", hint=hint
        ) from error


def _owned(path: Path) -> str:
    """` of the user 1000`; empty if that cannot be read."""
    try:
        return f" of the user {path.lstat().st_uid}"
    except OSError:
        return ""


def require_ours(state: Path, part: Path) -> None:
    """Raise `OutputFolderError` unless what is in a state folder may be removed."""
    if not (state / MARKER).exists():
        raise OutputFolderError(
            f"{part} was not made by loadgenctl and is not removed",
            hint="choose another --state-dir, or keep what is there with --no-reset",
        )


@contextmanager
def state_in_use(state: Path) -> Iterator[None]:
    """Reserve a state folder for one run. Raises `OutputFolderError` if another has it."""
    with ExitStack() as stack:
        try:
            granted = stack.enter_context(try_exclusive(state / LOCK))
        except OSError as error:
            raise OutputFolderError(
                f"cannot use {state}: {error.strerror}", hint="choose another --state-dir"
            ) from error
        if not granted:
            raise OutputFolderError(
                f"another run is using the state folder {state}",
                hint="wait until it ends, or choose another --state-dir",
            )
        yield


def make_folders(folders: PodFolders, user: tuple[int, int]) -> None:
    """Make the folders that roles write to, owned by the roles' user."""
    state = folders.state
    ours = not any(os.path.lexists(state / name) for name in STATE_PARTS)
    for folder in (folders.shared, state, *(state / name for name in STATE_PARTS)):
        there = folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if folder != state:
                # Roles of an earlier run had these folders: a link would be theirs.
                require_inside(folder, folder.parent)
            if folder == state and ours:
                write_plain(state / MARKER, append=True).close()
            # A folder that was there before may belong to others, e.g. /tmp.
            if os.getuid() == 0 and not (folder == state and there):
                os.chown(folder, *user, follow_symlinks=folder == state)
        except OSError as error:
            option = "--output-dir" if folder == folders.shared else "--state-dir"
            raise OutputFolderError(
                f"cannot make {folder}: {error.strerror}", hint=f"choose another {option}"
            ) from error


def copy_tools(tools: Mapping[str, Path], into: Path, **files: Path | None) -> None:
    """Copy the programs that roles run beside the SDK to `into`, readable for every user."""
    remove_path(into, hint="choose another --output-dir")
    # A new folder, so that nothing in it can lead the copies elsewhere.
    into.mkdir()
    for name, folder in tools.items():
        shutil.copytree(folder, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, file in files.items():
        if file is not None:
            shutil.copyfile(file, into / name.replace("_", "."))
    for path in (into, *into.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
