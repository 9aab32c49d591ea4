"""The incremental scanner: reads bytes of a slog, returns blocks, vats and startup times.

    scanner = SlogScanner()
    scanner.feed(chunk)              # any size, any cut
    scanner.take_blocks()            # the finished blocks since the last call, in the log's order
    scanner.finish()                 # at the end: also completes an unfinished block
    scanner.vats, scanner.startup, scanner.anomalies

Nothing in a slog is fatal. Problems are counted in `anomalies`, by kind:

    bad-json            a line of a wanted type that is not JSON, or lacks its fields
    binary              lines with NUL bytes (census only)
    clock-back          an event earlier than the wanted event before it
    clock-step          `time` was set, as `monotime` shows; `clock_steps` has the amounts
    corrupt-archive     a compressed slog that cannot be read to its end
    garbage-lines       lines that are not JSON (census only)
    long-line           a wanted line longer than the limit, other than create-vat and deliveries
    no-event            lines of JSON that are not events (census only)
    out-of-place        a block event that does not fit the block that is open
    repeated-block      a block height that occurred before
    torn-line           an unfinished last line
    truncated-file      a followed file became shorter
    unfinished-block    a block without its end-block-finish
    unknown-events      lines of a type that is not listed (census only)
    unused-hits         a wanted type's name that is not the type of its line

The census counts all lines by type, which takes three times as long as the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from loadgenctl.slog import events as ev
from loadgenctl.slog import facts
from loadgenctl.slog.block_tracker import BlockLog
from loadgenctl.slog.clock_steps import Clocks, MarksSummary
from loadgenctl.slog.events import Stamp, is_usual
from loadgenctl.slog.facts import EventReader, Fact
from loadgenctl.slog.files import SlogReader
from loadgenctl.slog.line_splitter import LineSplitter
from loadgenctl.slog.model import (
    BlockRecord,
    ClockStep,
    Moment,
    Startup,
    Totals,
    VatRecord,
    ticks_between,
)
from loadgenctl.slog.parallel import CHUNK, facts_in_parts, workers_for
from loadgenctl.slog.vat_tracker import VatLog

__all__ = ["BlockRecord", "SlogScanner", "Startup", "Totals", "VatRecord", "scan_file"]


class SlogScanner:
    """See the module's docstring."""

    def __init__(
        self, *, census: bool = False, thorough: bool = False, lines: LineSplitter | None = None
    ) -> None:
        """`census`, `thorough` and `lines` as in `EventReader`."""
        self.startup = Startup()
        self.totals = Totals(lines=0 if census else None)
        self.anomalies: Counter[str] = Counter()
        self.rewritten = False
        """Events were found in lines that another program rewrote (slog.odd)."""
        self._clocks = Clocks(self.startup, self.anomalies)
        self._vats = VatLog(self.startup)
        self._blocks = BlockLog(self.startup, self.anomalies)
        self._reader = EventReader(census=census, thorough=thorough, lines=lines)
        self._open_delivery: facts.Opened | None = None
        self._takes: dict[int, Callable[..., None]] = {
            facts.RESULTS: self._take_results,
            facts.OPENED: self._take_opened,
            facts.REPLAYED: self._take_replayed,
            facts.CREATED: self._take_created,
            facts.EVENT: self._take_event,
            facts.LINES: self._take_lines,
            facts.ODD: self._take_odd,
            facts.CENSUS: self._take_census,
            facts.REWRITTEN: self._take_rewritten,
            facts.FED: self._take_fed,
        }
        vats, blocks = self._vats, self._blocks
        self._events: dict[str, Callable[[Moment, dict[str, Any]], None]] = {
            ev.VAT_STARTUP_FINISH: vats.started,
            ev.START_REPLAY: self._on_replay_start,
            ev.REPLAY_TRANSCRIPT_START: self._on_replay_start,
            ev.FINISH_REPLAY: self._on_replay_finish,
            ev.TERMINATE: vats.terminated,
            ev.SNAPSHOT_LOAD: vats.snapshot_loaded,
            ev.SNAPSHOT_SAVE: self._on_snapshot_save,
            ev.VAT_CLEANUP: self._on_cleanup,
            ev.KERNEL_IMPORT_START: self._on_kernel_import,
            ev.BOOTSTRAP_START: blocks.bootstrap_start,
            ev.BOOTSTRAP_FINISH: blocks.bootstrap_finish,
            ev.UPGRADE_START: blocks.upgrade_start,
            ev.UPGRADE_FINISH: blocks.upgrade_finish,
            ev.BEGIN_BLOCK: blocks.begin,
            ev.END_BLOCK_START: blocks.end_start,
            ev.END_BLOCK_FINISH: blocks.end_finish,
            ev.RUN_START: blocks.run_start,
            ev.RUN_FINISH: blocks.run_finish,
            ev.KERNEL_STATS: blocks.kernel_stats,
            ev.COMMIT_START: blocks.commit_start,
            ev.COMMIT_FINISH: blocks.commit_finish,
            ev.AFTER_COMMIT_BLOCK: blocks.after_commit,
            ev.AFTER_COMMIT_STATS: blocks.after_commit,
        }

    # -- the stream

    def feed(self, chunk: bytes) -> None:
        """Take the slog's next bytes, cut anywhere."""
        self.take(self._reader.feed(chunk))

    def finish(self) -> None:
        """The slog has ended: count an unfinished last line, complete an unfinished block."""
        self.take(self._reader.finish())
        self._blocks.finish()

    def take(self, found: Iterable[Fact]) -> None:
        """Take the next facts of the slog, from any `EventReader`."""
        for kind, *rest in found:
            self._takes[kind](*rest)

    def take_blocks(self) -> list[BlockRecord]:
        """Return the blocks that ended since the last call, in the log's order.

        If the slog has commits, a block ends with its commit (slog.blocklog).
        """
        return self._blocks.take()

    @property
    def vats(self) -> dict[str, VatRecord]:
        """The vats by their ids."""
        return self._vats.vats

    @property
    def open_delivery(self) -> tuple[float, str | None] | None:
        """When the open delivery began (epoch seconds), and its vat."""
        opened = self._open_delivery
        return None if opened is None else (opened[0], opened[1])

    @property
    def open_block(self) -> BlockRecord | None:
        """The open block, as far as it was read."""
        return self._blocks.open

    @property
    def clock_steps(self) -> Sequence[ClockStep]:
        """Where `time` was set, in the log's order; at most the first `STEPS_KEPT`."""
        return self._clocks.steps

    @property
    def _height(self) -> int | None:
        block = self._blocks.open
        return None if block is None else block.block_height

    @property
    def _in_startup(self) -> bool:
        """True while neither a block nor the bootstrap has begun."""
        return not self._blocks.heights and self.startup.bootstrap_started_at is None

    def _moment(self, stamp: Stamp) -> Moment:
        return self._clocks.moment(stamp, self._height)

    # -- facts

    def _take_event(self, kind: str, stamp: Stamp, fields: dict[str, Any]) -> None:
        if kind == ev.KERNEL_IMPORT_START:
            # A process begins, even if its clock is not behind that of the last one.
            self._clocks.begin_process()
            self._vats.begin_process()
        moment = self._moment(stamp)
        try:
            self._events[kind](moment, fields)
        except (KeyError, TypeError):
            self.anomalies["bad-json"] += 1

    def _take_results(
        self,
        times: tuple[float, float, int],
        marks: MarksSummary | None,
        vats: dict[str, list[int]],
        cranks: tuple[int, int] | None,
        carried: tuple[str, float, float | None] | None,
    ) -> None:
        self._clocks.take(times, marks, self._height)
        opened, self._open_delivery = self._open_delivery, None
        if cranks is None:
            return
        deliveries = computrons = 0
        for vat_id, (count, failed, spent, ticks) in vats.items():
            vat = self._vats.vat(vat_id)
            vat.deliveries += count
            vat.failed_deliveries += failed
            vat.computrons += spent
            vat.delivery_ticks += ticks
            deliveries += count
            computrons += spent
        if carried is not None and opened is not None and opened[1] == carried[0]:
            vat_id, end, end_mono = carried
            ticks = ticks_between(opened[0], end, opened[2], end_mono)
            self._vats.vat(vat_id).delivery_ticks += ticks
        block = self._blocks.open
        if block is not None:
            block.deliveries += deliveries
            block.computrons += computrons
            if block.first_crank_num is None:
                block.first_crank_num = cranks[0]
            if block.last_crank_num is None or block.last_crank_num < cranks[1]:
                block.last_crank_num = cranks[1]
        if not self._blocks.heights or (block is not None and block.bootstrap):
            self.startup.bootstrap_deliveries += deliveries
            self.startup.bootstrap_computrons += computrons

    def _take_opened(self, opened: facts.Opened | None) -> None:
        self._open_delivery = opened

    def _take_rewritten(self) -> None:
        self.rewritten = True

    def _take_lines(self, count: int) -> None:
        block = self._blocks.open
        if self._blocks.counting and block is not None and block.slog_lines is not None:
            block.slog_lines += count

    def _take_odd(self, anomaly: str, count: int) -> None:
        self.anomalies[anomaly] += count

    def _take_fed(self, size: int, events: int) -> None:
        self.totals.bytes += size
        self.totals.events += events

    def _take_census(self, lines: int, types: dict[str, int], with_nul: int, no_event: int) -> None:
        self.totals.lines = (self.totals.lines or 0) + lines
        garbage = lines - sum(types.values()) - no_event
        if garbage:
            self.anomalies["garbage-lines"] += garbage
        if no_event:
            self.anomalies["no-event"] += no_event
        if with_nul:
            self.anomalies["binary"] += with_nul
        for name, count in types.items():
            kept = name
            if name not in _KNOWN:
                self.anomalies["unknown-events"] += count
                if name not in self.totals.types and len(self.totals.types) >= _TYPES_LIMIT:
                    kept = OTHER
            self.totals.types[kept] += count

    # -- vats and the kernel

    def _take_created(self, stamp: Stamp, fields: dict[str, Any]) -> None:
        self._vats.created(self._moment(stamp), fields)

    def _take_replayed(self, vat_id: str | None) -> None:
        self._vats.replayed(vat_id, in_startup=self._in_startup)

    def _on_replay_start(self, moment: Moment, event: dict[str, Any]) -> None:
        self._vats.replay_started(moment, event, in_startup=self._in_startup)

    def _on_replay_finish(self, moment: Moment, event: dict[str, Any]) -> None:
        self._vats.replay_finished(moment, event, self._blocks.open, in_startup=self._in_startup)

    def _on_snapshot_save(self, moment: Moment, event: dict[str, Any]) -> None:
        self._vats.snapshot_saved(moment, event, self._blocks.open)

    def _on_cleanup(self, _: Moment, event: dict[str, Any]) -> None:
        block, work = self._blocks.open, event["cleanupWork"]
        self._vats.vat(event["vatID"]).cleanup_work += work
        if block is not None:
            block.add("cleanupWork", work)

    def _on_kernel_import(self, moment: Moment, _: dict[str, Any]) -> None:
        if self.startup.kernel_import_at is None:
            self.startup.kernel_import_at = moment.at


