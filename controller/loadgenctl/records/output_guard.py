"""Whether a results folder is still the same one, and the errors if it is not."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderError, OutputFolderLost


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, identified so that another one of the same name is noticed."""

    folder: Path
    device: int
    inode: int

    @classmethod
    def of(cls, folder: Path) -> Place:
        """The folder that is there now. Raises `OSError`."""
        found = folder.stat()
        return cls(folder, found.st_dev, found.st_ino)

    def unchanged(self) -> bool:
        """Whether this folder still has the name."""
        try:
            return Place.of(self.folder) == self
        except OSError:
            return False

    def require(self) -> None:
        """Raise `OSError` if the folder is not there, is another one, or is mounted read-only.
        Costs two system calls.
        """
        if os.statvfs(self.folder).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self.folder))
        if not self.unchanged():
            # Open records continue to grow where the folder was moved to, or nowhere.
            raise FileNotFoundError(errno.ENOENT, "another folder is there now", str(self.folder))


def new_folder(wanted: Path) -> Path:
    """Make a folder of that name, or of the name with -2, -3, … where that is taken.

    Two callers never get the same folder. Raises `OutputFolderError`.
    """
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileNotFoundError:
            # Another caller had made the parent, did not need it, and removed it meanwhile.
            continue
        except FileExistsError as error:
            if not folder.parent.is_dir():
                raise folder_error(folder, error, starting=True) from error
            number += 1
        except OSError as error:
            raise folder_error(folder, error, starting=True) from error
        else:
            return folder


def require_writable(folder: Path) -> None:
    """Raise `OSError` if nothing can be written there.

    It writes a byte: since Linux 6.13 nothing else shows that a file system has failed and refuses
    writes.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"\0")
        probe.flush()


def folder_error(folder: Path, error: OSError, *, starting: bool = False) -> OutputFolderError:
    """The error for a failure to write; `starting`: at the start, when nothing can be lost."""
    kind = OutputFolderError if starting else OutputFolderLost
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return kind(
            f"there is no space left for results in {folder}",
            hint="free some space, or give an --output-dir on another disk",
            detail=str(error),
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return kind(
            f"the results folder {folder} cannot be written: {error.strerror}",
            hint="give an --output-dir that you may write, or change its owner"
            if starting
            else "it could be written when the run began; check the kernel's log (dmesg) for a disk"
            " that fails",
            detail=str(error),
        )
    if error.errno == errno.ENOENT and not starting:
        return kind(
            f"the results folder {folder} was removed or moved away during the run",
            hint="what was not written by then is lost; run again and do not change its folder",
            detail=str(error),
        )
    return kind(
        f"the results folder {folder} cannot be used: {error.strerror or error}",
        hint="give another --output-dir",
        detail=str(error),
    )
