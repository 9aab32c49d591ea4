"""The first half of a scan: reads bytes of a slog, returns facts.

A fact is a plain tuple of JSON values, its kind first; `SlogScanner` interprets them. Reading does
not depend on earlier bytes: other processes may read parts of a slog (`slog.parallel`) if their
facts are taken in the slog's order.

    (RESULTS, times, marks, vats, cranks, carried)          successive results of deliveries
    (OPENED, (time, vat, mono) or None)                     the open delivery
    (REPLAYED, vat)                                         a delivery of a replay
    (CREATED, stamp, {"vatID": …, "name": …, …})            a vat
    (EVENT, type, stamp, {"vatID": …, "blockHeight": …, …}) any other event (slog.event_fields)
    (LINES, count)                                          lines since the last block event
    (ODD, anomaly, count)                                   anomalies
    (CENSUS, lines, {type: count}, with_nul, no_event)      all lines by type
    (REWRITTEN,)                                            events in rewritten lines
    (FED, bytes, events)                                    at the end of each chunk

A stamp is a line's `time` and `monotime`, the latter None if missing. Fields of RESULTS: `times`:
time of the first and the last result, and how many were earlier than their predecessor. `marks`:
None if no line has a `monotime`, else the stamps of the first and the last such line, how often
`monotime` restarted, and `[time, seconds]` of the clock steps. `vats`: per vat `[deliveries,
failed, computrons, ticks]`, ticks from delivery to result. `cranks`: the first and the highest
crank number, None if no result counts. `carried`: vat and stamp of the result whose delivery began
in an earlier chunk, or None.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeGuard

import orjson

from loadgenctl.slog import events as ev
from loadgenctl.slog.clock_steps import Marks
from loadgenctl.slog.event_fields import (
    TIME_LIMIT,
    WHOLE_LIMIT,
    as_mono,
    as_time,
    fields_of,
    stamp_in,
    vat_in,
)
from loadgenctl.slog.line_splitter import LineSplitter, LongLine, Span, count_lines
from loadgenctl.slog.model import ticks_between
from loadgenctl.slog.reformatted_lines import BOM, OddLines, event_of, is_json

LINES, RESULTS, OPENED, REPLAYED, CREATED, EVENT, ODD, CENSUS, REWRITTEN, FED = range(10)

Fact = tuple[Any, ...]

_BY_HEAD: Final = frozenset({ev.CREATE_VAT, ev.DELIVER, ev.REPLAY_DELIVERY})
"""Their lines may be megabytes: head and times have everything needed."""
_COUNT_BOUNDARIES: Final = frozenset({ev.BEGIN_BLOCK, ev.END_BLOCK_START, ev.END_BLOCK_FINISH})
_VAT_FIELDS: Final = ("vatID", "name", "managerType")
_OF_CRANKS: Final = b'ype":"delivery"'
"""Newer slogs have more `crankType`s of this name than deliveries."""
_BAD: Final[Fact] = (ODD, "bad-json", 1)


class EventReader:
    """See the module's docstring."""

    def __init__(
        self, *, census: bool = False, thorough: bool = False, lines: LineSplitter | None = None
    ) -> None:
        """With `census`, also count every line by its type; `lines` may have other limits.

        If not `thorough`, deliveries in lines with spaces are found only after the chunk with the
        first other event in such a line; a `REWRITTEN` fact reports it.
        """
        self._census = census
        self._lines = lines or LineSplitter()
        self._thorough = thorough
        self._finder = ev.EventFinder(thorough=thorough)
        self._facts: list[Fact] = []
        self._events = 0
        self._opened: Opened | Literal[False] | None = None
        """The start and vat of the last delivery; False: it has ended; None: as in the chunk
        before.
        """

    def feed(self, chunk: bytes) -> list[Fact]:
        """Take the slog's next bytes, cut anywhere; return the facts of the lines that ended."""
        self._facts, self._events, self._opened = [], 0, None
        for piece in self._lines.feed(chunk):
            if isinstance(piece, LongLine):
                self._long_line(piece)
            else:
                self._span(piece)
        if self._opened is not None:
            self._facts.append((OPENED, self._opened or None))
        self._facts.append((FED, len(chunk), self._events))
        if not self._thorough and (REWRITTEN,) in self._facts:
            self._thorough, self._finder = True, ev.EventFinder(thorough=True)
        return self._facts

    def finish(self) -> list[Fact]:
        """The slog has ended; report an unfinished last line."""
        return [] if self._lines.take_tail() is None else [(ODD, "torn-line", 1)]

    def _span(self, span: Span) -> None:
        buffer, counted, end = span
        odd = OddLines(span)
        events, deliveries, stray = self._finder.find(span, odd)
        facts, told, lines = self._facts, 0, 0
        if stray:
            facts.append((ODD, "unused-hits", stray))
        for kind, start, head in events:
            before = bisect_left(deliveries, start, told)
            if before > told:
                self._deliveries(span, odd, deliveries[told:before])
                told = before
            if kind in _BY_HEAD:
                self._by_head(kind, head)
                continue
            if kind in _COUNT_BOUNDARIES:
                # The lines before a boundary belong to what was open before.
                count = count_lines(buffer, counted, start)
                facts.append((LINES, count))
                counted, lines = start, lines + count
            self._event(kind, buffer[start : buffer.find(b"\n", start)])
        self._deliveries(span, odd, deliveries[told:])
        count = count_lines(buffer, counted, end)
        facts.append((LINES, count))
        self._events += len(events)
        if odd.seen:
            facts.append((REWRITTEN,))
        if self._census:
            self._take_census(span, lines + count)

    def _deliveries(self, span: Span, odd: OddLines, hits: list[int]) -> None:
        """Read the deliveries at these offsets, between two other events: nearly all lines to
        read.
        """
        # Written for speed: this processes tens of thousands of lines.
        buffer, begin, end = span
        results, first_low = _Results(), begin + ev.HEAD_LIMIT
        head_at, find, rfind, loads, starts = (
            ev.DELIVERY_HEAD.match,
            buffer.find,
            buffer.rfind,
            orjson.loads,
            buffer.startswith,
        )
        for hit in hits:
            if starts(_OF_CRANKS, hit):
                continue
            # As line_at(), which is only called for the first line.
            if hit > first_low:
                line = rfind(b"\n", hit - ev.HEAD_LIMIT - 1, hit) + 1 or end
            else:
                line = ev.line_at(span, hit)
            head = head_at(buffer, line, end)
            event = None
            if head is None or head.end() < hit:
                event = self._odd_delivery(span, odd, hit)
                if event is None:
                    continue
            elif head[3] is not None:
                self._events += 1
                self._open(_stamp_at(head), head[3].decode("utf-8", "replace"))
                continue
            self._events += 1
            try:
                if event is None:
                    event = loads(buffer[line : find(b"\n", hit)])
                time = event["time"]
                if type(time) is not float or not -TIME_LIMIT < time < TIME_LIMIT:
                    time = as_time(time)
            except (ValueError, KeyError, TypeError):
                self._facts.append(_BAD)
                continue
            opened, self._opened = self._opened, False
            other = results.add(event, time, as_mono(event.get("monotime")), opened)
            if other is not None:
                self._facts.append(other)
        if results.last is not None:
            self._facts.append(results.fact())

    def _odd_delivery(self, span: Span, odd: OddLines, hit: int) -> dict[str, Any] | None:
        """Take a delivery with reordered fields, or another line; return the event of a result."""
        head = ev.head_at(span, hit)
        if head is not None:
            event = ev.event_of_head(head, hit)
            if event is not None:
                self._events += 1
                self._by_head(event[0], head)
            elif ev.is_stray(span, hit):
                self._facts.append((ODD, "unused-hits", 1))
            return None
        line = odd.at(hit)
        if line is None or line.event is None:
            if ev.is_stray(span, hit):
                self._facts.append((ODD, "unused-hits", 1))
            return None
        if line.found or line.event[ev.TYPE] not in ev.DELIVERIES:
            return None
        line.found = True
        if line.event[ev.TYPE] == ev.DELIVER_RESULT:
            return line.event
        self._events += 1
        self._open(stamp_in(line.event), vat_in(line.event))
        return None

    def _open(self, stamp: ev.Stamp | None, vat_id: str | None) -> None:
        if _known(stamp):
            self._opened = (stamp[0], vat_id, stamp[1])
        else:
            self._opened = False
            self._facts.append(_BAD)

    def _by_head(self, kind: str, head: ev.Head, tail: bytes | None = None) -> None:
        """Take an event that needs only head and times; `tail` as in `ev.stamp_of`."""
        fields: Mapping[str, Any]
        if kind == ev.CREATE_VAT:
            fields = ev.create_vat_fields(head)
        else:
            vat_id = ev.vat_of(head)
            fields = {} if vat_id is None else {"vatID": vat_id}
        stamp = _stamp_at(head, tail)
        if tail is None and (stamp is None or not fields):
            # Its fields are reordered.
            fields = event_of(ev.line_of(head)) or {}
            stamp = stamp_in(fields)
        if kind == ev.DELIVER:
            self._open(stamp, vat_in(fields))
        elif not _known(stamp):
            self._facts.append(_BAD)
        elif kind == ev.CREATE_VAT:
            kept = {name: fields[name] for name in _VAT_FIELDS if type(fields.get(name)) is str}
            if type(fields.get("dynamic")) is bool:
                kept["dynamic"] = fields["dynamic"]
            self._facts.append((CREATED, stamp, kept) if "vatID" in kept else _BAD)
        else:
            self._facts.append((REPLAYED, vat_in(fields)))

    def _event(self, kind: str, line: bytes) -> None:
        try:
            event = orjson.loads(line.removeprefix(BOM))
        except ValueError:
            event = {}
        stamp = stamp_in(event)
        if stamp is None:
            self._facts.append(_BAD)
            return
        self._facts.append((EVENT, kind, stamp, fields_of(kind, event)))

    def _long_line(self, line: LongLine) -> None:
        self._facts.append((LINES, 1))
        if self._census:
            self._take_census(Span(line.head, 0, len(line.head)), 1)
        found = ev.head_of(line.head)
        if found is None:
            return
        kind, head = found
        self._events += 1
        if kind in _BY_HEAD:
            self._by_head(kind, head, line.tail)
        else:
            self._facts.append((ODD, "long-line", 1))

    def _take_census(self, span: Span, lines: int) -> None:
        with_nul = no_event = 0
        if span.buffer.find(b"\0", span.start, span.end) >= 0:
            with_nul = sum(b"\0" in line for line in span.content().split(b"\n"))
        types: Counter[str] = Counter()
        for name, count in Counter(ev.types_of(span)).items():
            types[name.decode("utf-8", "replace")] += count
        if types.total() < lines:
            for line in span.content().splitlines():
                if ev.is_counted(line):
                    continue
                event = event_of(line)
                if event is not None:
                    types[event[ev.TYPE]] += 1
                else:
                    no_event += is_json(line)
        self._facts.append((CENSUS, lines, types, with_nul, no_event))