OTHER: Final = "(other)"
"""In `Totals.types`: all types after the first `_TYPES_LIMIT`."""
_TYPES_LIMIT: Final = 1000
_KNOWN = frozenset(ev.EVENT_TYPES) | ev.OTHER_TYPES


def scan_file(
    source: Path | SlogReader, *, census: bool = False
) -> tuple[SlogScanner, list[BlockRecord]]:
    """Scan a complete slog, plain or packed, or a pipe; return the scanner and all blocks.

    A large plain file is read by one process per processor (`slog.parallel`). A truncated or
    damaged file is read as far as possible (`corrupt-archive`). Raises `OSError` if the file cannot
    be opened, `NotSlogError` if it is not a slog.
    """
    with SlogReader(source) if isinstance(source, Path) else source as reader:
        found = _scan(reader, census=census, thorough=reader.size is None)
        if found is None and reader.rewind():
            found = _scan(reader, census=census, thorough=True)
        assert found is not None
        return found


def _scan(
    reader: SlogReader, *, census: bool, thorough: bool
) -> tuple[SlogScanner, list[BlockRecord]] | None:
    """Scan everything; None if it must be read again thoroughly to find all deliveries."""
    thorough = thorough or not is_usual(reader.begin())
    scanner = SlogScanner(census=census, thorough=thorough)
    blocks: list[BlockRecord] = []
    for found in _facts(reader, EventReader(census=census, thorough=thorough)):
        scanner.take(found)
        if scanner.rewritten and not thorough:
            return None
        blocks += scanner.take_blocks()
    if reader.damage is not None:
        scanner.anomalies["corrupt-archive"] += 1
    scanner.finish()
    return scanner, blocks + scanner.take_blocks()


def _facts(reader: SlogReader, events: EventReader) -> Iterator[list[Fact]]:
    workers = workers_for(reader.size)
    if workers > 1:
        reader.refuse_others()
        yield from facts_in_parts(reader.descriptor, workers, events)
        return
    for number, chunk in enumerate(reader.chunks(CHUNK)):
        if number == 0:
            reader.refuse_others()
        yield events.feed(chunk)
    yield events.finish()
