"""Put a given bootstrap configuration in a folder from which the SDK finds its own packages."""

from __future__ import annotations

import argparse
from pathlib import Path

import bootstrap
from cosmos import main, say


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--src", type=Path, required=True, help="the SDK's folder")
    parser.add_argument("--config", type=Path, required=True, help="the configuration")
    return parser.parse_args()


def place(args: argparse.Namespace) -> None:
    say(f"made {bootstrap.place(args.project / 'bootstrap', args.src, args.config)}")


if __name__ == "__main__":
    main(lambda: place(parse()))
