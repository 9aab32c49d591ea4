"""The wanted event types, and how their lines are found without parsing the others.

Lines have three forms (docs/slog.md), which differ in what precedes the type:

    {"time":S,"type":"…",…}                          until June 2022
    {"type":"…",…,"time":S,"monotime":M}             since then; some have `"seconds":D` after that
    {"time":S,"monotime":M,"type":"…",…}

Lines that another program rewrote may have spaces, reordered fields or a byte order mark: they are
parsed completely (`slog.reformatted_lines`).

A byte search runs over complete chunks; a hit counts only in the head of its line. A payload that
quotes an event never counts: in a JSON string its quotation marks are escaped, and it is not in the
head.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from loadgenctl.slog.line_splitter import Span

if TYPE_CHECKING:
    from loadgenctl.slog.reformatted_lines import OddLines

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
UPGRADE_START: Final = "cosmic-swingset-upgrade-start"
UPGRADE_FINISH: Final = "cosmic-swingset-upgrade-finish"
RUN_START: Final = "cosmic-swingset-run-start"
RUN_FINISH: Final = "cosmic-swingset-run-finish"
KERNEL_STATS: Final = "kernel-stats"
COMMIT_START: Final = "cosmic-swingset-commit-block-start"
COMMIT_FINISH: Final = "cosmic-swingset-commit-block-finish"
AFTER_COMMIT_BLOCK: Final = "cosmic-swingset-after-commit-block"
AFTER_COMMIT_STATS: Final = "cosmic-swingset-after-commit-stats"
SNAPSHOT_SAVE: Final = "heap-snapshot-save"
SNAPSHOT_LOAD: Final = "heap-snapshot-load"
VAT_CLEANUP: Final = "vat-cleanup"
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
    UPGRADE_START,
    UPGRADE_FINISH,
    RUN_START,
    RUN_FINISH,
    KERNEL_STATS,
    COMMIT_START,
    COMMIT_FINISH,
    AFTER_COMMIT_BLOCK,
    AFTER_COMMIT_STATS,
    SNAPSHOT_SAVE,
    SNAPSHOT_LOAD,
    VAT_CLEANUP,
    DELIVER,
    DELIVER_RESULT,
)

OTHER_TYPES: Final = frozenset(
    {
        "bundle-kernel-start",
        "bundle-kernel-finish",
        "clist",
        "console",
        "cosmic-swingset-bridge-inbound",
        "cosmic-swingset-deliver-inbound",
        "cosmic-swingset-init",
        "cosmic-swingset-inject-kernel-upgrade-events",
        "cosmic-swingset-install-bundle",
        "cosmic-swingset-snapshot-start",
        "cosmic-swingset-snapshot-finish",
        "cosmic-swingset-timer-poll",
        "crank-start",
        "crank-finish",
        "finish-replay-delivery",
        "import-kernel-finish",
        "kernel-init-start",
        "kernel-init-finish",
        "replay-transcript-finish",
        "slogger-confused",
        "syscall",
        "syscall-result",
        "vat-cleanup-complete",
        "vat-startup-start",
    }
)
"""Known types that are not used here; a census counts all other types as unknown."""

# Possessive, because backtracking cannot succeed: matching is a few percent faster.
_TIME = rb"\d++(?:\.\d++)?+"
_NUMBER = rb"[\d.eE+-]++"
_HEAD = re.compile(
    rb'\{(?:"time":(%s),(?:"monotime":(%s),)?)?"type":"([^"\n]++)"' % (_TIME, _NUMBER)
)
"""A line's head: its times if they come first, and its type."""
DELIVERY_HEAD: Final = re.compile(
    rb'\{(?:"time":(%s),(?:"monotime":(%s),)?)?"type":"deliver'
    rb'(?:"(?:,"crankNum":\d++)?,"vatID":"([^"\\\n]{1,64}+)"|-result")' % (_TIME, _NUMBER)
)
"""The head of a delivery: its times if they come first, and its vat; or that of a result, without
vat.
"""
HEAD_LIMIT: Final = 96
"""A wanted type begins within this many bytes of its line's start."""
_TAIL = re.compile(
    rb',"time":(%s),"monotime":(%s)(?:,"seconds":%s)?\}\r?\Z' % (_TIME, _NUMBER, _NUMBER)
)
_TAIL_LIMIT: Final = 128
"""The times at the end of a line need fewer bytes than this."""
_QUOTED = re.compile(rb'"type":"([a-z-]+)"')
_ANY_TYPE = re.compile(
    rb'\n\{(?:"time":%s,(?:"monotime":%s,)?)?"type":"([^"\n]{1,80})"' % (_NUMBER, _NUMBER)
)

