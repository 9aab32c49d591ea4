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
    clock-step          `time` was set, as `monotime` shows; `clock_steps` tells by how much
    corrupt-archive     a compressed slog that cannot be read to its end
    garbage-lines       lines that are no JSON (census only)
    long-line           a wanted line longer than the limit, other than create-vat and deliveries
    no-event            lines of JSON that are no event (census only)
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from . import events as ev
from . import read as facts
from .clocks import Clocks, Told
from .events import Stamp, is_usual
from .found import (
    BlockRecord,
    ClockStep,
    Moment,
    Startup,
    Totals,
    VatRecord,
    seconds_between,
    ticks_between,
)
from .lines import LineSplitter
from .parts import CHUNK, facts_in_parts, workers_for
from .read import EventReader, Fact
from .reader import SlogReader
from .values import as_time, as_whole

__all__ = ["BlockRecord", "SlogScanner", "Startup", "Totals", "VatRecord", "scan_file"]


class SlogScanner:
    """See the module's docstring."""

    def __init__(
        self, *, census: bool = False, thorough: bool = False, lines: LineSplitter | None = None
    ) -> None:
        """`census`, `thorough` and `lines` as `EventReader` has them."""
        self.vats: dict[str, VatRecord] = {}
        self.startup = Startup()
        self.totals = Totals(lines=0 if census else None)
        self.anomalies: Counter[str] = Counter()
        self.rewritten = False
        """Events were found in lines that another program wrote (slog.odd)."""
        self._clocks = Clocks(self.startup, self.anomalies)
        self._replays: dict[str | None, Moment] = {}
        """When replays began, by vat; None: the first of all."""
        self._bootstrap: Moment | None = None
        self._reader = EventReader(census=census, thorough=thorough, lines=lines)
        self._done: list[BlockRecord] = []
        self._heights: set[int] = set()
        self._block: BlockRecord | None = None
        self._counting = False
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
        self._events: dict[str, Callable[[Moment, dict[str, Any]], None]] = {
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
        opened = self._open_delivery
        return None if opened is None else (opened[0], opened[1])

    @property
    def open_block(self) -> BlockRecord | None:
        """The block that has begun and not ended yet, as far as it has come."""
        return self._block

    @property
    def clock_steps(self) -> Sequence[ClockStep]:
        """Where `time` was set, in the log's order; at most the first `STEPS_KEPT`."""
        return self._clocks.steps

    @property
    def _height(self) -> int | None:
        return None if self._block is None else self._block.block_height

    def _moment(self, stamp: Stamp) -> Moment:
        return self._clocks.moment(stamp, self._height)

    # -- facts

    def _take_event(self, kind: str, stamp: Stamp, fields: dict[str, Any]) -> None:
        if kind == ev.KERNEL_IMPORT_START:
            # A process begins, even if its clock does not show less than the last one's did.
            self._clocks.begin_process()
        moment = self._moment(stamp)
        try:
            self._events[kind](moment, fields)
        except (KeyError, TypeError):
            self.anomalies["bad-json"] += 1

    def _take_results(
        self,
        times: tuple[float, float, int],
        marks: Told | None,
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
            vat = self._vat(vat_id)
            vat.deliveries += count
            vat.failed_deliveries += failed
            vat.computrons += spent
            vat.delivery_ticks += ticks
            deliveries += count
            computrons += spent
        if carried is not None and opened is not None and opened[1] == carried[0]:
            vat_id, end, end_mono = carried
            ticks = ticks_between(opened[0], end, opened[2], end_mono)
            self._vat(vat_id).delivery_ticks += ticks
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

    def _take_opened(self, opened: facts.Opened | None) -> None:
        self._open_delivery = opened

    def _take_rewritten(self) -> None:
        self.rewritten = True

    def _take_lines(self, count: int) -> None:
        if self._counting and self._block is not None and self._block.slog_lines is not None:
            self._block.slog_lines += count

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

    # -- vats

    def _vat(self, vat_id: str) -> VatRecord:
        vat = self.vats.get(vat_id)
        if vat is None:
            if not isinstance(vat_id, str):
                raise TypeError(vat_id)
            vat = self.vats[vat_id] = VatRecord(vat_id)
        return vat

    def _take_created(self, stamp: Stamp, fields: dict[str, Any]) -> None:
        moment = self._moment(stamp)
        vat = self._vat(fields["vatID"])
        vat.name = fields.get("name", vat.name)
        vat.dynamic = fields.get("dynamic", vat.dynamic)
        vat.manager_type = fields.get("managerType", vat.manager_type)
        vat.created_at = moment.at

    def _on_vat_started(self, moment: Moment, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).started_at = moment.at

    def _on_terminate(self, moment: Moment, event: dict[str, Any]) -> None:
        self._vat(event["vatID"]).terminated_at = moment.at

    def _on_replay_start(self, moment: Moment, event: dict[str, Any]) -> None:
        vat = self._vat(event["vatID"])
        if vat.replay_started_at is None:
            vat.replay_started_at = moment.at
            self._replays[vat.vat_id] = moment
        if self.startup.replay_started_at is None:
            self.startup.replay_started_at = moment.at
            self._replays[None] = moment

    def _on_replay_finish(self, moment: Moment, event: dict[str, Any]) -> None:
        vat = self._vat(event["vatID"])
        vat.replay_finished_at = moment.at
        vat.replay_s = seconds_between(self._replays.get(vat.vat_id), moment)
        if not self._heights:
            # Later ones are vats paged in again while the chain runs.
            self.startup.replay_finished_at = moment.at
            self.startup.replay_s = seconds_between(self._replays.get(None), moment)

    def _take_replayed(self, vat_id: str | None) -> None:
        if not self._heights:
            self.startup.replayed_deliveries += 1
        if vat_id is not None:
            self._vat(vat_id).replayed_deliveries += 1

    # -- blocks

    def _on_kernel_import(self, moment: Moment, _: dict[str, Any]) -> None:
        if self.startup.kernel_import_at is None:
            self.startup.kernel_import_at = moment.at

    def _on_bootstrap_start(self, moment: Moment, _: dict[str, Any]) -> None:
        self._bootstrap = moment
        self.startup.bootstrap_started_at = moment.at

    def _on_bootstrap_finish(self, moment: Moment, _: dict[str, Any]) -> None:
        self.startup.bootstrap_finished_at = moment.at
        self.startup.bootstrap_s = seconds_between(self._bootstrap, moment)

    def _on_begin_block(self, moment: Moment, event: dict[str, Any]) -> None:
        height, block_time = as_whole(event["blockHeight"]), as_time(event["blockTime"])
        self._close_block()
        if height in self._heights:
            self.anomalies["repeated-block"] += 1
        self._heights.add(height)
        self._block = BlockRecord(height, block_time, moment.at, begin_steady=moment.steady)

    def _on_end_block_start(self, moment: Moment, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_started_at is None:
                # SDKs without bootstrap events: the bootstrap has no begin-block.
                self._on_bootstrap_start(moment, event)
            return
        if block.block_height != event.get("blockHeight", 0) or block.end_start_at is not None:
            self.anomalies["out-of-place"] += 1
            return
        block.end_start_at, block.end_start_steady = moment
        # The lines that follow are counted with this one.
        block.slog_lines = -1
        self._counting = True

    def _on_end_block_finish(self, moment: Moment, event: dict[str, Any]) -> None:
        block = self._block
        if block is None:
            if self._heights:
                self.anomalies["out-of-place"] += 1
            elif self.startup.bootstrap_finished_at is None:
                self._on_bootstrap_finish(moment, event)
            return
        if block.block_height != event.get("blockHeight", 0):
            self.anomalies["out-of-place"] += 1
            return
        block.end_finish_at, block.end_finish_steady = moment
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


def scan_file(
    source: Path | SlogReader, *, census: bool = False
) -> tuple[SlogScanner, list[BlockRecord]]:
    """Scan a whole slog, plain or packed, or a pipe; returns the scanner and all its blocks.

    A large plain file is read by as many processes as there are processors (`slog.parts`). A file
    that is cut off or damaged is read as far as it goes (`corrupt-archive`).
    Raises `OSError` when the file cannot be opened, `NotSlogError` if it is something else.
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
    """All of it; None if it has to be read again thoroughly, or deliveries would be missed."""
    thorough = thorough or not is_usual(reader.begin())
    scanner = SlogScanner(census=census, thorough=thorough)
    blocks: list[BlockRecord] = []
    for told in _facts(reader, EventReader(census=census, thorough=thorough)):
        scanner.take(told)
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
