"""Whether a results folder is still what it was, and what to say when it is not."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderError, OutputFolderLost


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, named so that no other one can be taken for it."""

    folder: Path
    device: int
    inode: int

    @classmethod
    def of(cls, folder: Path) -> Place:
        """The folder that is there now. Raises `OSError`."""
        found = folder.stat()
        return cls(folder, found.st_dev, found.st_ino)

    def unchanged(self) -> bool:
        """Whether it is still this folder that has the name."""
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
            # Records that are open go on growing where the folder was moved to, or nowhere.
            raise FileNotFoundError(errno.ENOENT, "another folder is there now", str(self.folder))


def new_folder(wanted: Path) -> Path:
    """Make a folder of that name, or of the name with -2, -3, … where that is taken.

    Two callers never get the same one. Raises `OutputFolderError`.
    """
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileNotFoundError:
            # A caller that had made the parent, and did not need it, has removed it in between.
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

    It is tried: of a file system that has failed, Linux since 6.13 tells in no other way that it
    takes no writes any more.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"\0")
        probe.flush()


def folder_error(folder: Path, error: OSError, *, starting: bool = False) -> OutputFolderError:
    """A failure to write in words; `starting` before there was anything to lose."""
    kind = OutputFolderError if starting else OutputFolderLost
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return kind(
            f"there is no room left for results in {folder}",
            hint="free some space, or give an --output-dir on another disk",
            detail=str(error),
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return kind(
            f"the results folder {folder} cannot be written: {error.strerror}",
            hint="give an --output-dir that you may write, or change its owner"
            if starting
            else "it could be written when the run began; the kernel's log (dmesg) tells of a disk"
            " that fails",
            detail=str(error),
        )
    if error.errno == errno.ENOENT and not starting:
        return kind(
            f"the results folder {folder} was removed or moved away during the run",
            hint="what was not written by then is lost; run again and leave its folder alone",
            detail=str(error),
        )
    return kind(
        f"the results folder {folder} cannot be used: {error.strerror or error}",
        hint="give another --output-dir",
        detail=str(error),
    )
