"""The first half of a scan: bytes of a slog in, facts out.

A fact is a plain tuple of what JSON has, its kind first; `SlogScanner` makes sense of them. Reading
needs nothing but the bytes, not what came before: the parts of a slog may be read anywhere
(`slog.parts`), as long as their facts are told in the slog's order.

    (RESULTS, first, last, back, vats, cranks, carried)     deliveries' results, one after the other
    (OPENED, (time, vat) or None)                           the delivery without its result, so far
    (REPLAYED, vat)                                         a delivery of a replay
    (CREATED, time, {"vatID": …, "name": …, …})             a vat
    (EVENT, type, time, {"vatID": …, "blockHeight": …, …})  any other event, with the fields it has
    (LINES, count)                                          whole lines since the last block event
    (ODD, anomaly, count)                                   what is not as it should be
    (CENSUS, lines, {type: count}, with_nul)                all lines by type
    (FED, bytes, events)                                    at the end of each chunk

Of results: the first one's time and the last one's; how many had a time before that of the one
before; per vat `[deliveries, failed, computrons, ticks]`, ticks from delivery to result; the first
and the highest crank number, None if there is no result that counts; vat and time of the one whose
delivery began in an earlier chunk, or None.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any, Final, Literal, TypeGuard

import orjson

from . import events as ev
from .found import ticks_between
from .lines import LineSplitter, LongLine, Span, count_lines

LINES, RESULTS, OPENED, REPLAYED, CREATED, EVENT, ODD, CENSUS, FED = range(9)

Fact = tuple[Any, ...]

_TIME_LIMIT: Final = 1e12
"""No clock shows more seconds than this; what does is no time."""
_WHOLE_LIMIT: Final = 1 << 53
"""The chain writes its whole numbers as JavaScript does: they are exact up to this one."""
_BY_HEAD: Final = frozenset({ev.CREATE_VAT, ev.DELIVER, ev.REPLAY_DELIVERY})
"""Their lines may be megabytes: head and time tell all that matters."""
_COUNT_BOUNDARIES: Final = frozenset({ev.BEGIN_BLOCK, ev.END_BLOCK_START, ev.END_BLOCK_FINISH})
_FIELDS: Final = ("vatID", "blockHeight", "blockTime")
_BAD: Final[Fact] = (ODD, "bad-json", 1)


class EventReader:
    """See the module's docstring."""

    def __init__(self, *, census: bool = False, lines: LineSplitter | None = None) -> None:
        """With `census`, count every line by its type too; `lines` may have limits of its own."""
        self._census = census
        self._lines = lines or LineSplitter()
        self._finder = ev.EventFinder()
        self._facts: list[Fact] = []
        self._events = 0
        self._opened: tuple[float, str | None] | Literal[False] | None = None
        """When the last delivery began, and in which vat; False: it has ended; None: see before."""

    def feed(self, chunk: bytes) -> list[Fact]:
        """Take the slog's next bytes, cut anywhere, and tell what the lines that ended hold."""
        self._facts, self._events, self._opened = [], 0, None
        for piece in self._lines.feed(chunk):
            if isinstance(piece, LongLine):
                self._long_line(piece)
            else:
                self._span(piece)
        if self._opened is not None:
            self._facts.append((OPENED, self._opened or None))
        self._facts.append((FED, len(chunk), self._events))
        return self._facts

    def finish(self) -> list[Fact]:
        """The slog is over; tell if its last line is unfinished."""
        return [] if self._lines.take_tail() is None else [(ODD, "torn-line", 1)]

    def _span(self, span: Span) -> None:
        buffer, counted, end = span
        events, deliveries, stray = self._finder.find(span)
        facts, told, lines = self._facts, 0, 0
        if stray:
            facts.append((ODD, "unused-hits", stray))
        for kind, start, head in events:
            before = bisect_left(deliveries, start, told)
            self._deliveries(span, deliveries[told:before])
            told = before
            if kind in _BY_HEAD:
                self._by_head(kind, head, ev.time_of(head))
                continue
            if kind in _COUNT_BOUNDARIES:
                # The lines before a boundary belong to what was open.
                count = count_lines(buffer, counted, start)
                facts.append((LINES, count))
                counted, lines = start, lines + count
            self._event(kind, buffer[start : buffer.find(b"\n", start)])
        self._deliveries(span, deliveries[told:])
        count = count_lines(buffer, counted, end)
        facts.append((LINES, count))
        self._events += len(events)
        if self._census:
            self._take_census(span, lines + count)

    def _deliveries(self, span: Span, hits: list[int]) -> None:
        """What stands at these places between two other events: nearly all that is to be read."""
        # Written for speed: this is done with tens of thousands of lines.
        buffer, begin, end = span
        results, first_low = _Results(), begin + ev.HEAD_LIMIT
        head_at, find, rfind, loads = (
            ev.DELIVERY_HEAD.match,
            buffer.find,
            buffer.rfind,
            orjson.loads,
        )
        for hit in hits:
            # As line_at(), which is asked of the first line alone.
            if hit > first_low:
                line = rfind(b"\n", hit - ev.HEAD_LIMIT - 1, hit) + 1 or end
            else:
                line = ev.line_at(span, hit)
            head = head_at(buffer, line, end)
            if head is None or head.end() < hit:
                self._odd_delivery(span, hit)
                continue
            self._events += 1
            if head[2] is not None:
                self._open(ev.time_of(head), head[2].decode("utf-8", "replace"))
                continue
            try:
                event = loads(buffer[line : find(b"\n", hit)])
                time = event["time"]
                if type(time) is not float or not -_TIME_LIMIT < time < _TIME_LIMIT:
                    time = as_time(time)
            except (ValueError, KeyError, TypeError):
                self._facts.append(_BAD)
                continue
            opened, self._opened = self._opened, False
            other = results.add(event, time, opened)
            if other is not None:
                self._facts.append(other)
        if results.last is not None:
            self._facts.append(results.fact())

    def _odd_delivery(self, span: Span, hit: int) -> None:
        """A delivery with its fields in another order, or what is none."""
        event = ev.event_at(span, hit)
        if event is not None:
            self._events += 1
            self._by_head(event[0], event[2], ev.time_of(event[2]))
        elif ev.is_stray(span, hit):
            self._facts.append((ODD, "unused-hits", 1))

    def _open(self, time: float | None, vat_id: str | None) -> None:
        if _known(time):
            self._opened = (time, vat_id)
        else:
            self._opened = False
            self._facts.append(_BAD)

    def _by_head(self, kind: str, head: ev.Head, time: float | None) -> None:
        if kind == ev.DELIVER:
            self._open(time, ev.vat_of(head))
        elif not _known(time):
            self._facts.append(_BAD)
        elif kind == ev.CREATE_VAT:
            fields = ev.create_vat_fields(head)
            self._facts.append((CREATED, time, fields) if "vatID" in fields else _BAD)
        else:
            self._facts.append((REPLAYED, ev.vat_of(head)))

    def _event(self, kind: str, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            time = as_time(event["time"])
        except (ValueError, KeyError, TypeError):
            self._facts.append(_BAD)
            return
        fields = {name: event[name] for name in _FIELDS if name in event}
        self._facts.append((EVENT, kind, time, fields))

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
            self._by_head(kind, head, ev.time_of(head, line.tail))
        else:
            self._facts.append((ODD, "long-line", 1))

    def _take_census(self, span: Span, lines: int) -> None:
        with_nul = 0
        if span.buffer.find(b"\0", span.start, span.end) >= 0:
            with_nul = sum(b"\0" in line for line in span.content().split(b"\n"))
        types: Counter[str] = Counter()
        for name, count in Counter(ev.types_of(span)).items():
            types[name.decode("utf-8", "replace")] += count
        self._facts.append((CENSUS, lines, types, with_nul))


class _Results:
    """Results of deliveries that follow one another; see the module's docstring."""

    __slots__ = ("back", "carried", "crank", "first", "last", "top", "vats")

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.back = 0
        self.vats: dict[str, list[int]] = {}
        self.crank: int | None = None
        self.top: int | None = None
        self.carried: tuple[str, float] | None = None

    def fact(self) -> Fact:
        cranks = None if self.crank is None else (self.crank, self.top)
        return (RESULTS, self.first, self.last, self.back, self.vats, cranks, self.carried)

    def add(
        self,
        event: dict[str, Any],
        time: float,
        opened: tuple[float, str | None] | Literal[False] | None,
    ) -> Fact | None:
        """Add the next one; return what else is to be told."""
        if self.last is None:
            self.first = time
        elif time < self.last:
            self.back += 1
        self.last = time
        if event.get("replay"):
            # Since September 2021; before that they have events of their own.
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
                vat[3] += ticks_between(opened[0], time)
        elif opened is None:
            self.carried = (vat_id, time)
        if self.top is None:
            self.crank = self.top = crank
        elif crank > self.top:
            self.top = crank
        return None


def _counted(event: dict[str, Any]) -> tuple[str, int, bool, int]:
    """Vat, crank number, failure and computrons of a result. Raises what a lack of them raises."""
    vat_id, crank, result, computrons = event["vatID"], event["crankNum"], event["dr"], 0
    if len(result) > 2 and isinstance(result[2], dict):
        usage = result[2].get("compute")
        computrons = usage if isinstance(usage, int) else 0
    # As as_whole(), of both: this is asked of most events.
    if (
        type(crank) is not int
        or type(computrons) is not int
        or not -_WHOLE_LIMIT < crank < _WHOLE_LIMIT
        or not -_WHOLE_LIMIT < computrons < _WHOLE_LIMIT
        or type(vat_id) is not str
    ):
        raise TypeError(event)
    return vat_id, crank, result[0] != "ok", computrons


def _known(time: float | None) -> TypeGuard[float]:
    return time is not None and -_TIME_LIMIT < time < _TIME_LIMIT


def as_time(value: object) -> float:
    """The value if it is one that a clock can show. Raises `TypeError`."""
    # `isinstance` with two classes and without bool would cost more.
    if (type(value) is float or type(value) is int) and -_TIME_LIMIT < value < _TIME_LIMIT:
        return value
    raise TypeError(value)


def as_whole(value: object) -> int:
    """The value if it is a whole number that JavaScript has. Raises `TypeError`."""
    if type(value) is int and -_WHOLE_LIMIT < value < _WHOLE_LIMIT:
        return value
    raise TypeError(value)
