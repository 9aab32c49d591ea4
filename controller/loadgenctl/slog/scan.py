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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from . import events as ev
from . import read as facts
from .compress import SlogReader
from .found import BlockRecord, Startup, Totals, VatRecord, ticks_between
from .lines import LineSplitter
from .parts import CHUNK, facts_in_parts, workers_for
from .read import EventReader, Fact, as_time, as_whole

__all__ = ["BlockRecord", "SlogScanner", "Startup", "Totals", "VatRecord", "scan_file"]


class SlogScanner:
    """See the module's docstring."""

    def __init__(self, *, census: bool = False, lines: LineSplitter | None = None) -> None:
        """With `census`, count every line by its type too; `lines` may have limits of its own."""
        self.vats: dict[str, VatRecord] = {}
        self.startup = Startup()
        self.totals = Totals(lines=0 if census else None)
        self.anomalies: Counter[str] = Counter()
        self._reader = EventReader(census=census, lines=lines)
        self._done: list[BlockRecord] = []
        self._heights: set[int] = set()
        self._block: BlockRecord | None = None
        self._counting = False
        self._open_delivery: tuple[float, str | None] | None = None
        self._takes: dict[int, Callable[..., None]] = {
            facts.RESULTS: self._take_results,
            facts.OPENED: self._take_opened,
            facts.REPLAYED: self._take_replayed,
            facts.CREATED: self._take_created,
            facts.EVENT: self._take_event,
            facts.LINES: self._take_lines,
            facts.ODD: self._take_odd,
            facts.CENSUS: self._take_census,
            facts.FED: self._take_fed,
        }
        self._events: dict[str, Callable[[float, dict[str, Any]], None]] = {
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
        }

    # -- the stream

    def feed(self, chunk: bytes) -> None:
        """Take the slog's next bytes; chunks may be cut anywhere."""
        self.take(self._reader.feed(chunk))

    def finish(self) -> None:
        """The slog is over. An unfinished last line is counted, an unfinished block handed out."""
        self.take(self._reader.finish())
        self._close_block()

    def take(self, told: Iterable[Fact]) -> None:
        """Take the facts that follow in the slog, of whichever `EventReader`."""
        for kind, *rest in told:
            self._takes[kind](*rest)

    def take_blocks(self) -> list[BlockRecord]:
        """Return the blocks that ended since the last call, in the log's order."""
        done, self._done = self._done, []
        return done

    @property
    def open_delivery(self) -> tuple[float, str | None] | None:
        """When the delivery that has no result yet began (epoch seconds), and to which vat."""
        return self._open_delivery

    # -- facts

    def _take_event(self, kind: str, time: float, fields: dict[str, Any]) -> None:
        self._clock(time)
        try:
            self._events[kind](time, fields)
        except (KeyError, TypeError):
            self.anomalies["bad-json"] += 1

    def _take_results(
        self,
        first: float,
        last: float,
        back: int,
        vats: dict[str, list[int]],
        cranks: tuple[int, int] | None,
        carried: tuple[str, float] | None,
    ) -> None:
        self._clock(first)
        self.startup.last_event_at = last
        if back:
            self.anomalies["clock-back"] += back
        opened, self._open_delivery = self._open_delivery, None
        if cranks is None:
            return
        deliveries = computrons = 0
        for vat_id, (count, failed, spent, ticks) in vats.items():
            vat = self._vat(vat_id)
            vat.deliveries += count
            vat.failed_deliveries += failed
            vat.computrons += spent
            vat.delivery_ticks += ticks
            deliveries += count
            computrons += spent
        if carried is not None and opened is not None and opened[1] == carried[0]:
            self._vat(carried[0]).delivery_ticks += ticks_between(opened[0], carried[1])
        block = self._block
        if block is not None:
            block.deliveries += deliveries
            block.computrons += computrons
            if block.first_crank_num is None:
                block.first_crank_num = cranks[0]
            if block.last_crank_num is None or block.last_crank_num < cranks[1]:
                block.last_crank_num = cranks[1]
        elif not self._heights:
            self.startup.bootstrap_deliveries += deliveries
            self.startup.bootstrap_computrons += computrons

    def _take_opened(self, opened: tuple[float, str | None] | None) -> None:
        self._open_delivery = opened

    def _take_lines(self, count: int) -> None:
        if self._counting and self._block is not None and self._block.slog_lines is not None:
            self._block.slog_lines += count

    def _take_odd(self, anomaly: str, count: int) -> None:
        self.anomalies[anomaly] += count

    def _take_fed(self, size: int, events: int) -> None:
        self.totals.bytes += size
        self.totals.events += events

    def _take_census(self, lines: int, types: dict[str, int], with_nul: int) -> None:
        self.totals.lines = (self.totals.lines or 0) + lines
        heads = sum(types.values())
        if lines > heads:
            self.anomalies["garbage-lines"] += lines - heads
        if with_nul:
            self.anomalies["binary"] += with_nul
        for name, count in types.items():
            kept = name
            if name not in _KNOWN:
                self.anomalies["unknown-events"] += count
                if name not in self.totals.types and len(self.totals.types) >= _TYPES_LIMIT:
                    kept = OTHER
            self.totals.types[kept] += count

    def _clock(self, time: float) -> None:
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

    def _take_created(self, time: float, fields: dict[str, Any]) -> None:
        self._clock(time)
        vat = self._vat(fields["vatID"])
        vat.name = fields.get("name", vat.name)
        vat.dynamic = fields.get("dynamic", vat.dynamic)
        vat.manager_type = fields.get("managerType", vat.manager_type)
        vat.created_at = time

    def _on_vat_started(self, time: float, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).started_at = time

    def _on_terminate(self, time: float, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).terminated_at = time

    def _on_replay_start(self, time: float, event: dict[str, Any]) -> None:
        vat = self._vat(event["vatID"])
        if vat.replay_started_at is None:
            vat.replay_started_at = time
        if self.startup.replay_started_at is None:
            self.startup.replay_started_at = time

    def _on_replay_finish(self, time: float, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).replay_finished_at = time
        if not self._heights:
            # Later ones are vats paged in again while the chain runs.
            self.startup.replay_finished_at = time

    def _take_replayed(self, vat_id: str | None) -> None:
        if not self._heights:
            self.startup.replayed_deliveries += 1
        if vat_id is not None:
            self._vat(vat_id).replayed_deliveries += 1

    # -- blocks

    def _on_kernel_import(self, time: float, _: dict[str, Any]) -> None:
        if self.startup.kernel_import_at is None:
            self.startup.kernel_import_at = time

    def _on_bootstrap_start(self, time: float, _: dict[str, Any]) -> None:
        self.startup.bootstrap_started_at = time

    def _on_bootstrap_finish(self, time: float, _: dict[str, Any]) -> None:
        self.startup.bootstrap_finished_at = time

    def _on_begin_block(self, time: float, event: dict[str, Any]) -> None:
        height, block_time = as_whole(event["blockHeight"]), as_time(event["blockTime"])
        self._close_block()
        if height in self._heights:
            self.anomalies["repeated-block"] += 1
        self._heights.add(height)
        self._block = BlockRecord(height, block_time, time)

    def _on_end_block_start(self, time: float, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_started_at is None:
                # SDKs without bootstrap events: the bootstrap has no begin-block.
                self._on_bootstrap_start(time, event)
            return
        if block.block_height != event.get("blockHeight", 0) or block.end_start_at is not None:
            self.anomalies["out-of-place"] += 1
            return
        block.end_start_at = time
        # The lines that follow are counted with this one.
        block.slog_lines = -1
        self._counting = True

    def _on_end_block_finish(self, time: float, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_finished_at is None:
                self._on_bootstrap_finish(time, event)
            return
        if block.block_height != event.get("blockHeight", 0):
            self.anomalies["out-of-place"] += 1
            return
        block.end_finish_at = time
        self._close_block()

    def _close_block(self) -> None:
        block, self._block, self._counting = self._block, None, False
        if block is None:
            return
        if block.end_finish_at is None:
            self.anomalies["unfinished-block"] += 1
        self._done.append(block)


OTHER: Final = "(other)"
"""In `Totals.types`: all types that came when there were `_TYPES_LIMIT` already."""
_TYPES_LIMIT: Final = 1000
_KNOWN = frozenset(ev.EVENT_TYPES) | ev.OTHER_TYPES


def scan_file(path: Path, *, census: bool = False) -> tuple[SlogScanner, list[BlockRecord]]:
    """Scan a whole `.slog`, `.slog.gz` or `.slog.zst`; returns the scanner and all its blocks.

    A large plain file is read by as many processes as there are processors (`slog.parts`). A file
    that is cut off or damaged is read as far as it goes (`corrupt-archive`).
    Raises `OSError` when the file cannot be opened.
    """
    scanner = SlogScanner(census=census)
    blocks: list[BlockRecord] = []
    workers = workers_for(path)
    if workers > 1:
        for told in facts_in_parts(path, workers, EventReader(census=census)):
            scanner.take(told)
            blocks += scanner.take_blocks()
    else:
        with SlogReader(path) as reader:
            for chunk in reader.chunks(CHUNK):
                scanner.feed(chunk)
                blocks += scanner.take_blocks()
            if reader.damage is not None:
                scanner.anomalies["corrupt-archive"] += 1
    scanner.finish()
    return scanner, blocks + scanner.take_blocks()
