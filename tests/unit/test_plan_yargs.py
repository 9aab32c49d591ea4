"""Command lines mean what the original load generator's own code makes of them.

The expected values in tests/data/yargs.json were computed by that code, not by hand; where
loadgenctl differs on purpose, the row says so and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan, StageSpec
from loadgenctl.plan.planner import DEFAULT_LOAD, make_plan
from loadgenctl.plan.settings import merge
from loadgenctl.stats.original_perf_finish import camel_case

TABLE: Mapping[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "yargs.json").read_text(encoding="utf-8")
)
ROWS = TABLE["rows"]
AS_DOCUMENTED = [row for row in ROWS if "why" not in row]
ON_PURPOSE = [row for row in ROWS if "why" in row]
REFUSED = "refused"


def outcome(line: str) -> Any:
    """The stages as the table has them, or that the line is refused."""
    try:
        return [_stage(stage) for stage in _plan(line).stages]
    except UsageError:
        return REFUSED


def _plan(line: str) -> RunPlan:
    return make_plan(merge(line.split(), {}, None, ""), now=0, cwd=Path("/here"))


def _stage(stage: StageSpec) -> list[Any]:
    load: Any = None if stage.load is None else dict(stage.load)
    if load == DEFAULT_LOAD:
        load = "default"
    if stage.cycles is not None:
        # Handed to the load tool by the original, kept by the run here.
        load = {**({} if load == "default" else load), "cycles": stage.cycles}
    kind = "chain" if stage.chain_only else "load"
    return [kind, round(stage.duration_s / 60, 6), stage.save_storage, load]


def _options(plan: RunPlan) -> dict[str, Any]:
    """The options that are no stages', as the table has them."""
    named = plan.output_dir != Path("/here/results/run-0")
    return {
        "reset": plan.reset,
        "monitorMinutes": plan.monitor_interval_s / 60,
        "outputDir": plan.output_dir.name if named else None,
        "testData": {camel_case(name): value for name, value in plan.test_data.items()} or None,
    }


def _expected(side: Mapping[str, Any]) -> Any:
    return REFUSED if "error" in side else side["stages"]


def _line(row: Mapping[str, Any]) -> str:
    return row["line"] or "(nothing)"


def test_the_table_is_large_and_every_reason_is_used() -> None:
    assert len(ROWS) >= 60
    assert {row["why"] for row in ON_PURPOSE} == set(TABLE["why"])
    assert {code for row in ROWS for code in row["changed"]} == set(TABLE["changed"])
    assert len({row["line"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", AS_DOCUMENTED, ids=_line)
def test_stages_are_as_documented(row: Mapping[str, Any]) -> None:
    assert outcome(row["line"]) == _expected(row["documented"])


@pytest.mark.parametrize(
    "row", [row for row in AS_DOCUMENTED if "error" not in row["documented"]], ids=_line
)
def test_options_are_as_in_the_original(row: Mapping[str, Any]) -> None:
    found = _options(_plan(row["line"]))
    assert found == {name: row["options"].get(name) for name in found}


@pytest.mark.parametrize("row", ON_PURPOSE, ids=_line)
def test_a_difference_is_one_and_is_as_recorded(row: Mapping[str, Any]) -> None:
    found = outcome(row["line"])
    assert found == _expected(row["ours"])
    differs = found != _expected(row["documented"])
    if found != REFUSED:
        options = _options(_plan(row["line"]))
        assert options == row["ours"]["options"]
        differs |= options != {name: row["options"].get(name) for name in options}
    assert differs, "then the reason is not needed any more"


@pytest.mark.parametrize("row", ROWS, ids=_line)
def test_the_later_version_differs_only_as_the_row_says(row: Mapping[str, Any]) -> None:
    same = outcome(row["line"]) == _expected(row["later"])
    assert same or row["changed"] or "why" in row
    if same:
        assert not row["changed"] or "why" in row
