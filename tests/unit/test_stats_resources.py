"""Samples to resources: peaks of gauges, growth of counters over restarts, CPU while watched."""

from __future__ import annotations

from typing import Any

from loadgenctl.records.schema import sample_row
from loadgenctl.stats.resources import is_counter, resource_rows


def sample(time: float, values: dict[str, Any], **fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "stage": 1,
        "source": "agent",
        "kind": "process",
        "role": "chain",
        "subject": "kernel",
        **fields,
    }
    return sample_row(time, values=values, **whole)


def test_gauges_and_counters() -> None:
    rows = resource_rows(
        [
            sample(10, {"memory_rss_kib": 100, "cpu_user_s": 5.0, "cpu_system_s": 1.0}),
            sample(20, {"memory_rss_kib": None, "cpu_user_s": None}, reason="gone"),
            sample(30, {"memory_rss_kib": 300, "cpu_user_s": 8.0, "cpu_system_s": 2.0}),
            sample(40, {"memory_rss_kib": 50, "cpu_user_s": 1.0, "cpu_system_s": 0.5}, stage=2),
            sample(50, {"memory_rss_kib": 50, "cpu_user_s": 2.0, "cpu_system_s": 0.5}, stage=2),
        ]
    )
    assert len(rows) == 1
    row = rows[0]
    assert (row["samples"], row["missing"]) == (5, 1)
    assert row["values"]["memory_rss_kib"] == {"max": 300, "avg": 125, "last": 50}
    # 3 s in the first life, then 1 s shown by a new one and 1 s more.
    assert row["values"]["cpu_user_s"] == {"increase": 5, "last": 2}
    assert row["watched_s"] == 30
    assert row["cpu_percentage"] == round(100 * 5 / 30, 2)


def test_containers_have_their_total() -> None:
    rows = resource_rows(
        sample(10 * n, {"cpu_total_s": 2.0 * n, "memory_bytes": 1024}, kind="container")
        for n in range(3)
    )
    assert rows[0]["cpu_percentage"] == 20


def test_a_single_sample_has_no_cpu_share() -> None:
    [row] = resource_rows([sample(1, {"cpu_s": 1.0})])
    assert "cpu_percentage" not in row


def test_only_the_largest_files_are_told() -> None:
    rows = resource_rows(
        [sample(1, {"disk_kib": n}, kind="storage", subject=f"f{n}") for n in range(9)]
        + [sample(1, {"disk_kib": 99}, kind="storage", subject=".")],
        files=2,
    )
    assert {row["subject"] for row in rows} == {".", "f7", "f8"}


def test_what_is_a_counter() -> None:
    assert all(is_counter(name) for name in ("cpu_user_s", "network_rx_bytes", "io_wait_s"))
    assert not any(is_counter(name) for name in ("memory_rss_kib", "cpu_percent", "disk_kib"))


def test_rows_of_other_kinds_are_passed_over() -> None:
    assert resource_rows([{"time": 1.0}, {"kind": 5, "role": "chain", "subject": "x"}]) == []
