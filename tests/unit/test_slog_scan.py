"""The scanner: what it finds, and that nothing in a slog stops it."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.slog_maker import SHAPES, Shape, Slog, by_time, line, reshaped

from loadgenctl.slog.facts import EventReader
from loadgenctl.slog.line_splitter import LINE_LIMIT
from loadgenctl.slog.scan import OTHER, BlockRecord, SlogScanner, scan_file


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


@pytest.mark.parametrize("shape", SHAPES)
def test_lines_of_every_era_tell_the_same(shape: Shape) -> None:
    content = busy_slog().add("terminate", vatID="v1", shouldReject=True, info=None).content()
    expected, expected_blocks = scan(content)
    scanner, blocks = scan(reshaped(content, shape))
    assert by_time(blocks) == expected_blocks
    assert scanner.vats == expected.vats
    assert scanner.startup == expected.startup
    assert scanner.totals.types == expected.totals.types
    assert scanner.totals.events == expected.totals.events
    assert scanner.anomalies == Counter()
    assert scanner.vats["v1"].terminated_at is not None


@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_of_a_delivery_is_its_own_not_one_that_its_payload_holds(shape: Shape) -> None:
    payload = {"time": 5.5, "monotime": 1.5, "args": [{"time": 7, "monotime": 2.5}]}
    slog = Slog().add("deliver", crankNum=1, vatID="v1", deliveryNum=1, vd=payload, kd=[payload])
    slog.add("deliver-result", after=2.0, crankNum=1, vatID="v1", dr=["ok", None, None])
    scanner, _ = scan(reshaped(slog.content(), shape))
    assert round(scanner.vats["v1"].delivery_time_s, 6) == 2.0
    assert scanner.anomalies == Counter()


def test_a_delivery_without_a_time_is_counted_as_odd() -> None:
    content = b'{"type":"deliver","crankNum":1,"vatID":"v1","vd":[{"time":3,"monotime":1}]}\n'
    content += b'{"type":"create-vat","vatID":"v1","dynamic":true}\n'
    content += line(9.5, "deliver-result", crankNum=1, vatID="v1", dr=["ok", None, None])
    scanner, _ = scan(content)
    assert scanner.vats["v1"].delivery_time_s == 0.0
    assert scanner.vats["v1"].created_at is None
    assert scanner.anomalies == Counter({"bad-json": 2})


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
    result: dict[str, Any] = {"vatID": "v1", "deliveryNum": 1, "dr": ["ok", None, {"compute": 5}]}
    slog.add("deliver-result", replay=True, **result)
    slog.add("deliver-result", replay=True, **result)
    slog.add("cosmic-swingset-begin-block", **block)
    slog.add("cosmic-swingset-end-block-start", **block)
    slog.add("deliver-result", **result)
    slog.add("deliver-result", crankNum=1, replay=True, **result)
    slog.add("deliver-result", crankNum=2, replay=False, **result)
    slog.add("cosmic-swingset-end-block-finish", **block)
    scanner, [found] = scan(slog.content())
    assert (found.deliveries, found.computrons, found.slog_lines) == (1, 5, 3)
    # Two before the first block, one of a vat that was paged in while the chain ran.
    assert scanner.vats["v1"].replayed_deliveries == 3
    assert scanner.startup.replayed_deliveries == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_quoted_events_are_not_events(shape: Shape) -> None:
    quoted = '"type":"cosmic-swingset-begin-block","blockHeight":9,"blockTime":1'
    slog = Slog().add("console", text="{" + quoted + "}")
    slog.raw(b'{"time":1.0,"type":"console","args":[{' + quoted.encode() + b"}]}\n")
    slog.raw(
        b'{"time":1.0,"type":"console","args":[{"type":"deliver"}],"x":{"type":"terminate"}}\n'
    )
    slog.raw(b'{"time":1.0,"type":"console","subtype":"deliver","x":["create-vat","deliver"]}\n')
    scanner, [block] = scan(reshaped(slog.block(1).content(), shape))
    assert block.block_height == 1
    assert scanner.totals.events == 3
    assert scanner.anomalies == Counter({"unused-hits": 3})


def test_types_that_only_look_like_wanted_ones() -> None:
    slog = Slog().add("deliver-inbound").add("undeliver").add("finish-replay-delivery", vatID="v1")
    slog.add("re-create-vat", vatID="v1").add("cosmic-swingset-begin-block-too")
    scanner, blocks = scan(slog.content())
    assert (blocks, scanner.vats, scanner.totals.events) == ([], {}, 0)
    assert scanner.anomalies == Counter({"unknown-events": 4})


def test_oddities_are_counted_and_survived() -> None:
    slog = Slog().block(1, deliveries=1)
    slog.raw(b"\x00\xff\xfe \x00 garbage\n").raw(b"plain words\n")
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


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b'{"time":1001.0,"type":"deliver",', b"}\n"),
        (b'{"type":"deliver",', b',"time":1001.0,"monotime":1.5}\n'),
        (b'{"time":1001.0,"monotime":1.5,"type":"deliver",', b"}\n"),
    ],
)
def test_a_line_of_64_mb_in_a_block_counts_as_one(head: bytes, tail: bytes) -> None:
    slog = Slog()
    block = {"blockHeight": 1, "blockTime": 1}
    slog.add("cosmic-swingset-begin-block", **block)
    slog.add("cosmic-swingset-end-block-start", **block)
    scanner = SlogScanner(census=True)
    scanner.feed(slog.content())
    scanner.feed(head + b'"crankNum":5,"vatID":"v9","kd":"')
    for _ in range(64):
        scanner.feed(b"x" * (1 << 20))
    scanner.feed(b'"' + tail)
    scanner.feed(line(1003.0, "deliver-result", crankNum=5, vatID="v9", dr=["ok", None, None]))
    scanner.feed(line(1004.0, "cosmic-swingset-end-block-finish", **block))
    scanner.finish()
    [found] = scanner.take_blocks()
    assert (found.slog_lines, found.deliveries) == (2, 1)
    assert scanner.vats["v9"].delivery_time_s == 2.0
    assert scanner.anomalies == Counter()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [1 << 20, None])
def test_a_create_vat_line_longer_than_the_limit_keeps_its_name(
    shape: Shape, step: int | None
) -> None:
    create: dict[str, Any] = {"vatID": "v2", "dynamic": True, "description": "d"}
    bundle = {"source": "x" * (LINE_LIMIT + 1)}
    content = line(1.0, "create-vat", **create, name="zoe", vatSourceBundle=bundle)
    scanner, _ = scan(reshaped(content, shape), step=step)
    vat = scanner.vats["v2"]
    assert (vat.name, vat.dynamic, vat.created_at) == ("zoe", True, 1.0)
    assert scanner.anomalies == Counter()


def test_a_vat_without_a_name_does_not_get_that_of_the_next() -> None:
    slog = Slog().add("create-vat", vatID="v1", dynamic=True)
    slog.add("create-vat", vatID="v2", dynamic=True, name="zoe", managerType="local")
    slog.add("start-replay-delivery", delivery=[]).add("start-replay", vatID="v2", deliveries=1)
    scanner, _ = scan(slog.content())
    assert (scanner.vats["v1"].name, scanner.vats["v1"].manager_type) == (None, None)
    assert scanner.vats["v2"].name == "zoe"
    assert scanner.vats["v2"].replayed_deliveries == 0
    assert scanner.startup.replayed_deliveries == 1


def test_another_wanted_line_longer_than_the_limit_is_odd() -> None:
    scanner, _ = scan(line(1.0, "terminate", vatID="v1", info="x" * LINE_LIMIT))
    assert scanner.anomalies == Counter({"long-line": 1})


BEGIN = {"blockHeight": 3, "blockTime": 990}
RESULT: dict[str, Any] = {"crankNum": 1, "vatID": "v1", "dr": ["ok", None, None]}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("cosmic-swingset-begin-block", {"blockHeight": 3, "blockTime": "990"}),
        ("cosmic-swingset-begin-block", {"blockHeight": "3", "blockTime": 990}),
        ("cosmic-swingset-begin-block", {"blockHeight": 3.5, "blockTime": 990}),
        ("cosmic-swingset-begin-block", {"blockHeight": True, "blockTime": 990}),
        ("cosmic-swingset-begin-block", {"blockHeight": 3, "blockTime": 1e300}),
        ("deliver-result", RESULT | {"crankNum": "1"}),
        ("deliver-result", RESULT | {"vatID": 7}),
        ("deliver-result", RESULT | {"vatID": ["v1"]}),
        ("deliver-result", RESULT | {"dr": None}),
        ("deliver-result", RESULT | {"dr": ["ok", None, {"compute": 1 << 60}]}),
        ("terminate", {"vatID": None}),
        ("start-replay", {}),
    ],
)
def test_fields_of_another_kind_are_odd_and_harm_nothing(kind: str, fields: dict[str, Any]) -> None:
    scanner, blocks = scan(line(1000.0, kind, **fields))
    assert (blocks, scanner.vats) == ([], {})
    assert scanner.anomalies == Counter({"bad-json": 1})


@pytest.mark.parametrize("time", [b"true", b'"1000.0"', b"null", b"[]", b"1e300", b"-1e13"])
def test_a_time_that_is_none_is_odd(time: bytes) -> None:
    begin = b'{"type":"cosmic-swingset-begin-block","blockHeight":3,"blockTime":9,"time":%s}\n'
    scanner, blocks = scan(begin % time)
    assert (blocks, scanner.startup.first_event_at) == ([], None)
    assert scanner.anomalies == Counter({"bad-json": 1})


def test_a_flood_of_types_takes_no_memory() -> None:
    content = b"".join(line(1.0, f"type-{number}") for number in range(3000))
    scanner, _ = scan(content + line(2.0, "deliver"))
    assert scanner.totals.types[OTHER] == 2000
    assert len(scanner.totals.types) == 1002
    assert scanner.totals.types["deliver"] == 1
    assert scanner.anomalies == Counter({"unknown-events": 3000})


def test_scan_file_reads_plain_and_says_what_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "chain.slog"
    path.write_bytes(busy_slog().content()[:-20])
    scanner, blocks = scan_file(path)
    assert [block.block_height for block in blocks] == [7, 8, 9]
    assert scanner.anomalies == Counter({"torn-line": 1, "unfinished-block": 1})


def test_megabytes_of_garbage_are_counted_and_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "chain.slog"
    garbage = random.Random(5).randbytes(1 << 20)
    path.write_bytes(garbage * 16 + b"\n" + busy_slog().content() + garbage)
    tracemalloc.start()
    scanner, blocks = scan_file(path, census=True)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert [block.block_height for block in blocks] == [7, 8, 9]
    odd = scanner.anomalies
    assert set(odd) == {"garbage-lines", "binary", "torn-line"}
    assert odd["garbage-lines"] == 17 * garbage.count(b"\n") + 1
    assert 0 < odd["binary"] < odd["garbage-lines"]


def test_a_line_full_of_quoted_events_costs_no_more_than_its_length() -> None:
    quoted = b'{"type":"deliver"},' * 150_000
    content = b'{"time":1.0,"type":"console","args":[' + quoted + b"0]}\n"
    scanner, _ = scan(content + Slog().block(1).content())
    assert scanner.anomalies == Counter({"unused-hits": 150_000})
    assert scanner.totals.events == 3


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("filler", ["", "x" * 200])
def test_the_message_of_a_crank_has_a_type_of_its_own(shape: Shape, filler: str) -> None:
    message = {"type": "create-vat", "vatID": "v7"}
    slog = Slog().add("crank-start", crankNum=1, filler=filler, message=message)
    slog.add("crank-finish", messageType="create-vat", crankNum=1)
    scanner, _ = scan(reshaped(slog.content(), shape))
    assert scanner.anomalies == Counter()
    assert scanner.vats == {}


@pytest.mark.parametrize("kind", ["create-vat", "cosmic-swingset-begin-block", "deliver"])
@pytest.mark.parametrize("start", [b'{"type": "', b'{"type":"'])
def test_fields_that_are_nested_as_deep_as_can_be_are_no_fields(kind: str, start: bytes) -> None:
    deep = b"[" * 900 + b"]" * 900
    fields = b",".join(b'"%s":%s' % (name, deep) for name in (b"vatID", b"name", b"blockHeight"))
    line = b'%s%s",%s,"time":1.5}\n' % (start, kind.encode(), fields)
    scanner, blocks = scan(line)
    assert blocks == []
    assert scanner.vats == {}
    assert set(scanner.anomalies) <= {"bad-json", "garbage-lines", "unused-hits"}
    read = EventReader(thorough=True)
    orjson.dumps(read.feed(line))