_VAT_ID = re.compile(rb'[{,]"vatID":"([^"\\]{1,64})"')
_NAME = re.compile(rb'[{,]"name":"((?:[^"\\]|\\.){0,256})"')
_MANAGER = re.compile(rb'[{,]"managerType":"([^"\\]{1,64})"')
_DYNAMIC = re.compile(rb'[{,]"dynamic":(true|false)')
_BULKY = re.compile(rb',"vat(?:Parameters|SourceBundle)":')
_CREATE_HEAD: Final = 8192
"""The needed fields of a create-vat line precede its bundle, within these bytes."""

_CRANK: Final = b"crank-start"
"""The message in its line has its own type, such as `create-vat`."""
_NAMES: Final = {name.encode(): name for name in EVENT_TYPES}

Head = re.Match[bytes]
Event = tuple[str, int, Head]
"""An event's type, the offset of its line, and the match of its head."""


class Found(NamedTuple):
    """The events in a buffer; see `EventFinder.find`."""

    events: list[Event]
    """All but the deliveries, in order."""
    deliveries: list[int]
    """Offsets of possible deliveries and results, in order; `DELIVERY_HEAD` decides."""
    stray: int
    """How many wanted types are not the type of their line, without those of deliveries."""


class EventFinder:
    """Finds the lines of `EVENT_TYPES` in buffers of complete lines.

    A search for several patterns searches the rarest byte of each, and is slower if that byte is
    more frequent; a search for one pattern is several times as fast. So the types with a hyphen,
    which is rare in slogs, are searched together, each from its hyphen, and the others separately.
    """

    def __init__(self, *, thorough: bool = False) -> None:
        """Compile the searches; cheap (microseconds). No state is kept between buffers.

        If `thorough`, also find deliveries with spaces before their type, which needs one more
        search.
        """
        behind = {
            name[name.index(b"-") :] + b'"'
            for name in _NAMES
            if b"-" in name and name != DELIVER_RESULT.encode()
        }
        deliveries = [b'ype":"deliver']
        terminate = b'ype":"terminate'
        if thorough:
            deliveries, terminate = [b'"deliver"', b'"deliver-result"'], b'"terminate"'
        self._deliveries = [_search([pattern]) for pattern in deliveries]
        self._others = [_search([terminate]), _search(sorted(behind))]

    def find(self, span: Span, odd: OddLines) -> Found:
        """Find all events; `odd` is of the same span.

        Offsets refer to the span's buffer; hits outside the span are ignored.
        """
        deliveries = _hits(self._deliveries, span)
        events: list[Event] = []
        stray = 0
        for hit in _hits(self._others, span):
            head = head_at(span, hit)
            if head is not None:
                event = event_of_head(head, hit)
                if event is not None:
                    events.append(event)
                else:
                    stray += head[3] != _CRANK and is_stray(span, hit)
                continue
            line = odd.at(hit)
            if line is None or line.event is None:
                stray += is_stray(span, hit) and not is_crank(span.buffer, odd.line_start)
            elif line.event[TYPE] not in DELIVERIES and not line.found:
                line.found = True
                again = head_of(line.rewritten())
                if again is not None:
                    events.append((again[0], line.start, again[1]))
        return Found(events, deliveries, stray)


TYPE: Final = "type"
DELIVERIES: Final = frozenset({DELIVER, DELIVER_RESULT})


def is_usual(buffer: bytes, start: int = 0, end: int | None = None) -> bool:
    """True if the line at `start` begins like those of the chain."""
    return _HEAD.match(buffer, start, len(buffer) if end is None else end) is not None


def is_crank(buffer: bytes, start: int) -> bool:
    """True if the line at `start` begins a crank: the message in it has its own type."""
    head = _HEAD.match(buffer, start)
    return head is not None and head[3] == _CRANK


def _hits(searches: Sequence[BytesAhoCorasick], span: Span) -> list[int]:
    """The offsets of the patterns, in order."""
    buffer, begin, end = span
    found = [
        [start for _, start, _ in search.find_matches_as_indexes(buffer) if begin <= start < end]
        for search in searches
    ]
    return found[0] if len(found) == 1 else sorted(chain(*found))


def line_at(span: Span, hit: int) -> int:
    """The start of the line with `hit` in its head; the span's end if there is none."""
    buffer, begin, end = span
    # At most the length of a head back: a line of megabytes may be full of hits.
    low = hit - HEAD_LIMIT
    if low > begin:
        return buffer.rfind(b"\n", low - 1, hit) + 1 or end
    return buffer.rfind(b"\n", begin, hit) + 1 or begin


