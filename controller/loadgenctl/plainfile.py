"""Opening files in folders that others also write to: plain files only, never through a link.

Roles write to a run's shared and state folders, and a results folder may come from anywhere. A link
there could lead to any file of the machine; a pipe would block this process for ever.

A file of a role is named by a `RolePath`, whose folders are opened one by one: a link in place of
any of them is refused, even if a role puts it there at the last moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = "a symbolic link"
_THROUGH = "reached through a symbolic link"


class NotPlainError(OSError):
    """There is no plain file, but a link, a pipe, a folder, or a file that is too large."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` there is, for messages."""
        super().__init__(errno.EINVAL, f"it is {what}, not a plain file", str(path))


@dataclass(frozen=True, slots=True)
class RolePath:
    """A file or folder made by a role, below a folder that roles write to."""

    folder: Path
    """Roles change its content, but cannot replace it."""
    below: PurePosixPath
    """The path in that folder: relative, without `..`."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a path that leads out of the folder."""
        if self.below.is_absolute() or ".." in self.below.parts or not self.below.parts:
            raise ValueError(f"{self.below} does not name something below a folder")

    @property
    def name(self) -> str:
        """The last part."""
        return self.below.name

    def __str__(self) -> str:
        """For messages."""
        return str(self._path)

    def open(self, *, buffering: int = -1) -> BinaryIO:
        """Open for reading. Raises as `open_plain`, and for a file with a second name."""
        return os.fdopen(self._open_alone(os.O_RDONLY), "rb", buffering)

    def write(self, content: bytes) -> None:
        """Create the file, or replace its content. Raises as `open`."""
        with os.fdopen(self._open_alone(os.O_WRONLY | os.O_CREAT), "wb") as stream:
            # Truncated only once it is known to be a plain file without a second name.
            stream.truncate(0)
            stream.write(content)

    def read(self, most: int) -> bytes:
        """The complete content. Raises as `open`, and for more than `most` bytes."""
        with self.open() as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise NotPlainError(self._path, f"larger than {most} bytes")
        return data

    def stat(self) -> os.stat_result:
        """Its own status, never that of a link's target. Raises `OSError`."""
        with self._parent() as parent:
            return os.stat(self.name, dir_fd=parent, follow_symlinks=False)

    def exists(self) -> bool:
        """True for a plain file or folder. Raises `NotPlainError` behind a link."""
        try:
            mode = self.stat().st_mode
        except FileNotFoundError:
            return False
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the name. Raises `OSError`, `NotPlainError` for a folder."""
        forgiven = (FileNotFoundError,) if missing_ok else ()
        try:
            with contextlib.suppress(*forgiven), self._parent() as parent:
                os.unlink(self.name, dir_fd=parent)
        except IsADirectoryError as error:
            raise NotPlainError(self._path, "a folder") from error

    @contextmanager
    def opened_folder(self) -> Iterator[int]:
        """A descriptor of the folder. Raises `OSError`."""
        with self._parent() as parent:
            descriptor = _open_folder(self._path, self.name, parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def move(self, target: Path) -> list[str]:
        """Move it to `target`, which no role can write to and which is on the same file system.

        Returns the names below a folder that were removed because they are neither plain files nor
        folders. Raises `OSError`; a target that is neither is removed, too.
        """
        with self._parent() as parent:
            os.rename(self.name, target, src_dir_fd=parent)
        # Checked only now: before the move, a role could have replaced it.
        mode = target.lstat()
        if stat.S_ISDIR(mode.st_mode):
            return _remove_others(target)
        if not _alone(mode):
            target.unlink()
            raise NotPlainError(self._path, _kind(mode))
        return []

    def _open_alone(self, flags: int) -> int:
        with self._parent() as parent:
            descriptor = _open(self._path, flags, parent)
        if os.fstat(descriptor).st_nlink > 1:
            os.close(descriptor)
            raise NotPlainError(self._path, "a hard link")
        return descriptor

    @property
    def _path(self) -> Path:
        return self.folder / self.below

    @contextmanager
    def _parent(self) -> Iterator[int]:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            at = self.folder
            for part in self.below.parts[:-1]:
                at /= part
                inner = _open_folder(at, part, descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def open_plain(path: Path | RolePath, *, buffering: int = -1) -> BinaryIO:
    """Open for reading. Raises `NotPlainError`, `OSError`; never waits for a pipe."""
    if isinstance(path, RolePath):
        return path.open(buffering=buffering)
    return os.fdopen(_open(path, os.O_RDONLY), "rb", buffering)


def write_plain(path: Path, *, append: bool = False) -> BinaryIO:
    """Create or truncate the file, or append to it. Raises `NotPlainError`, `OSError`."""
    # Truncated only once it is known to be a plain file.
    descriptor = _open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0))
    if not append:
        os.ftruncate(descriptor, 0)
    return os.fdopen(descriptor, "ab" if append else "wb")


def kind_of(path: Path) -> str:
    """What there is in place of a plain file, for messages."""
    return _what(path, None)


def require_inside(path: Path, folder: Path) -> None:
    """Raise `NotPlainError` for a link between `folder` and `path`, which is below it."""
    if path.resolve() != folder.resolve() / path.relative_to(folder):
        raise NotPlainError(path, _THROUGH)


def _open(path: Path, flags: int, parent: int | None = None) -> int:
    name = path if parent is None else path.name
    try:
        # Without O_NONBLOCK the open waits for a pipe's other end; plain files ignore the flag.
        descriptor = os.open(
            name,
            flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY,
            0o644,
            dir_fd=parent,
        )
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise NotPlainError(path, _what(name, parent)) from error
        if parent is not None and error.errno == errno.EACCES:
            raise NotPlainError(path, "unreadable") from error
        raise OSError(error.errno, error.strerror, str(path)) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise NotPlainError(path, _kind(found))
    return descriptor


def _open_folder(path: Path, name: str, parent: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        # Linux answers with ENOTDIR for a link, too.
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            what = _what(name, parent)
            raise NotPlainError(path, _THROUGH if what == _LINK else what) from error
        if error.errno == errno.EACCES:
            raise NotPlainError(path, "unreadable") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def _remove_others(top: Path) -> list[str]:
    """Remove what is neither a plain file nor a folder from a tree that roles cannot write to."""
    removed = []
    for folder, names, files, descriptor in os.fwalk(top, onerror=_unless_gone):
        for name in (*names, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode) and not _alone(found):
                os.unlink(name, dir_fd=descriptor)
                removed.append(str(Path(folder, name).relative_to(top)))
    return removed


def _unless_gone(error: OSError) -> None:
    """A link that was removed is not entered; a folder that cannot be entered is an error."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _alone(found: os.stat_result) -> bool:
    """True for a plain file with a single name."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _what(name: Path | str, parent: int | None) -> str:
    try:
        return _kind(os.stat(name, dir_fd=parent, follow_symlinks=False))
    except OSError:
        return "gone or unreadable"


def _kind(found: os.stat_result) -> str:
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        return _LINK
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISREG(mode):
        return "a hard link" if found.st_nlink > 1 else "a file"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket or device"
