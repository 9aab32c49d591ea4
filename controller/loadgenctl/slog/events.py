"""The event types that count, and how their lines are found without parsing the others.

A multi-pattern byte search runs over whole chunks; a hit counts only where it stands at its line's
head, behind `{"time":S,` and, with newer SDKs, `"monotime":S,`. A payload that quotes an event
cannot pass: inside a JSON string its quotation marks are escaped, and it is not at the head.
"""

from __future__ import annotations

import re
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from .lines import Span

CREATE_VAT: Final = "create-vat"
VAT_STARTUP_FINISH: Final = "vat-startup-finish"
START_REPLAY: Final = "start-replay"
REPLAY_TRANSCRIPT_START: Final = "replay-transcript-start"
FINISH_REPLAY: Final = "finish-replay"
REPLAY_DELIVERY: Final = "start-replay-delivery"
TERMINATE: Final = "terminate"
KERNEL_IMPORT_START: Final = "import-kernel-start"
BOOTSTRAP_START: Final = "cosmic-swingset-bootstrap-block-start"
BOOTSTRAP_FINISH: Final = "cosmic-swingset-bootstrap-block-finish"
BEGIN_BLOCK: Final = "cosmic-swingset-begin-block"
END_BLOCK_START: Final = "cosmic-swingset-end-block-start"
END_BLOCK_FINISH: Final = "cosmic-swingset-end-block-finish"
DELIVER: Final = "deliver"
DELIVER_RESULT: Final = "deliver-result"

EVENT_TYPES: Final = (
    CREATE_VAT,
    VAT_STARTUP_FINISH,
    START_REPLAY,
    REPLAY_TRANSCRIPT_START,
    FINISH_REPLAY,
    REPLAY_DELIVERY,
    TERMINATE,
    KERNEL_IMPORT_START,
    BOOTSTRAP_START,
    BOOTSTRAP_FINISH,
    BEGIN_BLOCK,
    END_BLOCK_START,
    END_BLOCK_FINISH,
    DELIVER,
    DELIVER_RESULT,
)

OTHER_TYPES: Final = frozenset(
    {
        "AG_COSMOS_INIT",
        "clist",
        "console",
        "cosmic-swingset-bridge-inbound",
        "cosmic-swingset-deliver-inbound",
        "cosmic-swingset-run-finish",
        "cosmic-swingset-run-start",
        "cosmic-swingset-commit-start",
        "cosmic-swingset-commit-finish",
        "cosmic-swingset-commit-block-start",
        "cosmic-swingset-commit-block-finish",
        "cosmic-swingset-inject-kernel-upgrade-events",
        "cosmic-swingset-upgrade-start",
        "cosmic-swingset-upgrade-finish",
        "crank-start",
        "crank-finish",
        "finish-replay-delivery",
        "heap-snapshot-load",
        "heap-snapshot-save",
        "import-kernel-finish",
        "kernel-init-start",
        "kernel-init-finish",
        "bundle-kernel-start",
        "bundle-kernel-finish",
        "kernel-stats",
        "replay-transcript-finish",
        "syscall",
        "syscall-result",
        "vat-startup-start",
    }
)
"""Types that are known and of no use here; a census counts everything else as unknown."""

_HEAD = re.compile(rb'\{"time":-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?,(?:"monotime":-?[\d.eE+-]+,)?"t')
_HEAD_LIMIT = 96
"""A line's head up to its type is shorter than this many bytes."""
_ANY_TYPE = re.compile(rb'\n\{"time":[\d.]+,(?:"monotime":[\d.]+,)?"type":"([^"]{1,80})"')

