"""Slopes that a few outliers do not tilt, and what they are taken of."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.stats.growth import growth_rows, theil_sen
from loadgenctl.stats.read_run import load


def test_a_line_has_its_slope_and_no_band() -> None:
    found = theil_sen([(x, 3.0 + 0.5 * x) for x in range(20)])
    assert found == {"slope": 0.5, "low": 0.5, "high": 0.5, "points": 20}


def test_outliers_do_not_tilt_and_noise_has_a_band() -> None:
    dice = random.Random(7)
    points = [(float(x), 0.02 * x + dice.gauss(0, 0.1)) for x in range(100)]
    points[10] = (10.0, 900.0)
    points[90] = (90.0, -900.0)
    found = theil_sen(points)
    assert found is not None
    assert found["low"] < 0.02 < found["high"]
    assert abs(found["slope"] - 0.02) < 0.002


@pytest.mark.parametrize(
    ("count", "noise", "slope", "expected"),
    [
        (12, 1.0, 0.5, (0.4923759002322865, 0.32633225341396493, 0.6491290038832377)),
        (40, 3.0, 0.02, (0.03076610764636819, -0.030130587696835288, 0.08102233509522376)),
        (120, 5.0, -0.1, (-0.09664969472174045, -0.11123832333192192, -0.07807706322697376)),
    ],
)
def test_slope_and_95_percent_band_are_those_of_scipy(
    count: int, noise: float, slope: float, expected: tuple[float, float, float]
) -> None:
    # scipy 1.17.1: scipy.stats.theilslopes(y, x, 0.95). It rounds the band's two places among the
    # sorted slopes where Sen (1968) takes the next ones outside: hence 3 % of the band's width.
    points = [(float(x), slope * x + noise * math.sin(x * x)) for x in range(count)]
    found = theil_sen(points)
    assert found is not None
    middle, low, high = expected
    near = 0.03 * (high - low)
    assert found["slope"] == pytest.approx(middle, abs=1e-8)
    assert found["low"] == pytest.approx(low, abs=near)
    assert found["high"] == pytest.approx(high, abs=near)


def test_noise_alone_does_not_grow() -> None:
    dice = random.Random(3)
    found = theil_sen([(float(x), dice.gauss(0, 1)) for x in range(1000)])
    assert found is not None
    assert found["low"] < 0 < found["high"]
    assert found["points"] == 1000


def test_too_little_says_nothing() -> None:
    assert theil_sen([(x, x) for x in range(9)]) is None
    assert theil_sen([(1.0, float(y)) for y in range(50)]) is None
    assert theil_sen([]) is None


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_rows_of_a_run_under_load(tmp_path: Path) -> None:
    stages, blocks, cycles, samples = [], [], [], []
    for stage in (1, 2):
        begin = 1000.0 * stage
        stages.append({"timestamp": begin, "stage": stage, "type": "perf-stage-start"})
        stages.append({"timestamp": begin + 900, "stage": stage, "type": "perf-stage-finish"})
        for n in range(40):
            at = begin + 10 * n
            height = 100 * stage + n
            blocks.append(
                {
                    "stage": stage,
                    "blockHeight": height,
                    "liveMode": True,
                    "beginAt": at,
                    "endFinishAt": at + 1,
                    "swingsetTime": 0.01 * n,
                }
            )
            start = {"task": "faucet", "seq": n, "start": at, "finish": at + 5}
            cycles.append({"stage": stage, **start, "success": True})
            common = {"time": at + 5, "stage": stage, "role": "chain"}
            kernel = {"kind": "process", "subject": "kernel", "memory_rss_kib": 500 + 3 * n}
            disk = {"kind": "storage", "subject": ".", "disk_kib": 7 * height}
            samples += [{**common, **kernel}, {**common, **disk}]
    write_rows(tmp_path / "perf.jsonl", stages)
    write_rows(tmp_path / "blocks.jsonl", blocks)
    write_rows(tmp_path / "cycles.jsonl", cycles)
    write_rows(tmp_path / "samples.jsonl", samples)
    rows = growth_rows(load(tmp_path))
    slopes = {(row["stage"], row["quantity"], row["per"]): row["slope"] for row in rows}
    assert slopes[1, "swingset_time_s", "block"] == 0.01
    assert slopes[2, "kernel_memory_kib", "block"] == 3
    assert slopes[1, "storage_kib", "cycle"] == 7
    assert slopes[None, "storage_kib", "block"] == 7
    assert not any(row["quantity"] == "vats_memory_kib" for row in rows)


def test_a_quantity_with_too_few_points_has_a_row_without_a_slope(tmp_path: Path) -> None:
    stage = {"stage": 1, "type": "perf-stage-start", "timestamp": 0}
    write_rows(tmp_path / "perf.jsonl", [stage])
    blocks = [{"stage": 1, "blockHeight": n, "beginAt": 10.0 * n} for n in range(9)]
    write_rows(tmp_path / "blocks.jsonl", blocks)
    cycles = [{"stage": 1, "task": "faucet", "start": 0.0, "finish": 99.0, "success": True}]
    write_rows(tmp_path / "cycles.jsonl", cycles)
    disk = {"stage": 1, "role": "chain", "kind": "storage", "subject": ".", "disk_kib": 7}
    write_rows(tmp_path / "samples.jsonl", [{**disk, "time": 10.0 * n + 5} for n in range(9)])
    rows = {(row["quantity"], row["per"]): row for row in growth_rows(load(tmp_path))}
    told = {"slope": None, "low": None, "high": None, "points": 9}
    row = {"stage": 1, "quantity": "storage_kib", "per": "block"}
    assert rows["storage_kib", "block"] == row | told
