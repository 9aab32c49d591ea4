"""The tables for a person: whole, narrow enough, and harmless."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.run_maker import loaded_run

from loadgenctl.cli.results import stats_command
from loadgenctl.formatting import clean, duration, mebibytes, number, seconds
from loadgenctl.records.status import Status
from loadgenctl.reports.facts import RunFacts
from loadgenctl.reports.table_model import WIDTH
from loadgenctl.reports.text import evidence, print_summary

SPREAD = {"count": 9, "avg": 1.5, "p50": 1.25, "p95": 12345.678, "min": 0, "max": 99999.5}


def cycles(failed: int = 0) -> dict[str, Any]:
    one = {
        "cycle_count": 1000 + failed,
        "succeeded": 1000,
        "failed": failed,
        "unfinished": 3,
        "missed": 12,
        "success_percentage": 99.5 if failed else 100,
        "duration_s": SPREAD,
        "latency_s": SPREAD,
    }
    return {"all": one, "faucet": one, "amm": one}


def a_summary(**run: Any) -> dict[str, Any]:
    blocks = {
        "block_count": 12345,
        "swingset_time_s": SPREAD,
        "swingset_percentage": SPREAD,
        "lag_s": SPREAD,
        "deliveries": SPREAD,
        "computrons": {**SPREAD, "avg": 123456789.5},
    }
    stage = {
        "stage": 1,
        "kind": "load",
        "finished": True,
        "durations": {
            "duration_s": 36000.5,
            "chain_ready_s": 123.45,
            "client_ready_s": 99.9,
            "loaded_s": 35900.0,
            "chain_stop_s": 2.5,
        },
        "blocks": {"all": blocks, "live": blocks},
        "cycles": cycles(failed=5),
        "cycle_errors": {"boom \x1b[31mred\x1b]0;title\x07 [bold]x[/bold]": 5},
        "vats": [
            {
                "vat_id": "v1",
                "name": "zoe",
                "deliveries": 10,
                "computrons": 5,
                "delivery_time_s": 1.5,
            }
        ],
        "anomalies": {"torn-line": 1},
    }
    empty = {"stage": 0, "kind": "chain-only", "finished": False, "durations": {}, "blocks": {}}
    usage = {"max": 614400, "avg": 512000, "last": 1}
    resources = [
        {
            "kind": kind,
            "role": "chain",
            "subject": subject,
            "name": name,
            "samples": 5,
            "missing": 1,
            "cpu_percentage": 16.25,
            "values": {column: usage},
        }
        for kind, subject, name, column in (
            ("container", "chain", None, "memory_bytes"),
            ("process", "kernel", None, "memory_rss_kib"),
            ("process", "v1", "zoe", "memory_rss_kib"),
            ("process", "controller", None, "memory_rss_kib"),
            ("storage", ".", None, "disk_kib"),
        )
    ]
    return {
        "run": {
            "folder": "run-1",
            "sdk": "agoric",
            "revision": "fa7ff5e55e",
            "outcome": "passed",
            "duration_s": 372.0,
            "commit_time": 1620000000,
            **run,
        },
        "stages": [empty, stage, {**stage, "stage": 2}],
        "totals": {"cycles": cycles()},
        "resources": resources,
        "growth": [
            {"stage": 1, "quantity": "storage_kib", "per": "block", **slope}
            for slope in (
                {"slope": 1.5, "low": 1.25, "high": 1.75, "points": 12},
                {"slope": 77.5, "low": -1, "high": 99, "points": 12},
            )
        ],
    }


def text_of(summary: dict[str, Any], **options: Any) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, **options), summary)
    return out.getvalue()


def test_a_file_gets_plain_text_of_80_columns() -> None:
    text = text_of(a_summary())
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH == 80
    for words in ("Run run-1: passed, 6:12", "SDK agoric fa7ff5e55e of 2021-05-03", "zoe", "600"):
        assert words in text
    assert "simulated" not in text


def test_a_run_of_a_changed_build_says_what_was_changed() -> None:
    deviations = ["npm x: dropped", "go y@v1: replaced by \x1b[31mz@v2"]
    text = text_of(a_summary(deviations=deviations))
    assert "SDK agoric fa7ff5e55e of 2021-05-03 with deviations" in text
    assert "deviations: npm x: dropped; go y@v1: replaced by" in text
    assert "\x1b" not in text
    assert "deviations" not in text_of(a_summary())


def test_the_first_lines_say_how_it_ended_and_what_matters_most() -> None:
    summary = a_summary(outcome="stalled", role="chain", reason="no block for 120 s")
    live = {"block_count": 44, "block_duration_s": SPREAD, "swingset_time_s": SPREAD}
    summary["totals"]["live_blocks"] = live
    for stage, restart in zip(summary["stages"], (None, 2.5, 3.5), strict=True):
        stage["durations"] = {"chain_ready_s": 1.25, "restart_s": restart}
    del summary["stages"][0]["durations"]["restart_s"]
    assert text_of(summary).splitlines()[:5] == [
        "Run run-1: stalled, 6:12",
        "  chain: no block for 120 s",
        "  block time 1.50 s (p95 12 346), swingset 1.50 s (p95 12 346), 44 live blocks",
        "  cycles 1 000 of 1 000 ok, 3 unfinished, 12 missed, p95 faucet 12 346 s,",
        "    amm 12 346 s",
    ]
    assert "  chain start 1.25 s, restart 3.00 s (average of 2, longest 3.50)\n" in text_of(summary)


def test_a_stage_s_load_and_the_chain_s_stop_are_in_its_row() -> None:
    rows = [line.split() for line in text_of(a_summary()).splitlines()]
    assert ["0", "chain-only", *["-"] * 8] in rows, "an older folder does not have them"
    assert any({"35", "900", "2.50"} <= set(row) for row in rows if row[:2] == ["1", "load"])


def test_unfinished_cycles_are_counted_and_noted() -> None:
    text = text_of(a_summary(), width=200)
    assert "stage 1: cycles without an end in the records: 3" in text
    rows = [line.split() for line in text.splitlines()]
    assert any(row[:7] == ["1", "faucet", "1", "000", "5", "3", "12"] for row in rows)


def test_different_tasks_are_counted_together_but_have_no_common_average() -> None:
    rows = [line.split() for line in text_of(a_summary()).splitlines()]
    [row] = [row for row in rows if row[:2] == ["run", "all"]]
    assert row == ["run", "all", "1", "000", "0", "3", "12", "100.0", *["-"] * 4], (
        "at 80 columns without the highest"
    )


def test_growth_has_units_and_where_there_is_none_it_says_why() -> None:
    summary = a_summary()
    few = {"slope": None, "low": None, "high": None, "points": 8}
    summary["growth"].append({"stage": 1, "quantity": "kernel_memory_kib", "per": "cycle", **few})
    text = text_of(summary)
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "storage", "MiB", "per", "1000", "blocks", "1.46", "1.22", "1.71", "12"] in rows
    assert "too few points under load (10 are needed): kernel memory 8" in text
    assert "no growth proven, the 95 % band includes 0: storage (stage 1)" in text


def test_what_measuring_costs_stands_apart_from_the_chain() -> None:
    lines = [line.split()[:2] for line in text_of(a_summary()).splitlines()]
    assert ["measuring:", "controller"] in lines
    assert ["chain:", "controller"] not in lines


def test_strings_from_outside_do_nothing() -> None:
    text = text_of(a_summary(outcome="failed", reason="it \x1b[2J died\nhard [link=x]y[/link]"))
    assert "\x1b" not in text
    assert "it died hard [link=x]y[/link]" in text
    assert "boom red [bold]x[/bold]" in text


def test_simulated_runs_say_so() -> None:
    assert "simulated SDK: these numbers" in text_of(a_summary(simulated=True, sdk="sim"))


def test_a_terminal_keeps_its_width() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    print_summary(console, a_summary())
    assert console.width == 80
    assert "\x1b[" in out.getvalue()


def test_an_empty_summary_is_no_error() -> None:
    assert text_of({}) == "Run ?: ?\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.00123, "0.0012"), (0.25, "0.250"), (5.5, "5.50"), (93.15, "93.2"), (None, "-")],
)
def test_seconds(value: object, shown: str) -> None:
    assert seconds(value) == shown


def test_words() -> None:
    assert number(1234567) == "1 234 567"
    assert number(True) == mebibytes(None) == duration("x") == "-"
    assert (duration(4.25), duration(200), duration(7500)) == ("4.2 s", "3:20", "2:05:00")
    assert (mebibytes(51200), mebibytes(614400)) == ("50.0", "600")
    assert clean("a\x1b[1;31mb\x9b2Jc\u202e\x00d") == "abc d"
    assert clean("x" * 20, 10) == "x" * 9 + "…"


def test_of_a_run_that_failed_the_last_lines_are_shown_again() -> None:
    status = Status(
        outcome="died",
        role="chain",
        reason="the chain ended",
        hint="see its log",
        last_lines=("block 9", "  panic:\x1b[2J simulated"),
    )
    facts = RunFacts(a_summary(outcome="died"), {}, status, "died")
    assert [line.plain for line in evidence(facts)] == [
        *("", "last lines of chain:", "  | block 9", "  |   panic: simulated"),
        "  hint: see its log",
    ]
    assert evidence(replace(facts, outcome="passed")) == []


def test_stats_of_a_run_that_failed_ends_with_its_last_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = loaded_run(tmp_path / "run-7")
    run.status(stage=1, outcome="died", role="chain", reason="gone", last_lines=("one", "two"))
    stats_command([run.folder])
    assert capsys.readouterr().out.endswith("last lines of chain:\n  | one\n  | two\n")
