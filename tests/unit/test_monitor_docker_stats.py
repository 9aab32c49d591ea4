"""Docker's statistics documents, of both generations of control groups."""

from __future__ import annotations

from typing import Any

import pytest

from loadgenctl.monitor import docker_stats

# As a daemon 20.10 on version 1 gave it of a container with --cpus 0.5 that wrote a file of 30 MB.
V1: dict[str, Any] = {
    "read": "2026-11-23T12:03:47.413730835Z",
    "pids_stats": {"current": 2},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 254, "minor": 0, "op": "Read", "value": 8192},
            {"major": 254, "minor": 0, "op": "Write", "value": 30003200},
            {"major": 254, "minor": 0, "op": "Sync", "value": 30003200},
            {"major": 254, "minor": 16, "op": "Read", "value": 1000},
            {"major": 254, "minor": 16, "op": "Total", "value": 1000},
        ],
    },
    "cpu_stats": {
        "cpu_usage": {
            "total_usage": 1037827986,
            "percpu_usage": [264196105, 773631881],
            "usage_in_kernelmode": 130000000,
            "usage_in_usermode": 900000000,
        },
        "system_cpu_usage": 3762370000000,
        "online_cpus": 2,
        "throttling_data": {"periods": 24, "throttled_periods": 20, "throttled_time": 767436720},
    },
    "memory_stats": {
        "usage": 34947072,
        "max_usage": 65040384,
        "stats": {
            "cache": 30683136,
            "inactive_file": 30027770,
            "rss": 2793472,
            "total_cache": 30683136,
            "total_inactive_file": 30027776,
        },
        "limit": 536870912,
    },
    "networks": {
        "eth0": {"rx_bytes": 736, "tx_bytes": 0},
        "eth1": {"rx_bytes": 64, "tx_bytes": 10},
    },
}

# Version 2: no peak, `inactive_file` without a total, small letters in the block list.
V2: dict[str, Any] = {
    "pids_stats": {"current": 7, "limit": 100},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 259, "minor": 0, "op": "read", "value": 4096},
            {"major": 259, "minor": 0, "op": "write", "value": 12288},
        ],
    },
    "cpu_stats": {
        "cpu_usage": {
            "total_usage": 2500000000,
            "usage_in_kernelmode": 500000000,
            "usage_in_usermode": 2000000000,
        },
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    },
    "memory_stats": {
        "usage": 52428800,
        "stats": {"anon": 30000000, "file": 20000000, "inactive_file": 10485760},
        "limit": 8589934592,
    },
}

# What the daemon answers of a container that has ended.
ENDED: dict[str, Any] = {
    "read": "0001-01-01T00:00:00Z",
    "pids_stats": {},
    "blkio_stats": {"io_service_bytes_recursive": None},
    "cpu_stats": {
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    },
    "memory_stats": {},
}


def test_version_1() -> None:
    assert docker_stats.parse(V1) == {
        "cpu_total_s": 1.037827986,
        "cpu_user_s": 0.9,
        "cpu_system_s": 0.13,
        "cpu_periods": 24,
        "cpu_throttled_periods": 20,
        "cpu_throttled_s": 0.76743672,
        "memory_bytes": 34947072 - 30027776,
        "memory_usage_bytes": 34947072,
        "memory_cache_bytes": 30683136,
        "memory_peak_bytes": 65040384,
        "memory_limit_bytes": 536870912,
        "network_rx_bytes": 800,
        "network_tx_bytes": 10,
        "block_read_bytes": 9192,
        "block_write_bytes": 30003200,
        "pids": 2,
    }


def test_version_2() -> None:
    values = docker_stats.parse(V2)
    assert values["memory_bytes"] == 52428800 - 10485760
    assert values["memory_cache_bytes"] == 20000000
    assert values["memory_peak_bytes"] is None
    assert (values["block_read_bytes"], values["block_write_bytes"]) == (4096, 12288)
    assert (values["network_rx_bytes"], values["network_tx_bytes"]) == (None, None)
    assert values["cpu_total_s"] == 2.5


@pytest.mark.parametrize("document", [ENDED, {}, {"cpu_stats": None, "memory_stats": []}])
def test_a_container_that_does_not_run_has_no_values_instead_of_zeros(
    document: dict[str, Any],
) -> None:
    assert docker_stats.parse(document) == docker_stats.missing()


@pytest.mark.parametrize("entries", [None, [], "odd", [None], [{"op": "read", "value": "1"}]])
def test_a_block_list_that_says_nothing_is_missing(entries: object) -> None:
    document = {**V2, "blkio_stats": {"io_service_bytes_recursive": entries}}
    assert docker_stats.parse(document)["block_read_bytes"] is None


def test_memory_without_the_details_is_missing_because_the_cache_is_unknown() -> None:
    values = docker_stats.parse({**V2, "memory_stats": {"usage": 100, "limit": 200}})
    assert values["memory_bytes"] is None
    assert values["memory_usage_bytes"] == 100


def test_memory_is_never_negative() -> None:
    document = {**V2, "memory_stats": {"usage": 100, "stats": {"inactive_file": 101}}}
    assert docker_stats.parse(document)["memory_bytes"] == 0


def test_every_column_is_there_and_every_counter_is_a_column() -> None:
    assert tuple(docker_stats.parse(V1)) == docker_stats.COLUMNS
    assert set(docker_stats.COLUMNS) >= docker_stats.COUNTERS
