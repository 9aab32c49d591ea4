"""Every table fits the width it is given, and no number and no word of a head is broken."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from tests.unit.shell import Shell
from tests.unit.test_cli_sdk import IMAGE, RECORD, build
from tests.unit.test_reports_text import a_summary

from loadgenctl.cli.image import show_images
from loadgenctl.cli.print_data import width_for
from loadgenctl.cli.sdk import show_sdks
from loadgenctl.formatting import seconds
from loadgenctl.images import ImageInfo
from loadgenctl.reports.run_tables import tables
from loadgenctl.reports.slog_tables import blocks_table, stats_lines, tail_lines, vats_table
from loadgenctl.reports.table_model import (
    ASCII,
    UNICODE,
    Column,
    Table,
    flowing,
    marks_for,
    print_lines,
    table_lines,
    wrapped,
)
from loadgenctl.reports.text import summary_lines
from loadgenctl.slog.block_rows import FIGURES
from loadgenctl.sources.sdk_cache import SdkCache
from loadgenctl.stats.blocks import FIGURE_METRICS

WIDTHS = (60, 80, 200)
LONG = "a-contract-whose-name-has-no-end-" * 4
BIG, HEIGHT = 9_876_543_210, 987_654_321
SPREAD = {"count": BIG, "avg": BIG + 0.5, "p50": 123456.5, "p95": BIG, "min": 0.00012, "max": BIG}


def extreme_summary() -> dict[str, Any]:
    """A summary with numbers of ten digits and names without an end in every place."""
    summary = a_summary(outcome="stalled", role="chain", reason="no block for 120 s " * 9)
    summary = json.loads(json.dumps(summary), parse_float=lambda _: BIG + 0.5)
    for stage in summary["stages"]:
        stage["durations"] = dict.fromkeys(
            (
                *("duration_s", "chain_ready_s", "first_empty_block_s", "client_ready_s"),
                *("loadgen_ready_s", "stage_ready_s", "loaded_s", "chain_stop_s", "restart_s"),
            ),
            987_654.5,
        )
        live: dict[str, Any] = dict.fromkeys(
            (
                *("block_duration_s", "swingset_time_s", "lag_s", "swingset_percentage"),
                *("deliveries", "computrons"),
                *FIGURE_METRICS.values(),
            ),
            SPREAD,
        )
        stage["blocks"] = {"all": {"block_count": BIG}, "live": {"block_count": BIG, **live}}
        cycle: dict[str, Any] = dict.fromkeys(
            ("cycle_count", "succeeded", "failed", "unfinished", "missed"), BIG
        )
        cycle |= {"duration_s": SPREAD, "latency_s": SPREAD, "success_percentage": 99.5}
        stage["cycles"] = {"all": cycle, "faucet": cycle, LONG: cycle}
        stage["vats"] = [
            {
                "vat_id": "v123456",
                "name": LONG,
                "deliveries": BIG,
                "computrons": BIG * 1000,
                "delivery_time_s": BIG,
            }
        ]
    summary["totals"] = {"cycles": summary["stages"][0]["cycles"], "live_blocks": live}
    for row in summary["resources"]:
        row |= {"name": LONG, "samples": BIG, "missing": BIG, "cpu_percentage": 6400.25}
        row["values"] = {"memory_rss_kib": {"max": BIG, "avg": BIG, "last": 1}}
    slope = {"slope": 1234.5, "low": 1000.25, "high": 98765.5, "points": BIG}
    summary["growth"] = [
        {"stage": stage, "quantity": quantity, "per": per, **slope}
        for stage in (1, None)
        for quantity in ("swingset_time_s", "kernel_heap_kib", "vats_memory_kib", "storage_kib")
        for per in ("block", "cycle")
    ]
    return dict(summary)


def block_rows() -> list[dict[str, Any]]:
    times = ("lag", "blockDuration", "idleTime", "cosmosTime", "swingsetTime")
    row = dict.fromkeys(times, 123_456.5) | {
        "liveMode": True,
        "swingsetPercentage": 100.25,
        "slogLines": 1_234_567,
        "deliveries": 1_234_567,
        "computrons": BIG,
    }
    row |= {name: 123_456.5 if unit == "s" else BIG for name, unit in FIGURES.items()}
    rows = [{"blockHeight": HEIGHT + place, **row} for place in range(3)]
    return [rows[0] | {"bootstrap": True}, *rows[1:]]


def slog_document() -> dict[str, Any]:
    groups = {"block_count": BIG, "start_block_height": HEIGHT, "end_block_height": HEIGHT}
    quantities: tuple[str, ...] = ("lag_s", "chain_block_duration_s", "computrons", "other")
    quantities += ("swingset_percentage", *FIGURE_METRICS.values())
    return {
        "file": "/a/folder/" + "and-another/" * 9 + "chain.slog",
        "bytes": BIG,
        "lines": BIG,
        "startup": {
            "bootstrap_s": 1234.5,
            "bootstrap_deliveries": BIG,
            "bootstrap_computrons": BIG * 1000,
            "bootstrap_block_s": 1234.5,
            "core_proposals_s": 1234.5,
            "core_block_s": 1234.5,
            "replay_s": 1234.5,
            "replayed_deliveries": BIG,
        },
        "blocks": dict.fromkeys(
            ("all", "last100", "live", "catch_up"), groups | dict.fromkeys(quantities, SPREAD)
        ),
        "types": {LONG: BIG, "deliver": BIG},
        "anomalies": {f"oddity-{place}": BIG for place in range(9)},
        "clock_steps": [{"at": 1.0, "seconds": -float(BIG), "block": BIG}],
    }


def vat_rows() -> list[dict[str, Any]]:
    counts: tuple[str, ...] = ("deliveries", "failed_deliveries", "computrons")
    counts += ("replayed_deliveries", "page_ins", "evictions", "snapshots", "snapshot_bytes")
    return [
        {"vat_id": "v123456", "name": LONG, **dict.fromkeys(counts, BIG)}
        | {"delivery_time_s": BIG, "replay_s": BIG}
    ]


ALL = [
    *tables(extreme_summary()),
    *tables(a_summary()),
    blocks_table("/x/chain.slog", block_rows()),
    vats_table("/x/chain.slog", vat_rows()),
]


def plain(table: Table, width: int | None) -> list[str]:
    return [line.plain for line in table_lines(table, width)]


def tokens(text: str) -> set[str]:
    """What stands between spaces; two spaces end a number such as `1 234`, one may not."""
    return set(text.split())


@pytest.mark.parametrize("width", [*WIDTHS, None])
@pytest.mark.parametrize("table", ALL, ids=lambda table: str(table.title)[:20])
def test_every_table_of_a_run_and_a_slog_fits_with_whole_numbers_and_heads(
    table: Table, width: int | None
) -> None:
    lines = plain(table, width)
    assert width is None or max(map(cell_len, lines)) <= width
    whole = "\n".join(lines)
    shown = tokens(whole)
    for column in table.columns:
        if column.rank and not set(column.head.split()) <= shown:
            continue
        assert set(column.head.split()) <= shown
        for row in table.rows:
            cell = str(column.cell(row))
            if column.kind == "name" and cell not in whole:
                assert any(word.endswith(UNICODE.cut) and len(word) > 7 for word in shown)
            else:
                assert re.search(rf"(?:^|\s){re.escape(cell)}(?:\s|$)", whole, re.MULTILINE)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("summary", [extreme_summary(), a_summary(simulated=True, attempt=2)])
def test_all_lines_of_a_summary_fit(summary: dict[str, Any], width: int) -> None:
    lines = [line.plain for line in summary_lines(summary, width)]
    assert max(map(cell_len, lines)) <= width


def test_an_ordinary_summary_at_80_columns_leaves_little_out() -> None:
    whole = "\n".join(line.plain for line in summary_lines(a_summary(), 80))
    assert "…" not in whole
    assert "max" in whole


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lines_of_slog_stats_fit(width: int) -> None:
    lines = [line.plain for line in stats_lines(slog_document(), width)]
    path = slog_document()["file"]
    assert max(cell_len(line) for line in lines if path not in line) <= width
    whole = "\n".join(lines)
    for words in ("9 876 543 210", "bootstrap 1 234 s", "9 876 543 210 000", "987654321"):
        assert re.search(rf"(?:^|\s){re.escape(words)}(?:[\s,]|$)", whole, re.MULTILINE)
    assert "_deliveries" not in whole
    assert "9 876 543 210.00" not in whole


@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_a_followed_chain_s_table_fits_a_terminal(width: int) -> None:
    lines = [line.plain for line in tail_lines("/x/chain.slog: stage 1", block_rows(), width)]
    assert max(map(len, lines)) <= width
    for row in block_rows():
        assert sum(line.split()[0] == str(row["blockHeight"]) for line in lines if line) == 1
    assert sum("9 876 543 210" in line for line in lines) == len(block_rows())


class _Images:
    def list(self) -> list[ImageInfo]:
        tag = "loadgenctl/sdk-2021-spring:eb6f41b14543e95a"
        return [ImageInfo(tag, IMAGE, BIG, 0), ImageInfo("loadgenctl/sim:1", IMAGE, BIG, 0)]

    def remove(self, tag: str) -> bool:
        raise NotImplementedError(tag)


@pytest.mark.parametrize("columns", [*WIDTHS, None])
def test_lists_fit_columns_and_without_it_have_a_line_for_each_row(
    columns: int | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "" if columns is None else str(columns))
    cache, name = SdkCache(tmp_path / "sdk"), "a-branch/with-a-name-of/forty-characters"
    builds = [
        build(cache, replace(RECORD, requested=name, content_id=content))
        for content in ("1" * 40, "2" * 40)
    ]
    show_sdks(cache, {IMAGE: "loadgenctl/sdk-2021-spring:eb6f41b14543e95a"}, as_json=False)
    show_images(_Images(), now=1e9, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    shown = tokens("\n".join(lines))
    assert {
        name,
        "loadgenctl/sdk-2021-spring:eb6f41b14543e95a",
        *(made.key for made in builds),
    } <= (shown)
    if columns is None:
        assert sum(name in line and "loadgenctl/sdk" in line for line in lines) == len(builds)
    else:
        assert max(map(len, (line for line in lines if str(tmp_path) not in line))) <= columns


@pytest.mark.parametrize("columns", [60, 80])
def test_options_fit_columns(
    columns: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    note = "--test-data.note a-word-of-thirty-characters-xx"
    line = f"options --stage.loadgen.faucet.interval 12 {note}"
    said = Shell(tmp_path, capsys).run(*line.split())
    lines = said.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert {"a-word-of-thirty-characters-xx", "stage.loadgen.faucet.interval"} <= tokens(
        said.stdout
    )


@pytest.mark.parametrize("columns", [60, 80])
def test_the_plan_of_a_run_fits_columns(
    columns: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    load = " ".join(f"--stage.loadgen.{task}.interval 1234" for task in ("faucet", "amm", "vault"))
    line = f"run --sdk sim --dry-run --stages 4 --output-dir x {load}"
    lines = Shell(tmp_path, capsys).run(*line.split()).stdout.splitlines()
    assert lines[0] == "SDK sim, bundled"
    assert lines[1].startswith("results in "), "a path is not broken"
    assert max(map(len, lines[2:])) <= columns
    assert lines[2].split() == ["stage", "runs", "minutes", "cycles", "saved"]
    for task in ("faucet", "amm", "vault"):
        assert sum(f"{task} interval 1234" in line for line in lines) == 1, "alike in two stages"


@given(
    st.lists(st.sampled_from(["number", "name", "words"]), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**12), min_size=8, max_size=8),
    st.integers(30, 120),
    st.sampled_from(["report", "list"]),
)
def test_any_table_of_numbers_and_words_fits(
    kinds: Sequence[Any], numbers: Sequence[int], width: int, form: Any
) -> None:
    columns = [
        Column(f"the head number-{place}", f"n{place}", str, kind, joined=place % 2 == 1)
        for place, kind in enumerate(kinds)
    ]
    row = {f"n{place}": f"{number:,}" for place, number in enumerate(numbers)}
    lines = plain(Table("A title of some words", columns, [row], form=form), width)
    assert max(map(len, lines)) <= width
    shown = tokens("\n".join(lines))
    for column, number in zip(columns, numbers, strict=False):
        assert set(column.head.split()) <= shown
        assert column.kind == "name" or f"{number:,}" in shown


def test_what_is_left_out_and_how_it_is_arranged_when_columns_get_fewer() -> None:
    columns = (
        Column("stage", "stage", str, "words"),
        Column("task", "task", str, "name"),
        Column("avg time", "time_s.avg", seconds),
        Column("p95 time", "time_s.p95", seconds, joined=True),
        Column("max", "time_s.max", seconds, rank=1),
        Column("count", "count"),
    )
    row = {"stage": 1, "task": "a-long-name", "count": 1234}
    row["time_s"] = {"avg": 1.5, "p95": 2.5, "max": 9.99}
    table = Table("Times", columns, [row], keys=2)
    assert plain(table, 60)[1] == "stage  task         avg time  p95 time   max  count"
    assert plain(table, 45)[1:3] == [
        "                     avg   p95",
        "stage  task         time  time   max  count",
    ]
    assert plain(table, 38)[-1] == "1     a-long-name 1.50 2.50 9.99 1 234"
    assert plain(table, 35)[-1] == "1     a-long-… 1.50 2.50 9.99 1 234"
    assert plain(table, 31)[-1] == "1     a-long-n… 1.50 2.50 1 234"
    assert plain(table, 26)[6:] == [
        "Times, continued",
        "stage  task         count",
        "─" * 25,
        "1      a-long-name  1 234",
    ]
    assert plain(table, 14) == [
        "Times",
        *("stage     1", "task", "  a-long-name", "avg time  1.50", "p95 time  2.50"),
        *("max       9.99", "count", "  1 234"),
    ]
    assert plain(table, 11)[3] == "  a-long-n…"


def test_a_row_that_does_not_fit_has_a_line_for_each_value() -> None:
    columns = [Column(name, name, str, "words") for name in ("key", "image")]
    rows = [
        {"key": "sim-1", "image": "loadgenctl/sim:1"},
        {"key": "sim-2", "image": "none (gone)"},
    ]
    table = Table("", columns, rows, form="list")
    assert plain(table, 80) == [
        *("key    image", "sim-1  loadgenctl/sim:1", "sim-2  none (gone)"),
    ]
    assert plain(table, 20) == [
        *("key    sim-1", "image", "  loadgenctl/sim:1", ""),
        *("key    sim-2", "image  none (gone)"),
    ]


def test_phrases_stay_whole_and_sentences_are_broken_between_words() -> None:
    told = flowing(["cycles 1 000 of 1 000 ok", "3 unfinished"], 30)
    assert [line.plain for line in told] == ["  cycles 1 000 of 1 000 ok,", "    3 unfinished"]
    assert [line.plain for line in wrapped("one two three", 10)] == ["  one two", "    three"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_that_is_not_utf_8_gets_plain_characters(encoding: str) -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    marks = marks_for(console.encoding)
    assert marks is ASCII
    print_lines(console, summary_lines(a_summary(), 80, marks))
    assert b"-----" in raw.getvalue()


def test_a_terminal_tells_its_width_and_elsewhere_columns_does() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=61)
    pipe = Console(file=io.StringIO())
    told: Sequence[tuple[Mapping[str, str], int | None]] = (
        ({"COLUMNS": "70"}, 70),
        ({}, 80),
        *(({"COLUMNS": odd}, 80) for odd in ("", "0", "-5", "wide", "²", "1e3", "9" * 30)),
    )
    for environment, width in told:
        assert width_for(pipe, 80, environment) == width
        assert width_for(terminal, 80, environment) == 61
    assert width_for(pipe, None, {}) is None
