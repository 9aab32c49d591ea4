"""The blocks that stand in a folder's slogs, read without the package's own reader."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"chain-stage-(\d+)\.slog(\.gz)?")
_GZIP: Final = 31
"""zlib's word for gzip members."""


def blocks_in(folder: Path) -> set[tuple[int, int]]:
    """(stage, height) of every block whose end stands whole in a slog of the folder.

    A plain slog, which a run deletes once it is packed, is the whole one: it goes first.
    """
    found: dict[int, Path] = {}
    for file in [*folder.glob("chain-stage-*"), *folder.glob("shared/chain-stage-*")]:
        match = _NAME.fullmatch(file.name)
        if match is not None and (match[2] is None or int(match[1]) not in found):
            found[int(match[1])] = file
    return {(stage, height) for stage, file in found.items() for height in _heights(file)}


def _heights(file: Path) -> set[int]:
    data = file.read_bytes()
    if file.suffix == ".gz":
        data = inflated(data)
    begun, heights = set(), set()
    for line in data.split(b"\n"):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last one may be torn
        if event.get("type") == "cosmic-swingset-begin-block":
            begun.add(int(event["blockHeight"]))
        if event.get("type") == "cosmic-swingset-end-block-finish":
            heights.add(int(event["blockHeight"]))
    # The bootstrap ends like a block but never begins as one, and is none.
    return heights & begun


def inflated(data: bytes) -> bytes:
    """All that can be had of gzip members, the last of which may be cut off."""
    out = b""
    while data:
        member = zlib.decompressobj(_GZIP)
        out += member.decompress(data)
        data = member.unused_data
    return out