def head_at(span: Span, hit: int) -> Head | None:
    """The head of the line with `hit` near its beginning, if it is a usual one."""
    return _HEAD.match(span.buffer, line_at(span, hit), span.end)


def event_of_head(head: Head, hit: int) -> Event | None:
    """The event of a line with `hit` in its head."""
    kind = _NAMES.get(head[3]) if head.end(3) >= hit else None
    return None if kind is None else (kind, head.start(), head)


def is_stray(span: Span, hit: int) -> bool:
    """True if the hit belongs to a wanted type outside the head of a line."""
    buffer, begin, _ = span
    # Within its line: the result must not depend on where the stream was cut.
    low = max(begin, hit - HEAD_LIMIT)
    low = max(low, buffer.rfind(b"\n", low, hit) + 1)
    # The patterns that begin within a type come after its opening quotation mark.
    if buffer.startswith(b"ype", hit):
        quote = hit + 5
    else:
        quote = hit if buffer.startswith(b'"', hit) else buffer.rfind(b'"', low, hit)
    quoted = None if quote - 7 < low else _QUOTED.match(buffer, quote - 7)
    return quoted is not None and quoted[1] in _NAMES


def _search(patterns: list[bytes]) -> BytesAhoCorasick:
    return BytesAhoCorasick(
        patterns, matchkind=MatchKind.Standard, implementation=Implementation.DFA
    )


def types_of(span: Span) -> list[bytes]:
    """The type of every line that begins like a slog line; for a census of all events."""
    buffer, begin, end = span
    # Searching for the newline instead of a line's start is several times as fast.
    first = _ANY_TYPE.match(b"\n" + buffer[begin : min(end, begin + 256)])
    rest: list[bytes] = _ANY_TYPE.findall(buffer, begin, end)
    return rest if first is None else [first[1], *rest]


def is_counted(line: bytes) -> bool:
    """True if `types_of` finds the type of this line."""
    return _ANY_TYPE.match(b"\n" + line[:256]) is not None


def line_of(head: Head) -> bytes:
    """The line of a head, without its newline."""
    return head.string[head.start() :].partition(b"\n")[0]


def head_of(line: bytes) -> tuple[str, Head] | None:
    """The wanted type and the head of a line; None for all other lines."""
    head = _HEAD.match(line)
    kind = None if head is None else _NAMES.get(head[3])
    return None if head is None or kind is None else (kind, head)


Stamp = tuple[float, float | None]
"""A line's `time`, and its `monotime` if it has one."""


def stamp_of(head: Head, tail: bytes | None = None) -> Stamp | None:
    """The line's times, from its head or else from its end; `tail` is the end if the buffer lacks
    it.
    """
    digits, mono = head[1], head[2]
    if digits is None:
        if tail is None:
            end = head.string.find(b"\n", head.end())
            found = _TAIL.search(head.string, max(head.start(), end - _TAIL_LIMIT), end)
        else:
            found = _TAIL.search(tail)
        if found is None:
            return None
        digits, mono = found[1], found[2]
    try:
        # Twice as fast as `float`, and refuses what is not a number in JSON.
        time = float(orjson.loads(digits))
    except orjson.JSONDecodeError:
        return None
    try:
        return time, None if mono is None else float(orjson.loads(mono))
    except orjson.JSONDecodeError:
        return time, None


def vat_of(head: Head) -> str | None:
    """The vat of a delivery, without parsing the delivery's payload."""
    near = head.string[head.start() : head.start() + 400].partition(b"\n")[0]
    vat = _VAT_ID.search(near)
    return None if vat is None else vat[1].decode("utf-8", "replace")


def create_vat_fields(head: Head) -> dict[str, str | bool]:
    """The fields of a create-vat event from its line's first bytes: the bundle may be megabytes."""
    line = head.string[head.start() : head.start() + _CREATE_HEAD].partition(b"\n")[0]
    bulk = _BULKY.search(line)
    end = len(line) if bulk is None else bulk.start()
    fields: dict[str, str | bool] = {}
    for key, pattern in (("vatID", _VAT_ID), ("name", _NAME), ("managerType", _MANAGER)):
        value = pattern.search(line, 0, end)
        if value is not None:
            fields[key] = value[1].decode("utf-8", "replace")
    dynamic = _DYNAMIC.search(line, 0, end)
    if dynamic is not None:
        fields["dynamic"] = dynamic[1] == b"true"
    return fields
