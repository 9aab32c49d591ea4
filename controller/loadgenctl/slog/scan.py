"""The incremental scanner: bytes of a slog in, blocks, vats and startup times out.

    scanner = SlogScanner()
    scanner.feed(chunk)              # any size, any cut
    scanner.take_blocks()            # the finished blocks since the last call, in the log's order
    scanner.finish()                 # at the end: an unfinished block comes out as it stands
    scanner.vats, scanner.startup, scanner.anomalies

Nothing in a slog is fatal. What is not as it should be is counted in `anomalies`, by kind:

    bad-json            a line of a wanted type that is not JSON, or lacks its fields
    binary              lines with NUL bytes (census only)
    clock-back          an event earlier than the wanted event before it
    corrupt-archive     a compressed slog that cannot be read to its end
    garbage-lines       lines without a slog line's head (census only)
    long-line           a wanted line longer than the limit, other than create-vat and deliveries
    out-of-place        a block event that does not fit the block that is open
    repeated-block      a block height for the second time
    torn-line           an unfinished last line
    truncated-file      a followed file became shorter
    unfinished-block    a block without its end-block-finish
    unknown-events      lines of a type that nobody listed (census only)
    unused-hits         a wanted type's name that is not the type of its line

The census counts all lines by type, which takes three times as long as all the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from . import events as ev
from .compress import SlogReader
from .found import BlockRecord, Startup, Totals, VatRecord
from .lines import LineSplitter, LongLine, Span, count_lines

CHUNK: Final = 1 << 20
"""Bytes read at a time."""


__all__ = ["BlockRecord", "SlogScanner", "Startup", "Totals", "VatRecord", "scan_file"]


class SlogScanner:
    """See the module's docstring."""

    def __init__(self, *, census: bool = False, lines: LineSplitter | None = None) -> None:
        """With `census`, count every line by its type too; `lines` may have limits of its own."""
        self.vats: dict[str, VatRecord] = {}
        self.startup = Startup()
        self.totals = Totals(lines=0 if census else None)
        self.anomalies: Counter[str] = Counter()
        self._census = census
        self._lines = lines or LineSplitter()
        self._finder = ev.EventFinder()
        self._done: list[BlockRecord] = []
        self._heights: set[int] = set()
        self._block: BlockRecord | None = None
        self._counting = False
        self._lines_seen = 0
        self._open_delivery: tuple[float, str | None] | None = None
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            ev.VAT_STARTUP_FINISH: self._on_vat_started,
            ev.START_REPLAY: self._on_replay_start,
            ev.REPLAY_TRANSCRIPT_START: self._on_replay_start,
            ev.FINISH_REPLAY: self._on_replay_finish,
            ev.TERMINATE: self._on_terminate,
            ev.KERNEL_IMPORT_START: self._on_kernel_import,
            ev.BOOTSTRAP_START: self._on_bootstrap_start,
            ev.BOOTSTRAP_FINISH: self._on_bootstrap_finish,
            ev.BEGIN_BLOCK: self._on_begin_block,
            ev.END_BLOCK_START: self._on_end_block_start,
            ev.END_BLOCK_FINISH: self._on_end_block_finish,
            ev.DELIVER_RESULT: self._on_deliver_result,
        }

    # -- the stream

    def feed(self, chunk: bytes) -> None:
        """Take the slog's next bytes; chunks may be cut anywhere."""
        self.totals.bytes += len(chunk)
        for piece in self._lines.feed(chunk):
            if isinstance(piece, LongLine):
                self._long_line(piece)
            else:
                self._lines_of(piece)

    def finish(self) -> None:
        """The slog is over. An unfinished last line is counted, an unfinished block handed out."""
        if self._lines.take_tail() is not None:
            self.anomalies["torn-line"] += 1
        self._close_block()

    def take_blocks(self) -> list[BlockRecord]:
        """Return the blocks that ended since the last call, in the log's order."""
        done, self._done = self._done, []
        return done

    @property
    def open_block(self) -> BlockRecord | None:
        """The block that has begun and not ended."""
        return self._block

    @property
    def open_delivery(self) -> tuple[float, str | None] | None:
        """When the delivery that has no result yet began (epoch seconds), and to which vat."""
        return self._open_delivery

    # -- buffers and lines

    def _lines_of(self, span: Span) -> None:
        found, stray = self._finder.find(span)
        if stray:
            self.anomalies["unused-hits"] += stray
        buffer, counted = span.buffer, span.start
        for kind, start, head in found:
            # Nearly all of what is found are deliveries and their results.
            if kind == ev.DELIVER_RESULT:
                self._event(kind, buffer[start : buffer.find(b"\n", start)])
            elif kind in _BY_HEAD:
                self._by_head(kind, head, ev.time_of(head))
            elif kind in _COUNT_BOUNDARIES:
                # The lines before a boundary belong to what was open; then it may change.
                self._count_lines(buffer, counted, start)
                counted, counting = start, self._counting
                self._event(kind, buffer[start : buffer.find(b"\n", start)])
                if self._counting and not counting:
                    # The line that opened the count is not part of it.
                    self._block_lines(-1)
            else:
                self._event(kind, buffer[start : buffer.find(b"\n", start)])
        self.totals.events += len(found)
        self._count_lines(buffer, counted, span.end)
        if self._census:
            self._take_census(span)

    def _by_head(self, kind: str, head: ev.Head, time: float | None) -> None:
        """An event whose line may be megabytes: its head and its time tell all that matters."""
        if time is None or not -_TIME_LIMIT < time < _TIME_LIMIT:
            self._open_delivery = None
            self.anomalies["bad-json"] += 1
        elif kind == ev.DELIVER:
            self._open_delivery = (time, ev.vat_of(head))
        elif kind == ev.CREATE_VAT:
            self._on_create_vat(ev.create_vat_fields(head), time)
        else:
            self._on_replay_delivery(ev.vat_of(head))

    def _long_line(self, line: LongLine) -> None:
        self._block_lines(1)
        if self._census:
            self._lines_seen += 1
            self._take_census(Span(line.head, 0, len(line.head)))
        found = ev.head_of(line.head)
        if found is None:
            return
        kind, head = found
        self.totals.events += 1
        if kind in _BY_HEAD:
            self._by_head(kind, head, ev.time_of(head, line.tail))
        else:
            self.anomalies["long-line"] += 1

    def _count_lines(self, buffer: bytes, start: int, end: int) -> None:
        """Count the lines between two places, for the open block and the census, if needed."""
        if not self._counting and not self._census:
            return
        lines = count_lines(buffer, start, end)
        self._lines_seen += lines
        self._block_lines(lines)

    def _block_lines(self, lines: int) -> None:
        if self._counting and self._block is not None and self._block.slog_lines is not None:
            self._block.slog_lines += lines

    def _take_census(self, span: Span) -> None:
        """Count the lines seen since the last time by type; they are in `span`."""
        types = ev.types_of(span)
        lines, self._lines_seen = self._lines_seen, 0
        self.totals.lines = (self.totals.lines or 0) + lines
        if lines > len(types):
            self.anomalies["garbage-lines"] += lines - len(types)
        if span.buffer.find(b"\0", span.start, span.end) >= 0:
            self.anomalies["binary"] += sum(b"\0" in line for line in span.content().split(b"\n"))
        for name, count in Counter(types).items():
            text = name.decode("utf-8", "replace")
            if text not in _KNOWN:
                self.anomalies["unknown-events"] += count
                if text not in self.totals.types and len(self.totals.types) >= _TYPES_LIMIT:
                    text = OTHER
            self.totals.types[text] += count

    def _event(self, kind: str, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            self._clock(event["time"])
            self._handlers[kind](event)
        except (ValueError, KeyError, TypeError, IndexError):
            self.anomalies["bad-json"] += 1

    def _clock(self, time: object) -> None:
        # Asked of every event: `isinstance` with two classes and without bool would cost more.
        if not (type(time) is float or type(time) is int) or not -_TIME_LIMIT < time < _TIME_LIMIT:
            raise TypeError(time)
        startup = self.startup
        last = startup.last_event_at
        if last is None:
            startup.first_event_at = time
        elif time < last:
            self.anomalies["clock-back"] += 1
        startup.last_event_at = time

    # -- vats

    def _vat(self, vat_id: str) -> VatRecord:
        vat = self.vats.get(vat_id)
        if vat is None:
            if not isinstance(vat_id, str):
                raise TypeError(vat_id)
            vat = self.vats[vat_id] = VatRecord(vat_id)
        return vat

    def _on_create_vat(self, fields: dict[str, Any], time: float) -> None:
        if "vatID" not in fields:
            self.anomalies["bad-json"] += 1
            return
        self._clock(time)
        vat = self._vat(fields["vatID"])
        vat.name = fields.get("name", vat.name)
        vat.dynamic = fields.get("dynamic", vat.dynamic)
        vat.manager_type = fields.get("managerType", vat.manager_type)
        vat.created_at = time

    def _on_vat_started(self, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).started_at = event["time"]

    def _on_terminate(self, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).terminated_at = event["time"]

    def _on_replay_start(self, event: dict[str, Any]) -> None:
        vat = self._vat(event["vatID"])
        if vat.replay_started_at is None:
            vat.replay_started_at = event["time"]
        if self.startup.replay_started_at is None:
            self.startup.replay_started_at = event["time"]

    def _on_replay_finish(self, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).replay_finished_at = event["time"]
        if not self._heights:
            # Later ones are vats paged in again while the chain runs.
            self.startup.replay_finished_at = event["time"]

    def _on_replay_delivery(self, vat_id: str | None) -> None:
        if not self._heights:
            self.startup.replayed_deliveries += 1
        if vat_id is not None:
            self._vat(vat_id).replayed_deliveries += 1

    # -- blocks

    def _on_kernel_import(self, event: dict[str, Any]) -> None:
        if self.startup.kernel_import_at is None:
            self.startup.kernel_import_at = event["time"]

    def _on_bootstrap_start(self, event: dict[str, Any]) -> None:
        self.startup.bootstrap_started_at = event["time"]

    def _on_bootstrap_finish(self, event: dict[str, Any]) -> None:
        self.startup.bootstrap_finished_at = event["time"]

    def _on_begin_block(self, event: dict[str, Any]) -> None:
        height, block_time = _whole(event["blockHeight"]), _time(event["blockTime"])
        self._close_block()
        if height in self._heights:
            self.anomalies["repeated-block"] += 1
        self._heights.add(height)
        self._block = BlockRecord(height, block_time, event["time"])

    def _on_end_block_start(self, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_started_at is None:
                # SDKs without bootstrap events: the bootstrap has no begin-block.
                self._on_bootstrap_start(event)
            return
        if block.block_height != event.get("blockHeight", 0) or block.end_start_at is not None:
            self.anomalies["out-of-place"] += 1
            return
        block.end_start_at = event["time"]
        block.slog_lines = 0
        self._counting = True

    def _on_end_block_finish(self, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_finished_at is None:
                self._on_bootstrap_finish(event)
            return
        if block.block_height != event.get("blockHeight", 0):
            self.anomalies["out-of-place"] += 1
            return
        block.end_finish_at = event["time"]
        self._close_block()

    def _close_block(self) -> None:
        block, self._block, self._counting = self._block, None, False
        if block is None:
            return
        if block.end_finish_at is None:
            self.anomalies["unfinished-block"] += 1
        self._done.append(block)

    def _on_deliver_result(self, event: dict[str, Any]) -> None:
        opened, self._open_delivery = self._open_delivery, None
        if event.get("replay"):
            # Since September 2021; before that they have events of their own.
            self._on_replay_delivery(event["vatID"])
            return
        if "crankNum" not in event:
            return
        crank, result, computrons = event["crankNum"], event["dr"], 0
        if len(result) > 2 and isinstance(result[2], dict):
            usage = result[2].get("compute")
            computrons = usage if isinstance(usage, int) else 0
        # As _whole(), of both: this is asked of most events.
        if (
            type(crank) is not int
            or type(computrons) is not int
            or not -_WHOLE_LIMIT < crank < _WHOLE_LIMIT
            or not -_WHOLE_LIMIT < computrons < _WHOLE_LIMIT
        ):
            raise TypeError(event)
        vat = self.vats.get(event["vatID"]) or self._vat(event["vatID"])
        vat.deliveries += 1
        if result[0] != "ok":
            vat.failed_deliveries += 1
        vat.computrons += computrons
        if opened is not None and opened[1] == vat.vat_id:
            vat.delivery_time_s += event["time"] - opened[0]
        block = self._block
        if block is None:
            if not self._heights:
                self.startup.bootstrap_deliveries += 1
                self.startup.bootstrap_computrons += computrons
            return
        block.deliveries += 1
        block.computrons += computrons
        if block.first_crank_num is None:
            block.first_crank_num = crank
        if block.last_crank_num is None or block.last_crank_num < crank:
            block.last_crank_num = crank


OTHER: Final = "(other)"
"""In `Totals.types`: all types that came when there were `_TYPES_LIMIT` already."""
_TYPES_LIMIT: Final = 1000
_TIME_LIMIT: Final = 1e12
"""No clock shows more seconds than this; what does is no time."""
_WHOLE_LIMIT: Final = 1 << 53
"""The chain writes its whole numbers as JavaScript does: they are exact up to this one."""
_BY_HEAD: Final = frozenset({ev.CREATE_VAT, ev.DELIVER, ev.REPLAY_DELIVERY})
_COUNT_BOUNDARIES = frozenset({ev.BEGIN_BLOCK, ev.END_BLOCK_START, ev.END_BLOCK_FINISH})
_KNOWN = frozenset(ev.EVENT_TYPES) | ev.OTHER_TYPES


def _time(value: object) -> float:
    # Asked of every event: `isinstance` with two classes and without bool would cost more.
    if (type(value) is float or type(value) is int) and -_TIME_LIMIT < value < _TIME_LIMIT:
        return value
    raise TypeError(value)


def _whole(value: object) -> int:
    if type(value) is int and -_WHOLE_LIMIT < value < _WHOLE_LIMIT:
        return value
    raise TypeError(value)


def scan_file(path: Path, *, census: bool = False) -> tuple[SlogScanner, list[BlockRecord]]:
    """Scan a whole `.slog`, `.slog.gz` or `.slog.zst`; returns the scanner and all its blocks.

    A file that is cut off or damaged is read as far as it goes (`corrupt-archive`).
    Raises `OSError` when the file cannot be opened.
    """
    scanner = SlogScanner(census=census)
    blocks: list[BlockRecord] = []
    with SlogReader(path) as reader:
        for chunk in reader.chunks(CHUNK):
            scanner.feed(chunk)
            blocks += scanner.take_blocks()
        if reader.damage is not None:
            scanner.anomalies["corrupt-archive"] += 1
    scanner.finish()
    return scanner, blocks + scanner.take_blocks()
