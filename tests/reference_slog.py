"""A slow second reading of docs/slog.md, without loadgenctl.

`python tests/reference_slog.py SLOG.gz` prints the numbers of each block as JSON, computed exactly
from the digits of a slog of one process. In `tests/data`, a `.reference.json` file is what it
printed of the `.slog.gz` file beside it: `sim` and `sim-bootstrap` were written by a run of the
simulated SDK, its second and its first stage; those named after a revision of the Agoric SDK by a
run of that revision, made small by `tests/thin_slog.py`.
"""

from __future__ import annotations

import gzip
import json
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

BLOCK = "cosmic-swingset-"
MICROSECOND, HUNDREDTH = Decimal("0.000001"), Decimal("0.01")

PHASES = {"queued": "inbound", "high-priority": "priority"}
"""Phases of a run that had another name before 2025."""

NUMBERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "begin-block": (
        ("interBlockTime", "interBlockSeconds"),
        ("hangoverTime", "afterCommitHangoverSeconds"),
        ("blockLag", "blockLagSeconds"),
    ),
    "end-block-finish": (
        ("queuedAtEnd", "inboundQueueStats", "cosmic_swingset_inbound_queue_length"),
    ),
    "commit-block-finish": (
        ("chainSaveTime", "chainTime"),
        ("kernelSaveTime", "saveTime"),
        ("cosmosCommitTime", "cosmosCommitSeconds"),
        ("fullSaveTime", "fullSaveTime"),
    ),
    "after-commit-stats": (
        ("kernelHeap", "memoryUsage", "heapUsed"),
        ("kernelHeapTotal", "memoryUsage", "heapTotal"),
        ("kernelMemory", "memoryUsage", "rss"),
    ),
    "kernel-stats": (
        ("runQueue", "stats", "runQueueLength"),
        ("kernelObjects", "stats", "kernelObjects"),
        ("kernelPromises", "stats", "kernelPromises"),
        ("clistEntries", "stats", "clistEntries"),
    ),
}
"""Event → figure and where it is in the event. Beside these, the last event of a block counts."""


def rounded(value: Decimal, digits: Decimal) -> float:
    """Half up."""
    return float(value.quantize(digits, ROUND_HALF_UP))


def clock(event: dict[str, Any]) -> Decimal:
    """`monotime`, which old slogs do not have."""
    found: Decimal = event.get("monotime", event["time"])
    return found


