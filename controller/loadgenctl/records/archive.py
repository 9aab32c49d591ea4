"""Pack a folder into a .tar.zst at the lowest priority.

    python -m loadgenctl.records.archive FOLDER FILE

The folder is a copy made for this purpose and is removed afterwards. The file appears under its
name only when it is whole.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

import zstandard

LEVEL = 3


def partial_of(target: Path) -> Path:
    """The name of an archive that is not whole yet."""
    return target.with_name(target.name + ".partial")


def pack(folder: Path, target: Path) -> None:
    """Write `target` from `folder` and remove the folder. Raises `OSError`."""
    partial = partial_of(target)
    try:
        with (
            partial.open("wb") as raw,
            zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            tar.add(folder, arcname=".")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.nice(19)
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
