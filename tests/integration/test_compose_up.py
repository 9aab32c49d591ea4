"""The file of `loadgenctl compose`, brought up by Docker's own tool: the documented lines work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import Desk
from tests.integration.published import LOAD, PUBLISHED, RPC, ask, free
from tests.waiting import eventually

pytestmark = pytest.mark.docker

DEADLINE = 180.0
"""Seconds for one call of the compose tool."""


def compose_tool() -> tuple[str, ...] | None:
    """The words that this machine's compose tool is called by."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]) is None:
            continue
        if subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0:
            return words
    return None


class ByHand:
    """A folder of `loadgenctl compose`, and the compose tool to drive it."""

    def __init__(self, tool: tuple[str, ...], folder: Path) -> None:
        self.folder = folder
        self._words = (*tool, "-f", str(folder / "compose.yaml"))

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self._words, *words], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def containers(self) -> list[str]:
        """The ids of all its containers, ended ones too."""
        return self("ps", "--quiet").split()

    def cycles(self) -> list[dict[str, object]]:
        """The cycles that finished, as the load service records them."""
        lines = (self.folder / "shared" / "events-stage-0.jsonl").read_bytes().splitlines()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if row["type"] == "finish"]


@pytest.fixture
def by_hand(desk: Desk) -> Iterator[ByHand]:
    """Made, not started; whatever becomes of it, nothing is left."""
    tool = compose_tool()
    if tool is None:
        pytest.skip("there is neither `docker compose` nor docker-compose")
    if not free(*PUBLISHED):
        pytest.skip("somebody uses the ports that would be published")
    folder = desk.folder / "by-hand"
    ended, _ = desk.do("compose", "--sdk", "sim", *desk.settings(), "--into", str(folder))
    assert ended.exit_code == 0, ended.stderr
    driven = ByHand(tool, folder)
    yield driven
    driven("down")
    assert driven.containers() == []
    assert free(*PUBLISHED)


def height() -> int:
    """The chain's last block."""
    return int(json.loads(ask(RPC, "/status").text)["result"]["sync_info"]["latest_block_height"])


def test_up_is_ready_for_load_and_down_keeps_the_state(by_hand: ByHand) -> None:
    by_hand("up", "--detach")
    assert ask(LOAD, "/config").text.strip() == "{}", "up returns when the load can be set"
    assert ask(LOAD, "/config", put='{"faucet":{"interval":1}}').status == 200
    refused = ask(LOAD, "/config", put='{"faucett":{}}')
    assert (refused.status, "did you mean 'faucet'?" in refused.text) == (400, True)
    eventually(lambda: len(by_hand.cycles()) > 1, "cycles finish", evidence=lambda: by_hand("logs"))
    assert all(row["success"] for row in by_hand.cycles())
    assert json.loads(ask(LOAD, "/status").text)["faucet"]["failed"] == 0
    assert ask(LOAD, "/config", put="{}").status == 200
    reached, finished = height(), len(by_hand.cycles())
    by_hand("down")
    assert by_hand.containers() == []

    by_hand("up", "--detach")
    assert height() >= reached, "the chain goes on where it was"
    assert ask(LOAD, "/config", put='{"faucet":{"interval":1}}').status == 200
    eventually(
        lambda: len(by_hand.cycles()) > finished, "cycles again", evidence=lambda: by_hand("logs")
    )
    slog = (by_hand.folder / "shared" / "chain-stage-0.slog").read_text(encoding="utf-8")
    heights = [int(found) for found in re.findall(r'begin-block","blockHeight":(\d+)', slog)]
    assert heights == sorted(set(heights)), "no block was made twice"
