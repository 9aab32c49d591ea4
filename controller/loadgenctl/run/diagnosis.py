"""Why the load makes no progress: what vats, load service and chain have done.

A diagnosis is lines for a person, the most useful first. It is made once, when a stage fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadgenctl.errors import EngineError
from loadgenctl.records.load_cycles import CycleRow
from loadgenctl.slog.scan import SlogScanner, VatRecord

BUSIEST = 3
"""Vats named in a diagnosis."""
LAST_CYCLES = 3
"""Cycles of either kind, finished and in flight, named in a diagnosis."""


@dataclass(frozen=True, slots=True)
class VatWork:
    """What a vat has done since its start, or between two moments."""

    deliveries: int
    computrons: int
    seconds: float
    """Total time between the begin and the result of its deliveries."""


class VatActivity:
    """What each vat has done since the last `reset`, from the slog."""

    def __init__(self, scanner: SlogScanner) -> None:
        """Counts from the slog's beginning until the first `reset`."""
        self._scanner = scanner
        self._before: dict[str, VatWork] = {}

    def reset(self) -> None:
        """Count from now on."""
        self._before = {vat_id: _work(vat) for vat_id, vat in self._scanner.vats.items()}

    def lines(self, now: float) -> list[str]:
        """The delivery in progress, then the busiest vats. `now` in epoch seconds."""
        lines = []
        delivery = self._scanner.open_delivery
        if delivery is not None:
            began, vat_id = delivery
            lines.append(f"{self._name(vat_id)} has been in a delivery for {_ago(began, now)}")
        ranked = sorted(self._since(), key=lambda item: item[1].seconds, reverse=True)
        lines += [
            f"{self._name(vat_id)}: {work.deliveries} deliveries,"
            f" {work.computrons} computrons, {work.seconds:.1f} s"
            for vat_id, work in ranked[:BUSIEST]
        ]
        return lines or ["no vat had a delivery"]

    def _since(self) -> list[tuple[str, VatWork]]:
        nothing = VatWork(0, 0, 0.0)
        since = []
        for vat_id, vat in self._scanner.vats.items():
            now, before = _work(vat), self._before.get(vat_id, nothing)
            if now.deliveries > before.deliveries:
                since.append(
                    (
                        vat_id,
                        VatWork(
                            now.deliveries - before.deliveries,
                            now.computrons - before.computrons,
                            now.seconds - before.seconds,
                        ),
                    )
                )
        return since

    def _name(self, vat_id: str | None) -> str:
        vat = self._scanner.vats.get(vat_id or "")
        name = vat.name if vat is not None else None
        return f"vat {vat_id} ({name})" if name else f"vat {vat_id or 'of unknown id'}"


def _work(vat: VatRecord) -> VatWork:
    return VatWork(vat.deliveries, vat.computrons, vat.delivery_time_s)


def cycle_lines(
    finished: Sequence[CycleRow], unfinished: Sequence[CycleRow], now: float
) -> list[str]:
    """The last cycles that finished, and those in flight, the oldest first."""
    lines = []
    for row in finished[-LAST_CYCLES:]:
        outcome = "passed" if row["success"] else f"failed: {row['error']}"
        ago = _ago(row["finish"], now)
        took = "" if row["duration_s"] is None else f" after {row['duration_s']:.1f} s"
        lines.append(f"{row['task']} cycle {row['seq']} ended {ago} ago{took}, {outcome}")
    waiting = sorted(unfinished, key=lambda row: row["start"] or 0.0)
    lines += [
        f"{row['task']} cycle {row['seq']} has been in flight for {_ago(row['start'], now)}"
        for row in waiting[:LAST_CYCLES]
    ]
    if len(waiting) > LAST_CYCLES:
        lines.append(f"and {len(waiting) - LAST_CYCLES} more cycles are in flight")
    return lines or ["no cycle was started"]


def mempool_line(rpc: Callable[[str], Mapping[str, object] | None]) -> str:
    """How many transactions wait for a block, from the chain's RPC."""
    try:
        answer = rpc("num_unconfirmed_txs")
    except EngineError as error:
        # An error here must not hide why the stage fails.
        return f"the chain cannot be queried: {error.message}"
    if answer is None:
        return "the chain's RPC does not answer"
    # Tendermint gives both: how many it lists in the answer (n_txs), and how many there are.
    total = answer.get("total", answer.get("n_txs"))
    if total is None:
        return "the chain's RPC does not report the size of the mempool"
    return f"{total} transactions in the mempool"


def block_line(height: int | None, blocks: int, seconds: float) -> str:
    """How many blocks the chain has made."""
    if height is None:
        return "the chain has made no block"
    return f"the chain made {blocks} blocks in {seconds:.0f} s and is at block {height}"


def section(title: str, lines: Sequence[str]) -> str:
    """A title, and lines indented below it."""
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)])


def _ago(moment: float | None, now: float) -> str:
    return "an unknown time" if moment is None else f"{max(0.0, now - moment):.0f} s"
