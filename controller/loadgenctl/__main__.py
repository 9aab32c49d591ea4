"""Entry point of the `loadgenctl` program and of `python -m loadgenctl`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; a Ctrl-C while it loads prints no traceback."""
    try:
        demote_foreign_folders()
        from loadgenctl.cli.app import main as run
        from loadgenctl.cli.standard_streams import standard_streams

        streams = standard_streams()
    except KeyboardInterrupt:
        sys.exit(130)
    with streams:
        run()


def demote_foreign_folders() -> None:
    """Search the folders of PYTHONPATH, and the current folder, last instead of first.

    They belong to other projects: a `json.py` there must not replace the standard library's.
    Packages that are only installed there are still found.
    """
    foreign = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if not sys.flags.safe_path:
        # With `python -m` the first entry is the current folder.
        foreign.append(sys.path[0])
    # Without an import: the imported module could be a foreign one.
    later = {_absolute(entry) for entry in foreign}
    sys.path.sort(key=lambda entry: _absolute(entry) in later)


def _absolute(entry: str) -> str:
    try:
        return os.path.abspath(entry)  # noqa: PTH100 - pathlib is not imported yet
    except FileNotFoundError:
        # The current folder was removed: no relative entry leads anywhere.
        return entry


if __name__ == "__main__":
    main()
