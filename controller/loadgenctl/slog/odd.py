"""Lines of a slog that another program has written again: with spaces, or their fields reordered.

Scripts that filter slogs or remove names from them write JSON in their own way. Such lines are
parsed as a whole, which takes longer than to search them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from .events import EVENT_TYPES, OTHER_TYPES, TYPE, is_usual
from .fields import is_plain
from .lines import Span

BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark that some programs begin a file with."""
_KEPT: Final = (
    "crankNum",
    "vatID",
    "name",
    "managerType",
    "dynamic",
    "blockHeight",
    "blockTime",
)
"""What is looked for near a line's head."""
_WANTED: Final = frozenset(EVENT_TYPES)
_LISTED: Final = _WANTED | OTHER_TYPES
_NUMBERS: Final = frozenset({int, float})


@dataclass(slots=True)
class OddLine:
    """A line in a buffer whose head is not as the chain writes it."""

    start: int
    end: int
    """Where its newline stands."""
    event: dict[str, Any] | None
    """All its fields, if it is an event that counts."""
    found: bool = False
    """It has been told: further hits in it are its payload."""

    def rewritten(self) -> bytes:
        """The event's line as the chain writes it, without what is behind its head."""
        event, fields = self.event or {}, {}
        if type(event.get("time")) in _NUMBERS:
            names = ("time", "monotime")
            fields = {name: event[name] for name in names if type(event.get(name)) in _NUMBERS}
        kept = {name: event[name] for name in (TYPE, *_KEPT) if is_plain(event.get(name))}
        return orjson.dumps(fields | kept)


class OddLines:
    """The lines of a span that have no usual head; each is parsed once, whatever stands in it."""

    def __init__(self, span: Span) -> None:
        """`span` is of whole lines."""
        self._span = span
        self._lines: dict[int, OddLine | None] = {}
        self._last = (0, 0)

    @property
    def seen(self) -> bool:
        """True if events were found in such lines."""
        return any(line is not None and line.event is not None for line in self._lines.values())

    @property
    def line_start(self) -> int:
        """Where the line begins that was asked for last."""
        return self._last[0]

    def at(self, hit: int) -> OddLine | None:
        """The line that holds `hit`; None if its head is a usual one."""
        buffer, begin, end = self._span
        start, stop = self._last
        if not start <= hit < stop:
            start = buffer.rfind(b"\n", begin, hit) + 1 or begin
            stop = buffer.find(b"\n", hit, end)
            self._last = (start, stop)
            if start not in self._lines:
                usual = is_usual(buffer, start, stop)
                event = None if usual else event_of(buffer[start:stop])
                wanted = event is not None and event[TYPE] in _WANTED
                self._lines[start] = (
                    None if usual else OddLine(start, stop, event if wanted else None)
                )
        return self._lines[start]


def event_of(line: bytes) -> dict[str, Any] | None:
    """The fields of any line that is a JSON object with a type."""
    content = line.removeprefix(BOM).strip()
    if not content.startswith(b"{"):
        return None
    try:
        event = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event.get(TYPE), str) else None


def is_json(line: bytes) -> bool:
    """True for a whole JSON object or array."""
    if not line.lstrip().startswith((b"{", b"[")):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def may_begin_slog(beginning: bytes) -> bool:
    """False if a file that begins so has no event in its first line, and never will."""
    content = beginning.removeprefix(BOM).lstrip()
    line, newline, _ = content.partition(b"\n")
    if not newline:
        # The line continues, here or when it is written.
        return not line or line.startswith(b"{")
    event = event_of(line)
    return is_usual(line) or (event is not None and event[TYPE] in _LISTED)
