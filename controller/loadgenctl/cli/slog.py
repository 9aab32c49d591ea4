"""`loadgenctl slog blocks|stats|vats FILE…`: numbers of a slog, plain or compressed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadgenctl.cli.print_data import print_csv, print_json, print_list, width_for
from loadgenctl.cli.slog_errors import not_slog, nothing_found, shown, unreadable
from loadgenctl.errors import UsageError
from loadgenctl.formatting import clean, clock_step
from loadgenctl.records import schema
from loadgenctl.records.reader import parse_row
from loadgenctl.records.shape import shape_of, stage_number
from loadgenctl.reports.slog_tables import blocks_table, stats_lines, vats_table
from loadgenctl.reports.table_model import WIDTH, marks_for, print_lines
from loadgenctl.slog.block_rows import BLOCK_FIELDS, BlockRows
from loadgenctl.slog.events import EVENT_TYPES, OTHER_TYPES
from loadgenctl.slog.files import NotSlogError, SlogReader
from loadgenctl.slog.scan import BlockRecord, SlogScanner, scan_file
from loadgenctl.stats.blocks import block_summaries
from loadgenctl.stats.slog_rows import startup_row, step_rows, vat_rows
from loadgenctl.stats.stages import PerfLog, read_perf

_STAGE: Final = re.compile(r"-stage-(\d+)\.slog")
_KNOWN: Final = frozenset(EVENT_TYPES) | OTHER_TYPES


class _Slog:
    """A scanned file with its rows."""

    def __init__(
        self, file: Path, perf: PerfLog | None, stage: int | None, *, census: bool
    ) -> None:
        self.file = file
        self.name = shown(file)
        self.scanner, records = _scan(file, census=census)
        ready = shutdown = None
        if perf is not None:
            number = _stage_of(file) if stage is None else stage
            if number is None or number not in perf.stages:
                raise UsageError(
                    f"perf.jsonl tells nothing of the stage of {file}", hint="name it with --stage"
                )
            ready = perf.stages[number].get("chain_ready_at")
            shutdown = perf.stages[number].get("shutdown_at")
        rows = BlockRows()
        self.rows = [
            rows.row(record, chain_ready_at=ready, shutdown_at=shutdown) for record in records
        ]

    def anomalies(self) -> dict[str, int]:
        return dict(sorted(self.scanner.anomalies.items()))

    def document(self) -> dict[str, Any]:
        """What `stats --json` prints of a file."""
        totals = self.scanner.totals
        return {
            "file": self.name,
            "bytes": totals.bytes,
            "lines": totals.lines,
            "startup": startup_row(self.scanner.startup),
            "blocks": block_summaries(self.rows),
            "types": dict(totals.types.most_common()),
            "anomalies": self.anomalies(),
            "clock_steps": step_rows(self.scanner.clock_steps),
        }


def show_blocks(
    files: Sequence[Path], perf: Path | None, stage: int | None, *, as_json: bool, as_csv: bool
) -> None:
    """The numbers of every block."""
    slogs = _read(files, perf, stage)
    rows = [row for slog in slogs for row in slog.rows]
    if as_json:
        print_json({"blocks": rows})
    elif as_csv:
        print_csv(BLOCK_FIELDS, rows)
    else:
        for slog in slogs:
            print_list(blocks_table(slog.name, slog.rows))
    _tell_anomalies(slogs)


def show_stats(
    files: Sequence[Path], perf: Path | None, stage: int | None, *, as_json: bool
) -> None:
    """Summaries of blocks, the startup, all event types, and what is odd in the files."""
    slogs = _read(files, perf, stage, census=True)
    if as_json:
        print_json({"files": [slog.document() for slog in slogs]})
        return
    console = Console()
    width, marks = width_for(console, WIDTH), marks_for(console.encoding)
    for slog in slogs:
        print_lines(console, stats_lines(slog.document(), width, marks))


def show_vats(files: Sequence[Path], *, as_json: bool, as_csv: bool) -> None:
    """Deliveries, computrons and time of every vat, the busiest first."""
    slogs = _read(files, None, None)
    vats = [(slog.name, vat_rows(slog.scanner.vats.values())) for slog in slogs]
    if as_json:
        print_json({"files": [{"file": name, "vats": rows} for name, rows in vats]})
    elif as_csv:
        table = [{"file": name, **row} for name, rows in vats for row in rows]
        print_csv(list(table[0]) if table else ["file", "vat_id"], table)
    else:
        for name, rows in vats:
            print_list(vats_table(name, rows))
    _tell_anomalies(slogs)


def _read(
    files: Sequence[Path], perf: Path | None, stage: int | None, *, census: bool = False
) -> list[_Slog]:
    log = None if perf is None else _read_perf(perf)
    if stage is not None and len(files) > 1:
        raise UsageError("--stage names one stage, but there are several files")
    return [_Slog(file, log, stage, census=census) for file in files]


def _read_perf(path: Path) -> PerfLog:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    shape = shape_of(schema.PERF)
    rows = (parse_row(line, shape) for line in lines)
    return read_perf(row for row in rows if row is not None)


def _scan(file: Path, *, census: bool) -> tuple[SlogScanner, list[BlockRecord]]:
    try:
        with SlogReader(file) as reader:
            scanner, records = scan_file(reader, census=census)
    except NotSlogError as error:
        raise not_slog(file, error) from error
    except OSError as error:
        raise unreadable(file, error) from error
    if scanner.totals.events or _KNOWN.intersection(scanner.totals.types):
        return scanner, records
    if not census and file.is_file():
        # It may be a piece of a slog without any of the events that count.
        return _scan(file, census=True)
    raise nothing_found(file, scanner.totals.bytes, reader.beginning, reader.damage)


def _stage_of(file: Path) -> int | None:
    match = _STAGE.search(file.name)
    return None if match is None else stage_number(match[1])


def _tell_anomalies(slogs: Iterable[_Slog]) -> None:
    """On standard error, so that it never mixes with the numbers."""
    for slog in slogs:
        odd = slog.anomalies()
        if odd:
            words = ", ".join(f"{kind} {count}" for kind, count in odd.items())
            sys.stderr.write(f"{clean(slog.name)}: {words}\n")
        for step in step_rows(slog.scanner.clock_steps):
            sys.stderr.write(f"{clean(slog.name)}: {clock_step(step)}\n")
