"""bin/bench: how it measures and where it writes. Its measurements take minutes: not run here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.__main__ import DOCUMENT, PARTS
from tests.bench.linear import cut_at_line
from tests.bench.measure import BenchError, Spread, Usage, in_turns, ratios, run
from tests.bench.report import put, table
from tests.bench.settings import LONG_SLOG, Settings
from tests.lengthen_slog import lengthen
from tests.unit.slog_maker import SHAPES, Shape, Slog, reshaped

from loadgenctl.slog.scan import scan_file

BURN = (
    "import time\nwhile time.process_time() < 0.2: pass\nx = bytearray(80_000_000)\nprint('done')"
)


def test_a_program_is_measured_with_all_that_it_starts() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    usage = run([sys.executable, "-c", nested])
    assert usage.output == b"done\n"
    assert 0.2 <= usage.cpu_s < 30
    assert usage.wall_s >= 0.2
    assert usage.peak_mb > 80


def test_output_may_go_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run([sys.executable, "-c", "print('text')"], stdout=out).output == b""
    assert out.read_text(encoding="utf-8") == "text\n"


def test_a_program_that_fails_or_is_not_there_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="exit code 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(BenchError, match="none-such cannot be run"):
        run(["none-such"])


def test_programs_take_turns() -> None:
    order: list[str] = []

    def program(name: str) -> Callable[[], Usage]:
        def one() -> Usage:
            order.append(name)
            return Usage(1.0, 2.0, 3.0, b"")

        return one

    taken = in_turns({"a": program("a"), "b": program("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert [len(usages) for usages in taken.values()] == [2, 2]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    assert ratios([10.0, 40.0, 9.0], [1.0, 2.0, 3.0]) == Spread(10.0, 3.0, 20.0)
    assert Spread(1.0, 0.5, 1.25).text() == "1.00 (0.50 to 1.25)"


def test_every_part_has_its_place_in_the_document(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_bytes(DOCUMENT.read_bytes())
    for part in PARTS:
        put(copy, part, table(["what"], [[f"new {part}"]]))
    text = copy.read_text(encoding="utf-8")
    assert all(
        f"\n| what |\n| --- |\n| new {part} |\n<!-- end: {part} -->" in text for part in PARTS
    )
    with pytest.raises(BenchError, match="does not have one place"):
        put(copy, "another", [])


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_a_long_slog_is_one_orderly_stage(tmp_path: Path, shape: Shape) -> None:
    short, long = tmp_path / "short.slog", tmp_path / "long.slog"
    slog = Slog().add("create-vat", vatID="v1", dynamic=False, name="bank").block(5, deliveries=2)
    short.write_bytes(reshaped(slog.block(6, deliveries=1).content(), shape))
    lengthen(short, long, 8000)
    scanner, blocks = scan_file(long)
    assert len(blocks) > 4
    assert [block.block_height for block in blocks] == list(range(5, 5 + len(blocks)))
    assert [block.deliveries for block in blocks] == [2, 1] * (len(blocks) // 2)
    assert scanner.anomalies == {}
    cut_at_line(long, 4000)
    again, _ = scan_file(long)
    assert 4000 <= long.stat().st_size < 4300
    assert set(again.anomalies) <= {"unfinished-block"}
    size = long.stat().st_size
    cut_at_line(long, 10**6)
    assert long.stat().st_size == size


def test_what_is_missing_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    def settings(slog: Path, original: Path | None = None) -> Settings:
        return Settings(slog, original, "node", megabytes=1, rounds=1, scratch=tmp_path)

    with pytest.raises(BenchError, match="name a real slog"):
        settings(tmp_path / "none").make_long_slog(1)
    with pytest.raises(BenchError, match="packages of its runner"):
        PARTS["slog"](settings(tmp_path / "none", original=tmp_path))
    with pytest.raises(BenchError, match="exit code"):
        settings(DOCUMENT).make_long_slog(1)
    assert not (tmp_path / LONG_SLOG).exists()
