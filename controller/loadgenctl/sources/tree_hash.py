"""A folder's content as a hash: of its files' contents, or cheaply of their sizes and times."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_SKIPPED = frozenset({".git", "node_modules", "__pycache__"})
_CHUNK = 1 << 20


def files(root: Path) -> Iterator[Path]:
    """Files and links below `root` in a fixed order, without products of builds and imports."""
    for folder, names, leaves in os.walk(root):
        names[:] = sorted(name for name in names if name not in _SKIPPED)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in sorted([*leaves, *links]):
            if not name.endswith((".pyc", ".pyo")):
                yield Path(folder, name)


def content_hash(root: Path) -> str:
    """A hash of names, executable bits and contents: equal for equal trees in any folder."""
    digest = hashlib.sha256()
    for path in files(root):
        kind = "l" if path.is_symlink() else "x" if os.access(path, os.X_OK) else "f"
        name = os.fsencode(path.relative_to(root).as_posix())
        body = os.fsencode(path.readlink()) if kind == "l" else _digest(path)
        digest.update(b"%s %d %s %s\n" % (kind.encode(), len(name), name, body))
    return digest.hexdigest()


def cheap_hash(root: Path) -> str:
    """A hash of names, sizes and modification times: no file is opened."""
    digest = hashlib.sha256()
    for path in files(root):
        digest.update(stat_line(root, path))
    return digest.hexdigest()


def stat_line(root: Path, path: Path) -> bytes:
    """One file's part of a cheap hash; a file that has disappeared counts as absent."""
    try:
        stat = path.lstat()
    except OSError:
        return b""
    name = os.fsencode(path.relative_to(root).as_posix())
    return b"%d %s %o %d %d\n" % (len(name), name, stat.st_mode, stat.st_size, stat.st_mtime_ns)


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest().encode()


def read_inside(root: Path, path: str) -> bytes | None:
    """The content of a regular file below `root`; None without one, also for a link out of it."""
    target = (root / path).resolve()
    if not target.is_relative_to(root.resolve()) or not target.is_file():
        return None
    return target.read_bytes()
