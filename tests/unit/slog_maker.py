"""Makes slogs: lines as a chain writes them, in the shapes of all its eras."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from loadgenctl.slog.model import BlockRecord

Shape = Literal["time first", "type first", "seconds last", "monotime second"]
SHAPES: Final[tuple[Shape, ...]] = ("time first", "type first", "seconds last", "monotime second")

_LINE = re.compile(rb'^\{"time":([\d.]+),(.*)\}$', re.MULTILINE)
_RESHAPED: Final[dict[Shape, bytes]] = {
    "time first": rb'{"time":\1,\2}',
    "type first": rb'{\2,"time":\1,"monotime":\1}',
    "seconds last": rb'{\2,"time":\1,"monotime":\1,"seconds":1.5e-7}',
    "monotime second": rb'{"time":\1,"monotime":\1,\2}',
}


def reshaped(slog: bytes, shape: Shape) -> bytes:
    """The same slog, its lines in another shape; they are of the first one.

    Their `monotime` shows the same as their `time`.
    """
    return _LINE.sub(_RESHAPED[shape], slog)


def by_time(blocks: Sequence[BlockRecord]) -> list[BlockRecord]:
    """The same blocks without what only lines with a `monotime` tell."""
    return [
        replace(block, begin_steady=None, end_start_steady=None, end_finish_steady=None)
        for block in blocks
    ]


def line(time: float, kind: str, /, **fields: Any) -> bytes:
    """One slog line, in the chain's order of fields and without spaces."""
    whole = {"time": time, "type": kind, **fields}
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


@dataclass
class Slog:
    """A slog in the making; `now` is the chain's clock."""

    now: float = 1000.0
    lines: list[bytes] = field(default_factory=list)

    def add(self, kind: str, /, after: float = 0.1, **fields: Any) -> Slog:
        """One more event, `after` seconds after the one before."""
        self.now = round(self.now + after, 6)
        self.lines.append(line(self.now, kind, **fields))
        return self

    def raw(self, content: bytes) -> Slog:
        """Bytes as they are."""
        self.lines.append(content)
        return self

    def delivery(self, crank: int, vat: str = "v1", compute: int | None = 100) -> Slog:
        """A delivery of 0.1 s with a syscall in the middle: four lines."""
        head: dict[str, Any] = {"crankNum": crank, "vatID": vat, "deliveryNum": crank}
        self.add("deliver", **head, kd=["message"], vd=["message"])
        self.add("syscall", after=0.05, **head, syscallNum=0)
        self.add("syscall-result", after=0.0, **head, syscallNum=0)
        usage = None if compute is None else {"compute": compute}
        return self.add("deliver-result", after=0.05, **head, dr=["ok", None, usage])

    def block(self, height: int, deliveries: int = 0) -> Slog:
        """A whole block: begun 5 s after the event before, its time 6 s before that."""
        block: dict[str, Any] = {"blockHeight": height, "blockTime": int(self.now) - 1}
        self.add("cosmic-swingset-begin-block", after=5.0, **block)
        self.add("cosmic-swingset-end-block-start", after=0.1, **block)
        for number in range(deliveries):
            self.delivery(height * 100 + number)
        return self.add("cosmic-swingset-end-block-finish", after=0.1, **block)

    def content(self) -> bytes:
        """The file."""
        return b"".join(self.lines)
