"""An empty folder of a person's own, to be filled with an SDK that stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.sources.cache import remove_tree
from loadgenctl.sources.locks import try_exclusive

UNFINISHED = ".loadgenctl-unfinished"
"""A file in a folder that is being filled, or was until the filling was killed."""


def is_blank(folder: Path) -> bool:
    """True for a folder with nothing in it but what a filling left that was killed."""
    if not folder.is_dir():
        return False
    return (folder / UNFINISHED).is_file() or not any(folder.iterdir())


@contextmanager
def filling(
    folder: Path, cleaning: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Iterator[None]:
    """Fill a blank folder; one that did not come to its end is blank again, emptied in `cleaning`.

    Raises `UsageError` when another process is at it, or somebody put something there.
    """
    if not is_blank(folder):
        raise UsageError(f"{folder} is not empty any more", hint="run again to use what is there")
    marker = folder / UNFINISHED
    with try_exclusive(marker) as granted:
        if not granted:
            raise UsageError(
                f"another loadgenctl is building an SDK in {folder}",
                hint="wait for its end, then run again",
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
