"""A slow second reading of docs/slog.md, without loadgenctl.

`python tests/reference_slog.py SLOG.gz` prints the numbers of each block as JSON, computed exactly
from the digits of a slog with `monotime` of one process. `tests/data/sim.reference.json` is what it
printed of `tests/data/sim.slog.gz`, which a run of the simulated SDK wrote.
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


def rounded(value: Decimal, digits: Decimal) -> float:
    """Half up."""
    return float(value.quantize(digits, ROUND_HALF_UP))


def blocks_of(slog: bytes) -> list[dict[str, Any]]:
    """One row per block: what does not depend on when the chain was ready."""
    rows: list[dict[str, Any]] = []
    marks: dict[str, Decimal] = {}
    previous: tuple[Decimal, int] | None = None
    counted = False
    for text in slog.splitlines():
        event = json.loads(text, parse_float=Decimal)
        kind = event["type"]
        if kind == BLOCK + "begin-block":
            rows.append({"blockHeight": event["blockHeight"], "deliveries": 0, "computrons": 0})
            rows[-1]["beginAt"] = float(event["time"])
            rows[-1]["lag"] = rounded(event["time"] - event["blockTime"], MICROSECOND)
            marks = {"begin": event["monotime"]}
        elif kind == BLOCK + "end-block-start" and rows:
            rows[-1]["slogLines"], counted = 0, True
            marks["start"] = event["monotime"]
        elif kind == BLOCK + "end-block-finish" and rows:
            row, end, counted = rows[-1], event["monotime"], False
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
    return rows


if __name__ == "__main__":
    found = blocks_of(gzip.decompress(Path(sys.argv[1]).read_bytes()))
    sys.stdout.write("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n")
