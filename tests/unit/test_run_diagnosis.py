"""What a diagnosis says of vats, cycles and chain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadgenctl.errors import EngineError
from loadgenctl.records.load_cycles import CycleRow
from loadgenctl.run import diagnosis
from loadgenctl.slog.scan import SlogScanner


def feed(scanner: SlogScanner, *events: dict[str, Any]) -> None:
    lines = (json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    scanner.feed("".join(lines).encode())


def delivery(time: float, vat: str, number: int, seconds: float) -> list[dict[str, Any]]:
    fields = {"crankNum": number, "vatID": vat, "deliveryNum": number, "replay": False}
    result = {"dr": ["ok", None, {"compute": 10}], **fields}
    return [
        {"time": time, "type": "deliver", **fields},
        {"time": time + seconds, "type": "deliver-result", **result},
    ]


def cycle(seq: int, **fields: Any) -> CycleRow:
    row = CycleRow(
        stage=1,
        task="amm",
        seq=seq,
        intended_start=None,
        start=None,
        finish=None,
        duration_s=None,
        latency_s=None,
        success=None,
        error=None,
    )
    row.update(fields)  # type: ignore[typeddict-item]
    return row


def test_the_busiest_vats_by_time_with_their_names() -> None:
    scanner = SlogScanner()
    feed(scanner, {"time": 1.0, "type": "create-vat", "vatID": "v2", "name": "bank"})
    for number, (vat, seconds) in enumerate([("v1", 0.25), ("v2", 0.5), ("v3", 2.0), ("v4", 1.0)]):
        feed(scanner, *delivery(10.0 + 3 * number, vat, number, seconds))
    assert diagnosis.VatActivity(scanner).lines(100.0) == [
        "vat v3: 1 deliveries, 10 computrons, 2.0 s",
        "vat v4: 1 deliveries, 10 computrons, 1.0 s",
        "vat v2 (bank): 1 deliveries, 10 computrons, 0.5 s",
    ]


def test_only_work_since_the_reset_counts() -> None:
    scanner = SlogScanner()
    activity = diagnosis.VatActivity(scanner)
    feed(scanner, *delivery(10.0, "v1", 1, 5.0))
    activity.reset()
    assert activity.lines(20.0) == ["no vat had a delivery"]
    feed(scanner, *delivery(20.0, "v1", 2, 0.5))
    assert activity.lines(30.0) == ["vat v1: 1 deliveries, 10 computrons, 0.5 s"]


def test_the_delivery_that_goes_on_comes_first() -> None:
    scanner = SlogScanner()
    feed(scanner, {"time": 1.0, "type": "create-vat", "vatID": "v2", "name": "bank"})
    feed(scanner, *delivery(10.0, "v1", 1, 0.5), delivery(12.0, "v2", 2, 0.5)[0])
    assert diagnosis.VatActivity(scanner).lines(72.0) == [
        "vat v2 (bank) has been in a delivery for 60 s",
        "vat v1: 1 deliveries, 10 computrons, 0.5 s",
    ]


def test_cycles_that_ended_and_those_in_flight() -> None:
    finished = [
        cycle(1, finish=100.0, duration_s=20.0, success=True),
        cycle(2, finish=130.0, success=False, error="the purse did not move"),
    ]
    waiting = [cycle(number, start=200.0 - number) for number in range(3, 8)]
    assert diagnosis.cycle_lines(finished, waiting, 230.0) == [
        "amm cycle 1 ended 130 s ago after 20.0 s, passed",
        "amm cycle 2 ended 100 s ago, failed: the purse did not move",
        "amm cycle 7 has been in flight for 37 s",
        "amm cycle 6 has been in flight for 36 s",
        "amm cycle 5 has been in flight for 35 s",
        "and 2 more cycles are in flight",
    ]
    assert diagnosis.cycle_lines([], [], 0.0) == ["no cycle was started"]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"n_txs": "30", "total": "412"}, "412 transactions in the mempool"),
        ({"n_txs": "0"}, "0 transactions in the mempool"),
        (None, "the chain's RPC does not answer"),
        ({}, "the chain's RPC does not report the size of the mempool"),
    ],
)
def test_the_mempool_as_the_chain_tells_it(answer: dict[str, object] | None, line: str) -> None:
    asked: list[str] = []

    def rpc(path: str) -> dict[str, object] | None:
        asked.append(path)
        return answer

    assert diagnosis.mempool_line(rpc) == line
    assert asked == ["num_unconfirmed_txs"]


def test_a_chain_that_cannot_be_asked_hides_nothing() -> None:
    def rpc(path: str) -> dict[str, object] | None:
        raise EngineError("python3 did not finish within 10 s")

    line = diagnosis.mempool_line(rpc)
    assert line == "the chain cannot be queried: python3 did not finish within 10 s"


def test_a_chain_without_blocks_is_told_as_that() -> None:
    assert diagnosis.block_line(None, 0, 60.0) == "the chain has made no block"
