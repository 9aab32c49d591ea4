"""A failed file operation in words: the path, the folder that is the cause, its owner, what helps.

The only place that turns an `OSError` of a file into an error for a person.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import stat
from pathlib import Path

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.resources import CACHE_VARIABLE, cache_dir

_DENIED = frozenset({errno.EACCES, errno.EPERM})
_WITHOUT_PATH = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""Limits of the process or the machine: also sockets, pipes and new processes meet them."""


def is_file_error(error: OSError) -> bool:
    """True if `file_error` can explain the error: it names a path, or is a limit."""
    return error.filename is not None or error.errno in _WITHOUT_PATH


def resolved(path: Path) -> Path:
    """The absolute path without links; it need not exist.

    Raises `OSError` or, before Python 3.13, `RuntimeError` for links that lead in a circle, which
    `Path.resolve` returns as they are since then. See `behind`.
    """
    found = path.resolve()
    try:
        found.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
    return found


def behind(error: BaseException) -> OSError | None:
    """The failed file operation that an exception is, or results from; else None.

    Before Python 3.13 `Path.resolve` raises `RuntimeError` for links that lead in a circle.
    """
    if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
        error = error.__context__
    return error if isinstance(error, OSError) and is_file_error(error) else None


def file_error(error: OSError) -> OutputFolderError:
    """The error for a person. Its message names the path, the cause and the owner."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return OutputFolderError(f"the system refused a call: {reason}", hint=_hint_of_limit(error))
    path = path_of(error)
    if error.errno in _DENIED:
        cause = culprit(path)
        where = "" if cause == path else f": {cause}"
        tie = " " if where else ": it "
        owner = f"{where}{tie}belongs to {owner_of(cause)}" if os.path.lexists(cause) else ""
        return OutputFolderError(
            f"cannot use {path}: {reason}{owner}", hint=hint_for(path, cause=cause)
        )
    return OutputFolderError(f"cannot use {path}: {reason}", hint=_hint(error, path))


def path_of(error: OSError) -> Path:
    """The path that an error is about, absolute."""
    name = error.filename
    if isinstance(name, int):
        return Path(f"/dev/fd/{name}")
    return Path(os.fsdecode(name)).absolute()


def culprit(path: Path) -> Path:
    """What denies access to `path`: the first parent folder that this process may not enter, the
    path itself, or the folder that contains it.
    """
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK, effective_ids=True):
            return folder
        if not os.path.lexists(folder):
            return folder.parent
    if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return path
    return path.parent


def owner_of(path: Path) -> str:
    """The owner's name, or `user 1234` without one; links are not followed."""
    uid = path.lstat().st_uid
    return user_name(uid)


def user_name(uid: int) -> str:
    """The name of a user, or `user 1234` for one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def hint_for(path: Path, *, cause: Path | None = None) -> str:
    """What to do where `path` cannot be used because of the owner or mode of `cause`."""
    cause = cause or culprit(path)
    cache = _cache()
    if cache is not None and path.is_relative_to(cache):
        inside = cause.is_relative_to(cache) and cache.exists()
        top = cache if inside and cache.stat().st_uid != os.geteuid() else cause
        return f"name another cache with {CACHE_VARIABLE}, or {_make_yours(top)}"
    home = os.environ.get("HOME")
    if home and path.is_relative_to(home) and not _is_mine(Path(home)):
        return f"set HOME to a folder that you own: {home} is not yours"
    if _is_mine(cause):
        return _make_yours(cause)
    # Not chown: the folder may be anything, such as another user's home.
    return "choose a folder that you own, or have its owner give you access"


def _make_yours(folder: Path) -> str:
    quoted = shlex.quote(str(folder))
    if _is_mine(folder):
        mode = "u+rwx" if stat.S_ISDIR(folder.lstat().st_mode) else "u+rw"
        return f"change its mode: chmod {mode} {quoted}"
    me = user_name(os.geteuid())
    return f"change its owner: sudo chown -R {me.removeprefix('user ')} {quoted}"


def _is_mine(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def _hint(error: OSError, path: Path) -> str:
    cache = _cache()
    cached = cache is not None and path.is_relative_to(cache)
    other = f"name another cache with {CACHE_VARIABLE}" if cached else "choose another path"
    match error.errno:
        case errno.EROFS:
            return f"the file system is read-only: {other}"
        case errno.ENOTDIR | errno.EEXIST:
            return f"{_not_a_folder(path)} is not a folder: remove it, or {other}"
        case errno.ELOOP:
            return f"a symbolic link on this path leads back to itself: remove it, or {other}"
        case errno.ENAMETOOLONG:
            return "use a shorter name: a name has at most 255 bytes, a path 4095"
        case errno.ENOSPC | errno.EDQUOT:
            return f"free some space, or {other}"
        case errno.EINVAL | errno.EISDIR:
            return f"remove what is there, or {other}"
        case errno.ENOENT:
            return "check the path"
        case errno.ENOLCK | errno.EOPNOTSUPP:
            return f"the file system supports no locks: {other}"
        case _:
            return _hint_of_limit(error) or f"check the path and its disk, or {other}"


def _hint_of_limit(error: OSError) -> str | None:
    match error.errno:
        case errno.EMFILE:
            return "raise the limit of open files of this process: ulimit -n 4096"
        case errno.ENFILE:
            return "too many files are open on this machine: stop other programs"
        case errno.EAGAIN | errno.ENOMEM:
            return "the machine or this user's limits (ulimit -u, -v) allow no more"
        case _:
            return None


def _not_a_folder(path: Path) -> Path:
    for folder in (*reversed(path.parents), path):
        if os.path.lexists(folder) and not folder.is_dir():
            return folder
    return path


def _cache() -> Path | None:
    try:
        return cache_dir()
    except UsageError:
        return None