class Figures:
    """What newer slogs tell of blocks, beside their times."""

    def __init__(self) -> None:
        self.sums: dict[str, Decimal] = {}
        self.runs: dict[str, Decimal] = {}
        self.online: set[str] = set()
        self.came: dict[str, Decimal] = {}
        self.loaded: dict[str, Decimal] = {}
        self.replayed: dict[str, int] = {}
        self.proposals = False

    def add(self, name: str, value: Decimal | int) -> None:
        self.sums[name] = self.sums.get(name, Decimal(0)) + value

    def take(self, event: dict[str, Any], row: dict[str, Any] | None) -> None:
        """One event; `row` is of the block that began last."""
        kind, mono = event["type"].removeprefix(BLOCK), clock(event)
        for figure, *path in NUMBERS.get(kind, ()) if row is not None else ():
            value: Any = event
            for name in path:
                value = value.get(name) if value else None
            if value is not None and row is not None:
                row[figure] = float(value)
        if kind == "upgrade-start":
            self.proposals = True
        elif kind == "begin-block" and row is not None:
            self.sums = {}
            if self.proposals:
                row["bootstrap"], self.proposals = True, False
        elif kind in {"run-start", "run-finish"}:
            self.take_run(kind, event, mono)
        elif kind == "after-commit-stats" and row is not None:
            row["gcTime"] = rounded(event["statsTime"]["forcedGc"] / 1000, MICROSECOND)
        elif kind == "end-block-finish" and row is not None:
            if "processedActionCounts" in event:
                row["queuedAtStart"] = sum(event["inboundQueueStartLengths"].values())
                row["actions"] = sum(each["count"] for each in event["processedActionCounts"])
            row |= {name: rounded(value, MICROSECOND) for name, value in self.sums.items()}
            zeros = ("pageIns", "evictions", "replayedDeliveries", "pageInTime", "snapshots")
            for name in (*zeros, "cleanupWork") if "runTime" in self.sums else ():
                row.setdefault(name, 0)
        else:
            self.take_vat(kind, event, mono, in_block=row is not None)

    def take_run(self, kind: str, event: dict[str, Any], mono: Decimal) -> None:
        """A run of the kernel."""
        if kind == "run-start":
            self.runs = {event.get("phase", ""): mono}
            return
        took = mono - self.runs[event.get("phase", "")]
        self.add("usedBeans", event["usedBeans"])
        self.add("runTime", took)
        if "phase" in event:
            self.add(f"{PHASES.get(event['phase'], event['phase'])}Time", took)

    def take_vat(self, kind: str, event: dict[str, Any], mono: Decimal, *, in_block: bool) -> None:
        """An event of a vat."""
        vat = event.get("vatID", "")
        if kind == "vat-cleanup":
            self.add("cleanupWork", sum(event["work"].values()))
        elif kind == "heap-snapshot-load":
            self.loaded[vat] = mono
        elif kind == "heap-snapshot-save":
            self.add("snapshots", 1)
            self.add("snapshotBytes", event["uncompressedSize"])
            self.add("snapshotCompressedBytes", event["compressedSize"])
            took = (event["compressSeconds"], event["dbSaveSeconds"])
            self.add("snapshotTime", sum(map(Decimal, took)))
        elif kind == "start-replay":
            self.came[vat], self.replayed[vat] = self.loaded.pop(vat, mono), 0
            if self.came[vat] != mono:
                self.replayed[vat] = -1
        elif kind == "deliver-result" and event.get("replay"):
            self.replayed[vat] = max(self.replayed[vat], 0) + 1
        elif kind == "finish-replay":
            evicted, count = vat in self.online, self.replayed[vat]
            self.online.add(vat)
            if in_block and (evicted or count):
                self.add("pageIns", 1)
                self.add("evictions", int(evicted))
                self.add("replayedDeliveries", max(count, 0))
                self.add("pageInTime", mono - self.came[vat])


def blocks_of(slog: bytes) -> list[dict[str, Any]]:
    """One row per block: what does not depend on when the chain was ready."""
    rows: list[dict[str, Any]] = []
    marks: dict[str, Decimal] = {}
    previous: tuple[Decimal, int] | None = None
    counted = False
    figures = Figures()
    for text in slog.splitlines():
        event = json.loads(text, parse_float=Decimal)
        kind = event["type"]
        if kind == BLOCK + "begin-block":
            rows.append({"blockHeight": event["blockHeight"], "deliveries": 0, "computrons": 0})
            rows[-1]["beginAt"] = float(event["time"])
            rows[-1]["lag"] = rounded(event["time"] - event["blockTime"], MICROSECOND)
            marks = {"begin": clock(event)}
        elif kind == BLOCK + "end-block-start" and rows:
            rows[-1]["slogLines"], counted = 0, True
            marks["start"] = clock(event)
        elif kind == BLOCK + "end-block-finish" and rows:
            row, end, counted = rows[-1], clock(event), False
            spans = {
                "cosmosTime": marks["start"] - marks["begin"],
                "swingsetTime": end - marks["start"],
                "processingTime": end - marks["begin"],
            }
            if previous is not None:
                spans["blockDuration"] = end - previous[0]
                spans["idleTime"] = marks["begin"] - previous[0]
                row["chainBlockDuration"] = event["blockTime"] - previous[1]
                share = spans["swingsetTime"] / spans["blockDuration"] * 100
                row["swingsetPercentage"] = rounded(share, HUNDREDTH)
            row |= {name: rounded(span, MICROSECOND) for name, span in spans.items()}
            previous = (end, event["blockTime"])
        elif counted:
            rows[-1]["slogLines"] += 1
            if kind == "deliver-result" and not event.get("replay") and "crankNum" in event:
                rows[-1]["deliveries"] += 1
                rows[-1]["computrons"] += ((event["dr"] + [None] * 3)[2] or {}).get("compute", 0)
        figures.take(event, rows[-1] if rows else None)
    return rows


if __name__ == "__main__":
    found = blocks_of(gzip.decompress(Path(sys.argv[1]).read_bytes()))
    sys.stdout.write("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n")
