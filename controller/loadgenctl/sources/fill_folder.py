"""A person's own empty folder, to be filled with an SDK that is kept there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.sources.locks import try_exclusive
from loadgenctl.sources.sdk_cache import remove_tree

UNFINISHED = ".loadgenctl-unfinished"
"""A file in a folder that is being filled, or whose filling was killed."""


def is_blank(folder: Path) -> bool:
    """True for a folder that is empty, or contains only what a killed filling left."""
    if not folder.is_dir():
        return False
    return (folder / UNFINISHED).is_file() or not any(folder.iterdir())


@contextmanager
def filling(
    folder: Path, cleaning: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Iterator[None]:
    """Fill a blank folder; after a failure it is emptied, in `cleaning`, and blank again.

    Raises `UsageError` if another process fills it, or if it is no longer blank.
    """
    if not is_blank(folder):
        raise UsageError(f"{folder} is no longer empty", hint="run again to use its content")
    marker = folder / UNFINISHED
    with try_exclusive(marker) as granted:
        if not granted:
            raise UsageError(
                f"another loadgenctl is building an SDK in {folder}",
                hint="wait until it has finished, then run again",
            )
        _empty(folder, keep=marker)
        try:
            yield
        except BaseException:
            with cleaning():
                _empty(folder, keep=marker)
                marker.unlink(missing_ok=True)
            raise
        marker.unlink()


def _empty(folder: Path, *, keep: Path) -> None:
    for path in folder.iterdir():
        if path == keep:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink()
