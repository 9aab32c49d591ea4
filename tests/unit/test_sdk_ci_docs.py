"""docs/sdk-ci.md: its calls are the SDK's, and each makes the plan that the document describes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import merge

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "sdk-ci.md"
PLACES: Final = {
    "$RESULTSDIR": "/results",
    "$NETWORK_CONFIG": "/network",
    "$MESSAGE_FILE_PATH": "/messages",
}
VARIABLES: Final = {"SDK_SRC": "/sdk", "OUTPUT_DIR": "/results", "SDK_BUILD": "0"}


def blocks(kind: str, begin: str = "") -> list[str]:
    """What follows `begin` in the code blocks of a kind."""
    pattern = rf"^```{kind}\n{begin}(.*?)^```$"
    return re.findall(pattern, DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def calls() -> list[list[str]]:
    """The words of each `bin/loadgen-runner …` as a shell gives them to it."""
    found = blocks("sh", "bin/loadgen-runner ")
    lines = [text.replace("\\\n", " ") for text in found]
    for name, value in PLACES.items():
        lines = [line.replace(name, value) for line in lines]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("number", [0, 1])
def test_the_calls_are_plans(number: int) -> None:
    deployment, acceptance = calls()
    words = (deployment, acceptance)[number]
    settings = merge(["--engine", "local", *words], VARIABLES, {}, "file")
    plan = make_plan(settings, now=0, cwd=Path("/loadgenctl"))
    assert (plan.source_dir, plan.engine, plan.profile) == (Path("/sdk"), "local", "testnet")
    assert plan.state_sync
    assert plan.sdk_bootstrap
    assert not any(stage.save_storage for stage in plan.stages)
    if number == 0:
        assert plan.origin == "/results"
        assert plan.output_dir == Path("/results")
        assert not plan.reset
        assert [stage.chain_only for stage in plan.stages] == [True, False, True]
        assert (plan.stages[1].load, plan.stages[1].cycles) == (
            {"faucet": {"interval": 6, "limit": 4}},
            4,
        )
        assert "$LOADGENCTL_ADDRESS" in (plan.provision_command or "")
    else:
        assert all(stage.chain_only for stage in plan.stages)
        assert plan.message_file == Path("/messages")
        assert plan.origin == "/network"


def test_the_difference_makes_the_calls() -> None:
    (difference,) = blocks("diff")
    added = [line[1:].strip(" \\") for line in difference.splitlines() if line[0] == "+"]
    assert "bin/loadgen-runner" in added
    (provision,) = [line for line in added if line.startswith("--provision-command")]
    assert shlex.split(provision) == calls()[0][:2]
