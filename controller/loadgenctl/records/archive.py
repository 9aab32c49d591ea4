"""Pack a folder into a .tar.zst at the lowest priority; and a .tar.zst unpacked again.

    python -m loadgenctl.records.archive FOLDER FILE

The folder is a copy made for this purpose and is removed afterwards. The file appears under its
name only when it is whole and on the disk. While it is packed a lock beside the folder is held,
because the packing outlives a killed run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
from pathlib import Path

import zstandard

from loadgenctl.plainfile import open_plain, require_inside, write_plain
from loadgenctl.records.raw import LOCK, PARTIAL

LEVEL = 3


def partial_of(target: Path) -> Path:
    """The name of an archive that is not whole yet."""
    return target.with_name(target.name + PARTIAL)


def pack(folder: Path, target: Path) -> None:
    """Write `target` from `folder` and remove the folder, which an interrupt leaves there.

    Raises `OSError`.
    """
    partial = partial_of(target)
    try:
        with (
            partial.open("wb") as raw,
            zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw, closefd=False) as packed,
        ):
            with tarfile.open(fileobj=packed, mode="w|") as tar:
                tar.add(folder, arcname=".")
            packed.flush(zstandard.FLUSH_FRAME)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(target)
    except Exception:
        # What is left of the room is the run's; an interrupted one may be gone on with.
        discard(folder)
        raise
    finally:
        partial.unlink(missing_ok=True)
    discard(folder)


def discard(folder: Path) -> None:
    """Remove a folder, or what can be removed of it; under its name there is never a part of it."""
    doomed = folder.with_name(folder.name + ".gone")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def unpack(archive: Path, folder: Path) -> None:
    """Write what `pack` packed into `folder`, which is there and empty, as files of the caller.

    What would lie outside of it, or is no file, folder or link, is refused. Symbolic links that
    lead out of it (a client has one into `/src`) are made last: nothing is written through them.
    Raises `OSError`, also for an archive that is cut off or damaged.
    """
    outward: dict[Path, str] = {}

    def keep(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
        try:
            return tarfile.data_filter(member, place)
        except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
            if not member.issym():
                raise
            # The name is checked as that of any other link.
            inward = tarfile.data_filter(member.replace(linkname=".", deep=False), place)
            outward[folder / inward.name] = member.linkname
            return None

    try:
        with (
            open_plain(archive) as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as packed,
            tarfile.open(fileobj=packed, mode="r|") as tar,
        ):
            tar.extractall(folder, filter=keep)  # noqa: S202 - by the filter for data
        for link, target in outward.items():
            require_inside(link.parent, folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise OSError(f"{archive.name} cannot be unpacked: {error}") from error


if __name__ == "__main__":
    os.nice(19)
    packed_folder, packed_file = map(Path, sys.argv[1:])
    held = packed_folder.with_name(packed_folder.name + LOCK)
    with write_plain(held, append=True) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Unless whoever held it before has packed it.
        if packed_folder.exists() or not packed_file.exists():
            pack(packed_folder, packed_file)
        held.unlink(missing_ok=True)
