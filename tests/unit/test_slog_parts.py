"""A slog read in parts by several processes tells what it tells in one piece."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.slog_maker import Slog
from tests.unit.test_slog_properties import LINE_LIMIT, SLOGS, Told, ended, told

from loadgenctl.slog.facts import EventReader, Fact
from loadgenctl.slog.files import SlogReader
from loadgenctl.slog.line_splitter import LineSplitter
from loadgenctl.slog.model import BlockRecord
from loadgenctl.slog.parallel import STRIPE, facts_in_parts, workers_for
from loadgenctl.slog.scan import SlogScanner, scan_file


def parts_of(
    path: Path, workers: int, reader: EventReader, stripe: int = STRIPE
) -> Generator[list[Fact], None, None]:
    with path.open("rb") as file:
        yield from facts_in_parts(file.fileno(), workers, reader, stripe)


def told_in_parts(slog: bytes, stripe: int, workers: int) -> Told:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.slog"
        path.write_bytes(slog)
        reader = EventReader(census=True, lines=LineSplitter(LINE_LIMIT, head_kept=200))
        return taken(parts_of(path, workers, reader, stripe), census=True)


def taken(facts: Iterator[list[Fact]], *, census: bool = False) -> Told:
    scanner = SlogScanner(census=census)
    blocks: list[BlockRecord] = []
    for some in facts:
        scanner.take(some)
        blocks += scanner.take_blocks()
    return ended(scanner, blocks)


def long_slog(path: Path, blocks: int) -> Path:
    slog = Slog()
    for height in range(1, blocks + 1):
        slog.block(height, deliveries=2)
    path.write_bytes(slog.content())
    return path


@given(SLOGS, st.integers(1, 3000), st.integers(1, 3))
def test_any_stripes_tell_the_same(slog: bytes, stripe: int, workers: int) -> None:
    # Nothing can be more than a few hundred stripes: their number is that of forks and messages.
    stripe = max(stripe, len(slog) // 200)
    assert told_in_parts(slog, stripe, workers) == told([slog])


def test_every_length_of_stripes_tells_the_same() -> None:
    slog = Slog().block(1, deliveries=2).add("console", args=["x" * 500]).block(2).content()
    for content in (slog, slog[:-1], slog + b"\n\n", slog + b'{"time":99'):
        whole = told([content])
        for stripe in range(20, len(content) + 2, 37):
            assert told_in_parts(content, stripe, 2) == whole, stripe


def test_an_empty_slog_has_one_stripe() -> None:
    assert told_in_parts(b"", 10, 2) == told([b""])


def test_a_large_slog_is_scanned_as_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "chain.slog"
    slog = Slog()
    for height in range(1, 40):
        slog.block(height, deliveries=3).add("console", args=["x" * (STRIPE // 8)])
    path.write_bytes(slog.content())
    assert workers_for(path.stat().st_size) == min(8, len(os.sched_getaffinity(0)))
    scanner, blocks = scan_file(path, census=True)
    one = SlogScanner(census=True)
    one.feed(slog.content())
    one.finish()
    assert blocks == one.take_blocks()
    assert (scanner.vats, scanner.startup) == (one.vats, one.startup)
    assert (scanner.totals, scanner.anomalies) == (one.totals, one.anomalies)


def started(before: set[psutil.Process]) -> list[psutil.Process]:
    """The children of this process that other tests have not left."""
    return [child for child in psutil.Process().children() if child not in before]


@pytest.fixture
def before() -> set[psutil.Process]:
    return set(psutil.Process().children())


def test_small_and_packed_slogs_are_read_by_this_process_alone(tmp_path: Path) -> None:
    small = long_slog(tmp_path / "chain.slog", 3)
    packed = tmp_path / "chain.slog.gz"
    packed.write_bytes(b"\x1f\x8b" + bytes(5 * STRIPE))
    with SlogReader(small) as plain, SlogReader(packed) as other:
        assert (plain.size, other.size) == (small.stat().st_size, None)
    assert [workers_for(size) for size in (small.stat().st_size, None)] == [1, 1]


@pytest.mark.parametrize("killed", [1, 2])
def test_what_killed_workers_leave_is_read_by_the_reader(
    tmp_path: Path, killed: int, before: set[psutil.Process]
) -> None:
    path = long_slog(tmp_path / "chain.slog", 400)
    facts = parts_of(path, 2, EventReader(), 1000)
    begun = [next(facts)]
    for child in started(before)[:killed]:
        child.kill()
    assert taken(iter([*begun, *facts])) == taken(parts_of(path, 1, EventReader()))
    assert started(before) == []


def test_numbers_too_large_for_a_pipe_are_read_by_the_reader(tmp_path: Path) -> None:
    slog = Slog().block(1)
    for crank in range(6):
        slog.now = 0.0
        slog.add("deliver", crankNum=crank, vatID="v1", deliveryNum=crank)
        slog.now = 9e11
        slog.add("deliver-result", crankNum=crank, vatID="v1", dr=["ok", None, None])
    path = tmp_path / "chain.slog"
    path.write_bytes(slog.content())
    found = taken(parts_of(path, 2, EventReader()))
    assert found.vats["v1"].deliveries == 6
    assert found.vats["v1"].delivery_time_s == 6 * 9e11


def test_a_line_of_many_stripes_is_looked_through_once(tmp_path: Path) -> None:
    # If every stripe looked for the line's end, this would take minutes.
    path = tmp_path / "chain.slog"
    with path.open("wb") as file:
        file.write(Slog().block(1).content())
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + Slog(now=2000.0).block(2).content())
    found = taken(parts_of(path, 2, EventReader(), 1 << 20))
    assert [block.block_height for block in found.blocks] == [1, 2]
    assert found.anomalies == {}


def test_a_reader_that_stops_early_leaves_no_workers(
    tmp_path: Path, before: set[psutil.Process]
) -> None:
    facts = parts_of(long_slog(tmp_path / "chain.slog", 400), 2, EventReader(), 1000)
    next(facts)
    assert len(started(before)) == 2
    facts.close()
    assert started(before) == []


READ_AND_WAIT = """
import json, sys
from pathlib import Path
import psutil
from loadgenctl.slog.parallel import facts_in_parts
from loadgenctl.slog.facts import EventReader

file = Path(sys.argv[1]).open("rb")
facts = facts_in_parts(file.fileno(), 2, EventReader(), 1000)
next(facts)
print(json.dumps([child.pid for child in psutil.Process().children()]), flush=True)
sys.stdin.read()
"""


def test_a_killed_reader_leaves_no_workers(tmp_path: Path) -> None:
    path = long_slog(tmp_path / "chain.slog", 400)
    argv = [sys.executable, "-c", READ_AND_WAIT, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        workers = [psutil.Process(pid) for pid in json.loads(reader.stdout.readline())]
        assert len(workers) == 2
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