Opened = tuple[float, str | None, float | None]
"""A delivery: `time`, vat and `monotime`."""


class _Results:
    """Successive results of deliveries; see the module's docstring."""

    __slots__ = ("back", "carried", "crank", "first", "last", "marks", "top", "vats")

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.back = 0
        self.marks: Marks | None = None
        self.vats: dict[str, list[int]] = {}
        self.crank: int | None = None
        self.top: int | None = None
        self.carried: tuple[str, float, float | None] | None = None

    def fact(self) -> Fact:
        cranks = None if self.crank is None else (self.crank, self.top)
        times = (self.first, self.last, self.back)
        marks = None if self.marks is None else self.marks.summary()
        return (RESULTS, times, marks, self.vats, cranks, self.carried)

    def _clock(self, time: float, mono: float | None) -> None:
        if self.last is None:
            self.first = time
        elif time < self.last:
            self.back += 1
        self.last = time
        if mono is None:
            return
        if self.marks is None:
            self.marks = Marks(time, mono)
        else:
            self.marks.add(time, mono)

    def add(
        self,
        event: dict[str, Any],
        time: float,
        mono: float | None,
        opened: Opened | Literal[False] | None,
    ) -> Fact | None:
        """Add the next result; return a further fact, if any."""
        self._clock(time, mono)
        if event.get("replay"):
            # Since September 2021; before that, replays have their own events.
            vat_id = event.get("vatID")
            return (REPLAYED, vat_id) if isinstance(vat_id, str) else _BAD
        if "crankNum" not in event:
            return None
        try:
            vat_id, crank, failed, computrons = _counted(event)
        except (KeyError, TypeError, IndexError):
            return _BAD
        vat = self.vats.get(vat_id)
        if vat is None:
            vat = self.vats[vat_id] = [0, 0, 0, 0]
        vat[0] += 1
        vat[1] += failed
        vat[2] += computrons
        if opened:
            if opened[1] == vat_id:
                vat[3] += ticks_between(opened[0], time, opened[2], mono)
        elif opened is None:
            self.carried = (vat_id, time, mono)
        if self.top is None:
            self.crank = self.top = crank
        elif crank > self.top:
            self.top = crank
        return None


def _counted(event: dict[str, Any]) -> tuple[str, int, bool, int]:
    """Vat, crank number, failure and computrons of a result. Raises `KeyError`, `TypeError`,
    `IndexError`.
    """
    vat_id, crank, result, computrons = event["vatID"], event["crankNum"], event["dr"], 0
    if len(result) > 2 and isinstance(result[2], dict):
        usage = result[2].get("compute")
        computrons = usage if isinstance(usage, int) else 0
    # As as_whole() for both: this runs for most events.
    if (
        type(crank) is not int
        or type(computrons) is not int
        or not -WHOLE_LIMIT < crank < WHOLE_LIMIT
        or not -WHOLE_LIMIT < computrons < WHOLE_LIMIT
        or type(vat_id) is not str
    ):
        raise TypeError(event)
    return vat_id, crank, result[0] != "ok", computrons


def _known(stamp: ev.Stamp | None) -> TypeGuard[ev.Stamp]:
    return stamp is not None and -TIME_LIMIT < stamp[0] < TIME_LIMIT


def _stamp_at(head: ev.Head, tail: bytes | None = None) -> ev.Stamp | None:
    stamp = ev.stamp_of(head, tail)
    return None if stamp is None else (stamp[0], as_mono(stamp[1]))
