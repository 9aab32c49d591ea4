"""The host's part of a run: its folders, and what run.json says about it."""

from __future__ import annotations

import errno
import math
import os
import platform
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from loadgenctl.errors import (
    EngineError,
    EngineUnavailable,
    LoadgenError,
    OutputFolderError,
    RunError,
)
from loadgenctl.filetrouble import behind, file_error, path_of
from loadgenctl.plainfile import NotPlainError, require_inside, write_plain
from loadgenctl.records.folder import folder_error, require_writable
from loadgenctl.roles.pod import PodFolders
from loadgenctl.run.statemark import mark_of
from loadgenctl.sources.locks import try_exclusive

UNPRIVILEGED = 1000
STATE_PARTS = ("project", "home")
ROOM = 256 * 1024
"""Bytes free below which a disk counts as full."""
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk answers that is full, was made read-only, or fails."""
LOCK = ".loadgenctl-lock"
MARKER = ".loadgenctl-state"
"""A file in a state folder whose parts loadgenctl made, and so may remove."""


def caller() -> tuple[int, int]:
    """uid and gid of whoever runs loadgenctl."""
    return os.getuid(), os.getgid()


def role_user() -> tuple[int, int]:
    """uid and gid of roles in containers: the caller's, or unprivileged ones when that is root."""
    return caller() if os.getuid() else (UNPRIVILEGED, UNPRIVILEGED)


def reset_state(state: Path) -> None:
    """Remove what an earlier run kept there, and nothing that loadgenctl did not make.

    Raises `OutputFolderError` for a folder with somebody else's `project` or `home` in it, and
    where something cannot be removed: what stays would be taken for the state of a fresh chain.
    """
    parts = [part for name in STATE_PARTS if os.path.lexists(part := state / name)]
    if not parts:
        return
    require_ours(state, parts[0])
    hint = "remove it as its owner, or choose another --state-dir"
    for part in (mark_of(state), *parts):
        remove_whole(part, hint=hint)


def remove_whole(path: Path, *, hint: str) -> None:
    """Remove a folder with all that is in it, a file or a link; nothing need be there.

    Raises `OutputFolderError` if any of it stays, naming the first such path and its owner.
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
    """` of the user 1000`; nothing where that cannot be told."""
    try:
        return f" of the user {path.lstat().st_uid}"
    except OSError:
        return ""


def require_ours(state: Path, part: Path) -> None:
    """Raise `OutputFolderError` unless what is in a state folder may be removed."""
    if not (state / MARKER).exists():
        raise OutputFolderError(
            f"{part} was not made by loadgenctl and is not removed",
            hint="choose another --state-dir, or go on with what is there by --no-reset",
        )


@contextmanager
def state_in_use(state: Path) -> Iterator[None]:
    """Keep a state folder to one run. Raises `OutputFolderError` when another has it."""
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
                hint="wait for its end, or choose another --state-dir",
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
            # A folder that was there before may be anybody's, e.g. /tmp.
            if os.getuid() == 0 and not (folder == state and there):
                os.chown(folder, *user, follow_symlinks=folder == state)
        except OSError as error:
            option = "--output-dir" if folder == folders.shared else "--state-dir"
            raise OutputFolderError(
                f"cannot make {folder}: {error.strerror}", hint=f"choose another {option}"
            ) from error


def copy_tools(tools: Mapping[str, Path], into: Path, **files: Path | None) -> None:
    """Copy what roles run beside the SDK to where they find it, readable for every user."""
    remove_whole(into, hint="choose another --output-dir")
    # Made anew, and not there before: what is copied goes here and nowhere else.
    into.mkdir()
    for name, folder in tools.items():
        shutil.copytree(folder, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, file in files.items():
        if file is not None:
            shutil.copyfile(file, into / name.replace("_", "."))
    for path in (into, *into.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


def as_error(error: Exception, results: Path) -> LoadgenError:
    """Whatever ended a run, as an error of ours; what nobody expected keeps its traceback."""
    lost = _lost(error, results)
    if lost is not None:
        detail = getattr(error, "detail", None)
        told = folder_error(results, lost)
        told.detail = "\n".join(text for text in (detail, str(error)) if text)
        return told
    if isinstance(error, EngineUnavailable):
        # It answered when the run began: the run failed, and nothing was asked wrongly.
        return EngineError(error.message, hint=error.hint, detail=error.detail)
    if isinstance(error, LoadgenError):
        return error
    if isinstance(error, NotPlainError):
        return RunError(
            f"{error.filename} is not taken: {error.strerror}",
            step="read what the roles wrote",
            hint="the SDK has put it in the place of its own file",
        )
    trouble = behind(error)
    if trouble is not None:
        return file_error(trouble)
    return LoadgenError(
        f"internal error: {type(error).__name__}: {error}",
        hint="please report it with the lines above",
        detail="".join(traceback.format_exception(error)),
    )


def _lost(error: Exception, results: Path) -> OSError | None:
    """Why the results folder cannot be written any more, if that is what an error comes from.

    Whoever writes first fails first: a role that died of a full disk, or an engine that does not
    find what it should mount, is not the reason.
    """
    if isinstance(error, OSError) and error.errno in _DISK:
        return error
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        # Also where another folder has the name by now, which can be written.
        path = path_of(error)
        if path.is_relative_to(results.absolute()) and not path.parent.exists():
            return error
    if isinstance(error, NotPlainError) or not isinstance(error, OSError | RunError | EngineError):
        return None
    try:
        require_writable(results)
    except OSError as gone:
        return gone
    if isinstance(error, RunError) and _free_bytes(results) < ROOM:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None


def _free_bytes(folder: Path) -> float:
    try:
        usage = os.statvfs(folder)
    except OSError:
        return math.inf
    return usage.f_bavail * usage.f_frsize if usage.f_blocks else math.inf


def describe() -> dict[str, Any]:
    """What a reader of the results must know about the machine. Memory in bytes."""
    return {
        "hostname": platform.node(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None)
