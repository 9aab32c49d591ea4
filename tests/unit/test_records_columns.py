"""The description of columns: what it says, and where it is shown."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from tests.column_tables import PAGES, with_tables

from loadgenctl.monitor import docker_stats
from loadgenctl.records import columns, shape
from loadgenctl.records.columns import Column, Kind, names

TABLES = {
    name: table
    for name, table in vars(columns).items()
    if isinstance(table, tuple) and table and isinstance(table[0], Column)
}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_name_a_kind_and_a_meaning(table: str) -> None:
    for column in TABLES[table]:
        assert re.fullmatch(r"[A-Za-z_.]+", column.name), column
        assert column.kind in get_args(Kind), column
        assert column.meaning, column
    assert len(set(names(TABLES[table]))) == len(TABLES[table])


def test_units_are_those_of_the_names() -> None:
    ends = {"_s": "s", "_kib": "KiB", "_bytes": "bytes", "_at": "s, epoch"}
    for table in TABLES.values():
        for column in table:
            for end, unit in ends.items():
                if column.name.endswith(end):
                    assert column.unit == unit, column


def test_the_docs_have_the_tables_of_the_description() -> None:
    shown = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert with_tables(text) == text, "run: python -m tests.column_tables"
        shown += re.findall(r"<!-- columns: (\w+) -->", text)
    # The load service and the agent write these two; docs/load-service.md has the events.
    assert sorted(shown) == sorted(TABLES.keys() - {"EVENT", "AGENT_LINE", "PLAN_STAGE"})


def test_a_shape_checks_what_is_described_and_nothing_else() -> None:
    made = shape.Shape.of(columns.RUN)
    assert {"sdk", "plan", "host", "started_at"} <= made.fields.keys()
    assert not {"schema", "site", "python"} & made.fields.keys()
    assert isinstance(made.fields["sdk"], shape.Shape)
    assert made.fields["sdk"].fields["commit_time"] == "time"
    assert shape.BLOCK.required == ("stage", "blockHeight")
    assert not set(names(columns.FIGURE)) & shape.BLOCK.fields.keys()


def test_counters_of_containers_are_marked() -> None:
    assert {name for name in docker_stats.COLUMNS if name.startswith("memory")}.isdisjoint(
        docker_stats.COUNTERS
    )
    assert {"cpu_total_s", "network_rx_bytes", "block_write_bytes"} <= docker_stats.COUNTERS


def test_what_the_original_calls_otherwise_has_a_column_here() -> None:
    unknown = {usage.mark for usage in columns.USAGE} - set(names(columns.PROCESS))
    # The agent reads these for the event alone.
    assert unknown == {
        "cpu_children_guest_s",
        "cpu_guest_s",
        "memory_locked_kib",
        "memory_pinned_kib",
    }
