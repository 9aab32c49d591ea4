"""Entry point of the `loadgenctl` program and of `python -m loadgenctl`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a Ctrl-C while it is still being loaded is no error to trace."""
    try:
        from loadgenctl.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
