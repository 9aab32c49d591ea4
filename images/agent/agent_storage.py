"""How much disk space the files of a folder really use."""

from __future__ import annotations

import os
import stat

MOST_FILES = 20000
"""Most files that are listed; the total always includes all."""

NOT_STATE = frozenset({"flight-recorder.bin"})
"""Files that the total excludes, because they contain no state of the chain. The flight recorder of
the slog's newest lines has 100 MiB from the chain's start, in all SDKs since February 2022.
"""


def storage_usage(folder: str, most: int = MOST_FILES) -> tuple[dict[str, float], float, list[str]]:
    """KiB on disk by file below `folder`, their sum without `NOT_STATE`, and errors.

    Allocated blocks count, as in `du`: holes of sparse files do not, and a file with several names
    counts once. `OSError` if the folder itself cannot be read.
    """
    found: dict[str, float] = {}
    wrong: list[str] = []
    seen: set[tuple[int, int]] = set()
    blocks = 0
    unlisted = 0
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            files, folders = _entries(folder, below)
        except OSError as error:
            if not below:
                raise
            # Databases remove files and folders all the time; that is not an error.
            if not isinstance(error, FileNotFoundError):
                wrong.append(f"{below}: {error.strerror}")
            continue
        pending.extend(folders)
        for path, info in files:
            if info.st_nlink > 1:
                identity = (info.st_dev, info.st_ino)
                if identity in seen:
                    continue
                seen.add(identity)
            if path.rpartition("/")[2] not in NOT_STATE:
                blocks += info.st_blocks
            if len(found) < most:
                found[path] = info.st_blocks * 512 / 1024
            else:
                unlisted += 1
    if unlisted:
        wrong.append(f"{unlisted} more files are in the total only")
    return dict(sorted(found.items())), blocks * 512 / 1024, wrong


def _entries(folder: str, below: str) -> tuple[list[tuple[str, os.stat_result]], list[str]]:
    files = []
    folders = []
    with os.scandir(f"{folder}/{below}") as entries:
        for entry in entries:
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            if stat.S_ISDIR(info.st_mode):
                folders.append(path)
            elif stat.S_ISREG(info.st_mode):
                files.append((path, info))
    return files, folders
