"""The tables for a person: whole, narrow enough, and harmless."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from loadgenctl.reports.text import WIDTH, print_summary
from loadgenctl.reports.words import clean, duration, mebibytes, number, seconds

SPREAD = {"count": 9, "avg": 1.5, "p50": 1.25, "p95": 12345.678, "min": 0, "max": 99999.5}


def cycles(failed: int = 0) -> dict[str, Any]:
    one = {
        "cycle_count": 1000 + failed,
        "succeeded": 1000,
        "failed": failed,
        "unfinished": 0,
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
        "durations": {"duration_s": 36000.5, "chain_ready_s": 123.45, "client_ready_s": 99.9},
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


def test_a_file_gets_plain_text_of_100_columns() -> None:
    text = text_of(a_summary())
    assert "\x1b" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH
    for words in ("Run run-1: passed, 6:12", "SDK agoric fa7ff5e55e of 2021-05-03", "zoe", "600"):
        assert words in text
    assert "1 500" in text
    assert "77 500" not in text
    assert "simulated" not in text


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
    assert "simulated: these numbers" in text_of(a_summary(simulated=True, sdk="sim"))


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
