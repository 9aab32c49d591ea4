"""Times with units: in flags, environment and options file, and for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import merge
from loadgenctl.plan.times import seconds_of, with_seconds, words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("10min", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
        (" 10m ", 600),
    ],
)
def test_a_time_with_units_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10x", "-10m", "1h-3m", "10M", "1,5h", "٣m", "1e3s"]
)
def test_what_is_no_time_with_units_is_none(text: str) -> None:
    assert seconds_of(text) is None


def test_every_source_of_options_takes_units_and_plain_numbers_keep_theirs() -> None:
    plan = make_plan(
        merge(
            ["--stage.duration", "90s", "--stage.1.duration", "1h", "--timeout.block", "3m"],
            {"LOADGENCTL_MONITOR_INTERVAL": "30s", "LOADGENCTL_TIMEOUT__CHAIN": "2m"},
            {"sdk": "sim", "stages": 4, "sample-interval": "1m", "timeout": {"cycle": 700}},
            "x.toml",
        ),
        now=0,
        cwd=Path("/"),
    )
    assert [stage.duration_s for stage in plan.stages] == [0, 3600, 90, 0]
    assert (plan.monitor_interval_s, plan.light_interval_s) == (30, 60)
    assert plan.timeouts_s == {"block": 180, "chain": 120, "cycle": 700}


def test_a_task_s_times_take_units_too() -> None:
    plan = make_plan(
        merge(["--sdk", "sim", "--stage.loadgen.faucet.interval", "2m"], {}, None, ""),
        now=0,
        cwd=Path("/"),
    )
    assert plan.stages[1].load == {"faucet": {"interval": 120}}
    assert with_seconds({"amm": {"wait": "1m", "limit": "1m"}, "vault": None}) == {
        "amm": {"wait": 60, "limit": "1m"},
        "vault": None,
    }


def test_another_text_is_refused_with_the_unit_and_examples() -> None:
    with pytest.raises(UsageError, match=r"takes minutes, or a time with units such as .*10m"):
        merge(["--stage.duration", "soon"], {}, None, "")
    with pytest.raises(UsageError, match=r"takes seconds, or a time"):
        merge([], {"LOADGENCTL_TIMEOUT__CHAIN": "x"}, None, "")
    with pytest.raises(UsageError, match="takes a number, not '3m'"):
        merge(["--stages", "3m"], {}, None, "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (45, "45 s"), (90, "1 min 30 s"), (86400, "24 h"), (7500, "2 h 5 min")],
)
def test_a_time_is_read_by_people(seconds: float, text: str) -> None:
    assert words(seconds) == text


@pytest.mark.parametrize(("value", "near"), [("simm", "sim"), ("agorik", "agoric")])
def test_a_mistyped_choice_is_told_the_nearest_one(value: str, near: str) -> None:
    with pytest.raises(UsageError) as raised:
        merge(["--sdk", value], {}, None, "")
    assert raised.value.hint == f"did you mean {near}?"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LOADGENCTL_STAGE__DURATIN", "LOADGENCTL_STAGE__DURATION"),
        ("LOADGENCTL_STAGES_", "LOADGENCTL_STAGES"),
        ("LOADGENCTL_OUTPUTDIR", "LOADGENCTL_OUTPUT_DIR"),
    ],
)
def test_a_mistyped_variable_is_told_the_nearest_one(name: str, near: str) -> None:
    with pytest.raises(UsageError) as raised:
        merge([], {name: "7"}, None, "")
    assert raised.value.hint == f"did you mean {near}?"


def test_a_memory_limit_below_the_engine_s_minimum_is_refused() -> None:
    for text in ("10", "5m"):
        with pytest.raises(UsageError, match="at least 6m"):
            merge(["--limit.chain.memory", text], {}, None, "")
    merge(["--limit.chain.memory", "6m"], {}, None, "")
