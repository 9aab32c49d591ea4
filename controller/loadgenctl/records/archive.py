"""Packs a folder into a .tar.zst at the lowest priority, and unpacks a .tar.zst.

    python -m loadgenctl.records.archive FOLDER FILE

The folder is a copy made for this purpose and is removed afterwards. The file gets its name only
when it is complete and on the disk. A lock beside the folder is held meanwhile, because the packing
outlives a killed run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath

import zstandard

from loadgenctl.plainfile import open_plain, require_inside, write_plain
from loadgenctl.records.raw_parts import LOCK, PARTIAL

LEVEL = 3


def partial_of(target: Path) -> Path:
    """The name of an archive that is not complete yet."""
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
                tar.add(folder, arcname=".", filter=_storable)
            packed.flush(zstandard.FLUSH_FRAME)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(target)
    except Exception:
        # The run needs the space; only an interrupted run may be resumed and keeps the copy.
        discard(folder)
        raise
    finally:
        partial.unlink(missing_ok=True)
    discard(folder)


def discard(folder: Path) -> None:
    """Remove a folder, or what can be removed of it; a part of it never keeps its name."""
    doomed = folder.with_name(folder.name + ".gone")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def unpack(archive: Path, folder: Path) -> None:
    """Write what `pack` packed into the existing empty `folder`, as files of the caller.

    Members outside the folder are refused, and members that are no file, folder or link. Links are
    made last, so that nothing is written through them; they may lead out of the folder (a client
    has one into `/src`). Modes lose setuid, setgid and the write permission of others.
    Raises `OSError`, also for an archive that is cut off or damaged.
    """
    # `extractall(filter="data")` needs Python 3.11.4.
    links: list[tarfile.TarInfo] = []
    try:
        with (
            open_plain(archive) as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as packed,
            tarfile.open(fileobj=packed, mode="r|") as tar,
        ):
            for member in tar:
                if member.issym():
                    links.append(member)
                else:
                    _unpack_member(tar, member, folder)
        for link in links:
            path = _inside(folder, link.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(link.linkname)
    except (tarfile.TarError, zstandard.ZstdError, ValueError) as error:
        raise OSError(f"{archive.name} cannot be unpacked: {error}") from error


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = _inside(folder, member.name)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.islnk():
        target = _inside(folder, member.linkname)
        if not target.is_file():
            raise tarfile.TarError(f"{member.name} is a link to {member.linkname}, no file of it")
        path.hardlink_to(target)
        return
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise tarfile.TarError(f"{member.name} is no file, folder or link")
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file)
        # Always readable for its owner; executable for all or for none.
        mode = (member.mode & 0o755 | 0o600) & (0o777 if member.mode & 0o100 else 0o666)
        os.fchmod(file.fileno(), mode)
    os.utime(path, (member.mtime, member.mtime))


def _inside(folder: Path, name: str) -> Path:
    """The path of a member; below the folder there are no links yet.

    Raises `TarError` for a name that leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise tarfile.TarError(f"{name!r} is outside the folder")
    path = folder.joinpath(*parts)
    require_inside(path.parent if path != folder else path, folder)
    return path


def _storable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out pipes and devices: they have no content, and `unpack` refuses them."""
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None


if __name__ == "__main__":
    os.nice(19)
    packed_folder, packed_file = map(Path, sys.argv[1:])
    held = packed_folder.with_name(packed_folder.name + LOCK)
    with write_plain(held, append=True) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Unless the process that held the lock before has packed it.
        if packed_folder.exists() or not packed_file.exists():
            pack(packed_folder, packed_file)
        # The lock file stays: another process may wait on it, and a third would make a new one.
