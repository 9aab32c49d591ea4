"""The plan read back from run.json: the same, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.errors import UnknownOption, UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.accepted_options import changes, with_changes
from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import merge
from loadgenctl.records.encode import document_bytes
from loadgenctl.records.plan_codec import plan_document, recorded_plan

LINES = (
    "",
    "--sdk sim --stages 3 --stage.loadgen.faucet.interval 5 --stage.1.loadgen.cycles 4",
    "--limit.chain.cpus 1.5 --limit.solo.memory 2g --publish --fail-fast --trace",
    "--src here --no-reset --state-dir there --slog-codec zstd --timeout.chain 9",
    "--disk.needed 5g --test-data.a.b 1 --test-data.c null --port.loadgen 4000",
)


def planned(line: str) -> RunPlan:
    return make_plan(merge(line.split(), {}, None, ""), now=0, cwd=Path("/home/user"))


def recorded(plan: RunPlan) -> Any:
    """As run.json has it."""
    return json.loads(document_bytes({"plan": plan_document(plan)}))


@pytest.mark.parametrize("line", LINES)
def test_a_plan_comes_back_as_it_was(line: str) -> None:
    plan = planned(line)
    assert recorded_plan(recorded(plan)) == plan


STORED = Path(__file__).parents[1] / "data" / "recorded-plan.json"
"""The plan of `STORED_LINE` as recorded when durations had no unit in their attribute's name."""
STORED_LINE = (
    "--sdk sim --stages 3 --stage.loadgen.faucet.interval 5 --stage.1.loadgen.cycles 4"
    " --stage.duration 90s --stage.2.load-duration 2 --stage.2.loadgen.amm.wait 3"
    " --monitor-interval 1 --sample-interval 7 --timeout.chain 9 --timeout.block 60"
)


def test_a_plan_of_an_earlier_version_is_read_and_written_with_the_same_keys() -> None:
    stored = json.loads(STORED.read_bytes())
    plan = planned(STORED_LINE)
    assert recorded_plan(stored) == plan
    assert recorded(plan) == stored
    assert (plan.stages[1].duration_s, stored["plan"]["stages"][1]["duration"]) == (90, 90)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stages": 3}, "plan.stages is 3"),
        ({"stages": [{"index": "0"}]}, "plan.stages.0"),
        ({"reset": "yes"}, "plan.reset is 'yes'"),
        ({"output_dir": None}, "plan.output_dir is None"),
        ({"slog_codec": "rar"}, "plan.slog_codec is 'rar'"),
        ({"limits": {"chain": {"cpus": True}}}, "plan.limits.chain.cpus is True"),
        ({"warp": 9}, "plan.warp is of another version"),
    ],
)
def test_what_is_of_another_kind_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    document = recorded(planned(""))
    document["plan"] |= change
    with pytest.raises(UsageError) as caught:
        recorded_plan(document)
    assert told in caught.value.message


def test_what_is_missing_is_told_unless_it_has_a_default() -> None:
    document = recorded(planned(""))
    del document["plan"]["keep_state"]
    assert recorded_plan(document) == planned("")
    del document["plan"]["state_dir"]
    with pytest.raises(UsageError, match=r"plan\.state_dir is missing"):
        recorded_plan(document)
    with pytest.raises(UsageError, match="has no plan"):
        recorded_plan({})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(recorded(planned(""))["plan"])), _JSON)
def test_whatever_stands_there_it_is_a_plan_or_a_mistake(name: str, value: Any) -> None:
    document = recorded(planned(""))
    document["plan"][name] = value
    told = f"plan.{name}"
    try:
        recorded_plan(document)
    except UsageError as error:
        told = error.message
    assert f"plan.{name}" in told


def test_what_changes_nothing_of_what_is_measured_may_be_given() -> None:
    given_beside = changes(["--timeout.chain", "900", "--disk.reserve=1g"])
    plan = with_changes(planned("--timeout.solo 5"), given_beside)
    assert plan.timeouts_s == {"solo": 5.0, "chain": 900.0}
    assert (plan.disk_reserve, plan.disk_needed) == (1 << 30, None)


@pytest.mark.parametrize("option", ["--stages 5", "--output-dir x", "--engine local", "--no-reset"])
def test_what_changes_the_plan_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="cannot be given with --resume"):
        changes(option.split())


def test_a_mistyped_option_is_told_as_such() -> None:
    with pytest.raises(UnknownOption):
        changes(["--disk.reserv", "5"])