_DELIVERY = re.compile(
    rb'\{"time":([\d.]+),(?:"monotime":[\d.]+,)?"type":"[a-z-]+"'
    rb'(?:,"crankNum":(\d+))?(?:,"vatID":"([^"\\]{1,64})")?'
)
_VAT_ID = re.compile(rb'[{,]"vatID":"([^"\\]{1,64})"')
_NAME = re.compile(rb'[{,]"name":"((?:[^"\\]|\\.){0,256})"')
_MANAGER = re.compile(rb'[{,]"managerType":"([^"\\]{1,64})"')
_DYNAMIC = re.compile(rb'[{,]"dynamic":(true|false)')
_BULKY = re.compile(rb',"vat(?:Parameters|SourceBundle)":')
_CREATE_HEAD = 8192
"""The fields of a create-vat line that matter stand before its bundle, within these bytes."""


class EventFinder:
    """Finds the lines of `EVENT_TYPES` in buffers of whole lines."""

    def __init__(self) -> None:
        """Compile the search; cheap (microseconds), no state is kept between buffers."""
        # From the y of `"type":"…"` on: that letter is rarer in slogs than what stands before it,
        # and the search, which looks for a pattern's rarest byte first, runs at twice the speed.
        patterns = [f'ype":"{name}"'.encode() for name in EVENT_TYPES]
        self._search = BytesAhoCorasick(
            patterns, matchkind=MatchKind.Standard, implementation=Implementation.DFA
        )

    def find(self, span: Span) -> tuple[list[tuple[str, int]], int]:
        """Return `([(event type, offset of its line's start)…], hits not at a line's head)`.

        Offsets are in the span's buffer, as are the hits in it: outside of it there are none.
        """
        events: list[tuple[str, int]] = []
        buffer, begin, end = span
        match, before = _HEAD.fullmatch, buffer.rfind
        found = self._search.find_matches_as_indexes(buffer)
        if found and (found[0][1] < begin or found[-1][1] >= end):
            found = [hit for hit in found if begin <= hit[1] < end]
        for index, start, _end in found:
            # No further back than a head is long: a line of megabytes may be full of hits.
            low = start - _HEAD_LIMIT
            line = before(b"\n", max(begin, low), start) + 1
            if not line and low <= begin:
                line = begin
            if line >= begin and match(buffer, line, start) is not None:
                events.append((EVENT_TYPES[index], line))
        return events, len(found) - len(events)


def types_of(span: Span) -> list[bytes]:
    """The type of every line that starts as a slog line does; for a census of all events."""
    buffer, begin, end = span
    # Searching for the newline too, rather than for a line's start, is several times as fast.
    first = _ANY_TYPE.match(b"\n" + buffer[begin : begin + 256])
    rest: list[bytes] = _ANY_TYPE.findall(buffer, begin, end)
    return rest if first is None else [first[1], *rest]


def delivery_head(buffer: bytes, line: int) -> tuple[float, str | None] | None:
    """`(time, vatID)` of a delivery whose line starts at `line`, without parsing its payload."""
    found = _DELIVERY.match(buffer, line)
    if found is None:
        return None
    vat = found[3]
    if vat is None:
        # An SDK with another order of fields: look a little further.
        later = _VAT_ID.search(buffer, line, line + 400)
        vat = None if later is None else later[1]
    return float(found[1]), None if vat is None else vat.decode("utf-8", "replace")


def create_vat_head(head: bytes) -> dict[str, object]:
    """The fields of a create-vat event from the head of its line: the bundle may be megabytes."""
    bulk = _BULKY.search(head, 0, _CREATE_HEAD)
    end = _CREATE_HEAD if bulk is None else bulk.start()
    fields: dict[str, object] = {}
    found = _DELIVERY.match(head)
    if found is not None:
        fields["time"] = float(found[1])
    for key, pattern in (("vatID", _VAT_ID), ("name", _NAME), ("managerType", _MANAGER)):
        value = pattern.search(head, 0, end)
        if value is not None:
            fields[key] = value[1].decode("utf-8", "replace")
    dynamic = _DYNAMIC.search(head, 0, end)
    if dynamic is not None:
        fields["dynamic"] = dynamic[1] == b"true"
    return fields
