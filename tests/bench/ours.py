"""What is measured of loadgenctl's slog pipeline, as a program of its own.

`python -m tests.bench.ours scan SLOG` scans, `… census SLOG` counts all types, too, and `… follow
SLOG ARCHIVE CODEC` scans and packs as a run does. All print what they found as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import orjson

from loadgenctl.slog.follow import Codec
from loadgenctl.slog.scan import BlockRecord, SlogScanner, scan_file


def follow(slog: Path, archive: Path, codec: Codec) -> list[BlockRecord]:
    """Take all of a slog as the controller's loop does while a chain writes it."""
    # Not needed to scan.
    from loadgenctl.slog.follow import SlogFollower

    scanner = SlogScanner()
    follower = SlogFollower(slog, archive, codec, scanner)
    blocks: list[BlockRecord] = []
    while follower.poll():
        blocks += scanner.take_blocks()
    follower.close()
    return blocks + scanner.take_blocks()


def main(what: str, slog: str, archive: str = "", codec: str = "gzip") -> None:
    """Do what was asked and print it."""
    if what in {"scan", "census"}:
        _, blocks = scan_file(Path(slog), census=what == "census")
    else:
        blocks = follow(Path(slog), Path(archive), cast("Codec", codec))
    found = {
        "blocks": len(blocks),
        "deliveries": sum(block.deliveries for block in blocks),
        "computrons": sum(block.computrons for block in blocks),
    }
    sys.stdout.write(orjson.dumps(found).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
