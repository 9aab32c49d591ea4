"""Lines of a slog that another program has rewritten: with spaces or reordered fields.

Scripts that filter slogs or remove names from them format JSON differently. Such lines are parsed
completely, which is slower than searching them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from loadgenctl.slog.event_fields import is_plain
from loadgenctl.slog.events import EVENT_TYPES, OTHER_TYPES, TYPE, is_usual
from loadgenctl.slog.line_splitter import Span

BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark with which some programs begin a file."""
_KEPT: Final = (
    "crankNum",
    "vatID",
    "name",
    "managerType",
    "dynamic",
    "blockHeight",
    "blockTime",
)
"""Fields that are searched for near a line's head."""
_WANTED: Final = frozenset(EVENT_TYPES)
_LISTED: Final = _WANTED | OTHER_TYPES
_NUMBERS: Final = frozenset({int, float})


@dataclass(slots=True)
class OddLine:
    """A line in a buffer with a head that differs from what the chain writes."""

    start: int
    end: int
    """The offset of its newline."""
    event: dict[str, Any] | None
    """All its fields if it is a wanted event."""
    found: bool = False
    """It was reported: further hits in it are payload."""

    def rewritten(self) -> bytes:
        """The event's line as the chain writes it, without what follows the head."""
        event, fields = self.event or {}, {}
        if type(event.get("time")) in _NUMBERS:
            names = ("time", "monotime")
            fields = {name: event[name] for name in names if type(event.get(name)) in _NUMBERS}
        kept = {name: event[name] for name in (TYPE, *_KEPT) if is_plain(event.get(name))}
        return orjson.dumps(fields | kept)


class OddLines:
    """The lines of a span without a usual head; each is parsed once."""

    def __init__(self, span: Span) -> None:
        """`span` consists of complete lines."""
        self._span = span
        self._lines: dict[int, OddLine | None] = {}
        self._last = (0, 0)

    @property
    def seen(self) -> bool:
        """True if events were found in such lines."""
        return any(line is not None and line.event is not None for line in self._lines.values())

    @property
    def line_start(self) -> int:
        """The start of the line that `at` returned last."""
        return self._last[0]

    def at(self, hit: int) -> OddLine | None:
        """The line that contains `hit`; None if its head is a usual one."""
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
    """True for a complete JSON object or array."""
    if not line.lstrip().startswith((b"{", b"[")):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def may_begin_slog(beginning: bytes) -> bool:
    """False if the first line of a file that begins like this cannot become an event."""
    content = beginning.removeprefix(BOM).lstrip()
    line, newline, _ = content.partition(b"\n")
    if not newline:
        # The line is incomplete here, or not yet written completely.
        return not line or line.startswith(b"{")
    event = event_of(line)
    return is_usual(line) or (event is not None and event[TYPE] in _LISTED)
