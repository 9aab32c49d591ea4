"""The scanner: what it finds, and that nothing in a slog stops it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.slog_maker import Slog, line

from loadgenctl.slog.blocks import BlockRows
from loadgenctl.slog.scan import BlockRecord, SlogScanner, scan_file


def scan(content: bytes, *, step: int | None = None) -> tuple[SlogScanner, list[BlockRecord]]:
    scanner = SlogScanner(census=True)
    size = step or max(1, len(content))
    for start in range(0, len(content), size):
        scanner.feed(content[start : start + size])
    scanner.finish()
    return scanner, scanner.take_blocks()


def busy_slog() -> Slog:
    slog = Slog()
    slog.add("import-kernel-start")
    create: dict[str, Any] = {"vatID": "v1", "dynamic": False, "description": "x"}
    slog.add("create-vat", **create, name="bank", managerType="xs-worker", vatSourceBundle={})
    slog.add("vat-startup-finish", vatID="v1")
    slog.add("start-replay", vatID="v1", deliveries=1)
    slog.add("start-replay-delivery", vatID="v1", delivery=["message"], deliveryNum=0)
    slog.add("finish-replay", after=2.0, vatID="v1")
    return slog.block(7, deliveries=2).block(8).block(9, deliveries=1)


def test_blocks_vats_and_startup() -> None:
    scanner, blocks = scan(busy_slog().content())
    assert [block.block_height for block in blocks] == [7, 8, 9]
    assert [block.slog_lines for block in blocks] == [8, 0, 4]
    assert [block.deliveries for block in blocks] == [2, 0, 1]
    assert (blocks[0].first_crank_num, blocks[0].last_crank_num) == (700, 701)
    assert blocks[0].computrons == 200
    vat = scanner.vats["v1"]
    assert (vat.name, vat.dynamic, vat.manager_type) == ("bank", False, "xs-worker")
    assert (vat.deliveries, vat.computrons, vat.replayed_deliveries) == (3, 300, 1)
    assert round(vat.delivery_time_s, 6) == 0.3
    startup = scanner.startup
    assert startup.replay_started_at is not None
    assert startup.replay_finished_at is not None
    assert round(startup.replay_finished_at - startup.replay_started_at, 6) == 2.1
    assert startup.bootstrap_started_at is None
    assert scanner.anomalies == Counter()
    assert scanner.totals.lines == busy_slog().content().count(b"\n")


def test_every_cut_gives_the_same() -> None:
    content = busy_slog().content() + b'{"time":99'
    whole, blocks = scan(content)
    for step in (1, 2, 3, 7, 64, 100, 1000):
        scanner, found = scan(content, step=step)
        assert [asdict(block) for block in found] == [asdict(block) for block in blocks]
        assert scanner.vats == whole.vats
        assert scanner.startup == whole.startup
        assert scanner.totals == whole.totals
        assert scanner.anomalies == whole.anomalies == Counter({"torn-line": 1})


def test_monotime_after_time() -> None:
    block = {"blockHeight": 3, "blockTime": 990}
    content = b"".join(
        line(1000.0 + n, f"cosmic-swingset-{kind}", monotime=5.5 + n, **block)
        for n, kind in enumerate(("begin-block", "end-block-start", "end-block-finish"))
    )
    _, [found] = scan(content)
    assert (found.begin_at, found.end_start_at, found.end_finish_at) == (1000.0, 1001.0, 1002.0)


def test_bootstrap_events_and_bootstrap_without_them() -> None:
    old = Slog().add("cosmic-swingset-end-block-start", blockHeight=0, blockTime=1)
    old.delivery(1).add("cosmic-swingset-end-block-finish", blockHeight=0, blockTime=1)
    new = Slog().add("cosmic-swingset-bootstrap-block-start", blockTime=1)
    new.delivery(1).add("cosmic-swingset-bootstrap-block-finish", blockTime=1)
    for slog in (old, new):
        scanner, [block] = scan(slog.block(1, deliveries=1).content())
        startup = scanner.startup
        assert startup.bootstrap_started_at == 1000.1
        assert startup.bootstrap_finished_at == 1000.4
        assert (startup.bootstrap_deliveries, startup.bootstrap_computrons) == (1, 100)
        assert block.deliveries == 1
        assert scanner.anomalies == Counter()


def test_replayed_deliveries_and_those_without_crank_do_not_count() -> None:
    slog = Slog()
    block = {"blockHeight": 1, "blockTime": 1}
    slog.add("cosmic-swingset-begin-block", **block)
    slog.add("cosmic-swingset-end-block-start", **block)
    result: dict[str, Any] = {"vatID": "v1", "deliveryNum": 1, "dr": ["ok", None, {"compute": 5}]}
    slog.add("deliver-result", **result)
    slog.add("deliver-result", crankNum=1, replay=True, **result)
    slog.add("deliver-result", crankNum=2, replay=False, **result)
    slog.add("cosmic-swingset-end-block-finish", **block)
    _, [found] = scan(slog.content())
    assert (found.deliveries, found.computrons, found.slog_lines) == (1, 5, 3)


def test_quoted_events_are_not_events() -> None:
    quoted = '"type":"cosmic-swingset-begin-block","blockHeight":9,"blockTime":1'
    slog = Slog().add("console", text="{" + quoted + "}")
    slog.raw(b'{"time":1.0,"type":"console","args":[{' + quoted.encode() + b"}]}\n").block(1)
    scanner, [block] = scan(slog.content())
    assert block.block_height == 1
    assert scanner.anomalies == Counter({"unused-hits": 1})


def test_oddities_are_counted_and_survived() -> None:
    slog = Slog().block(1, deliveries=1)
    slog.raw(b"\x00\xff\xfe garbage\n").raw(b"plain words\n")
    slog.raw(b'{"time":1.0,"type":"deliver-result",broken}\n')
    slog.raw(b'{"time":2.0,"type":"cosmic-swingset-begin-block"}\n')
    slog.add("never-heard-of", x=1)
    slog.add("cosmic-swingset-end-block-finish", blockHeight=55, blockTime=1)
    slog.now -= 50.0
    slog.block(2).block(2)
    slog.add("cosmic-swingset-begin-block", blockHeight=3, blockTime=1)
    slog.raw(b'{"time":3.0,"typ')
    scanner, blocks = scan(slog.content())
    assert [block.block_height for block in blocks] == [1, 2, 2, 3]
    assert blocks[3].end_finish_at is None
    odd = scanner.anomalies
    assert odd["bad-json"] == 2
    assert odd["garbage-lines"] == 2
    assert odd["binary"] == 1
    assert odd["unknown-events"] == 1
    assert odd["out-of-place"] == 1
    assert odd["repeated-block"] == 1
    assert odd["clock-back"] >= 1
    assert odd["unfinished-block"] == 1
    assert odd["torn-line"] == 1


def test_a_line_of_64_mb_in_a_block_counts_as_one() -> None:
    slog = Slog()
    block = {"blockHeight": 1, "blockTime": 1}
    slog.add("cosmic-swingset-begin-block", **block)
    slog.add("cosmic-swingset-end-block-start", **block)
    scanner = SlogScanner(census=True)
    scanner.feed(slog.content())
    scanner.feed(b'{"time":1001.0,"type":"deliver","crankNum":5,"vatID":"v9","kd":"')
    for _ in range(64):
        scanner.feed(b"x" * (1 << 20))
    scanner.feed(b'"}\n')
    scanner.feed(line(1003.0, "deliver-result", crankNum=5, vatID="v9", dr=["ok", None, None]))
    scanner.feed(line(1004.0, "cosmic-swingset-end-block-finish", **block))
    scanner.finish()
    [found] = scanner.take_blocks()
    assert (found.slog_lines, found.deliveries) == (2, 1)
    assert scanner.vats["v9"].delivery_time_s == 2.0
    assert scanner.anomalies == Counter()


def test_a_create_vat_line_longer_than_the_limit_keeps_its_name() -> None:
    create: dict[str, Any] = {"vatID": "v2", "dynamic": True, "description": "d"}
    bundle = {"source": "x" * (5 << 20)}
    content = line(1.0, "create-vat", **create, name="zoe", vatSourceBundle=bundle)
    scanner, _ = scan(content, step=1 << 20)
    assert (scanner.vats["v2"].name, scanner.vats["v2"].dynamic) == ("zoe", True)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | st.sampled_from(busy_slog().lines), max_size=30))
def test_no_mixture_of_bytes_and_lines_is_fatal(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    scanner, blocks = scan(content)
    assert scanner.totals.bytes == len(content)
    rows = BlockRows()
    for block in blocks:
        assert rows.row(block)["blockHeight"] == block.block_height


def test_scan_file_reads_plain_and_says_what_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "chain.slog"
    path.write_bytes(busy_slog().content()[:-20])
    scanner, blocks = scan_file(path)
    assert [block.block_height for block in blocks] == [7, 8, 9]
    assert scanner.anomalies == Counter({"torn-line": 1, "unfinished-block": 1})


def test_a_line_full_of_quoted_events_costs_no_more_than_its_length() -> None:
    quoted = b'{"type":"deliver"},' * 150_000
    content = b'{"time":1.0,"type":"console","args":[' + quoted + b"0]}\n"
    scanner, _ = scan(content + Slog().block(1).content())
    assert scanner.anomalies == Counter({"unused-hits": 150_000})
    assert scanner.totals.events == 3
