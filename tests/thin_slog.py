"""Makes a small slog of a real one: `python tests/thin_slog.py IN OUT.gz FIRST LAST`.

The lines of blocks FIRST to LAST are kept, and those of the startup before block 1, with their
fields in their order and their digits. What makes them large, and no figure is computed of, is left
out: lines of syscalls, cranks, c-lists and consoles, and the payloads of the others. IN may be
packed. Blocks of the thin slog have fewer lines than those of the real one; their other figures are
the same.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from loadgenctl.slog.files import SlogReader

DROPPED = frozenset(
    {"syscall", "syscall-result", "clist", "console", "crank-start", "crank-finish"}
)
EACH = 20
"""Of the deliveries before block 2, replayed ones too, each 20th is kept."""
PAYLOADS = frozenset(
    {
        *("vatSourceBundle", "vatParameters", "description", "kd", "vd", "delivery", "body"),
        *("messages", "params", "coreProposals", "heapStats", "timestamps"),
    }
)


class _Digits(str):
    """A number as it is written."""

    __slots__ = ()


def thin(lines: Iterable[bytes], first: int, last: int) -> Iterator[bytes]:
    """The lines of a thin slog."""
    height, bootstrapped = 0, 0
    for line in lines:
        event = json.loads(line, parse_float=_Digits, parse_int=_Digits)
        kind = event["type"]
        if kind == "cosmic-swingset-begin-block":
            height = int(event["blockHeight"])
        if height > last:
            return
        if height < 2 and kind in {"deliver", "deliver-result"}:
            bootstrapped += kind == "deliver"
            if bootstrapped % EACH:
                continue
        if height >= first - (first == 1) and kind not in DROPPED:
            yield _written(_without(event)).encode() + b"\n"


def _without(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without(each) for name, each in value.items() if name not in PAYLOADS}
    return [_without(each) for each in value] if isinstance(value, list) else value


def _written(value: object) -> str:
    if isinstance(value, _Digits):
        return str(value)
    if isinstance(value, dict):
        inner = (f"{json.dumps(name)}:{_written(each)}" for name, each in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with SlogReader(path) as reader:
        for chunk in reader.chunks(1 << 20):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole


if __name__ == "__main__":
    source, target, first, last = sys.argv[1:]
    made = b"".join(thin(_lines(Path(source)), int(first), int(last)))
    Path(target).write_bytes(gzip.compress(made, 9, mtime=0))
