"""A chain that starts: when it is ready, what it is said to be doing, when it is given up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds import World

from loadgenctl.errors import DeadlineExceeded
from loadgenctl.model import ResolvedRevision
from loadgenctl.run.chain_start import doing
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.sdks import sim
from loadgenctl.sdks.base import RoleContext, RoleRecipe, SourceTree
from loadgenctl.slog.scan import SlogScanner

QUIET = 30.0
LAUNCH = (0.5, "launch-chain: Launching SwingSet kernel")
COMMIT = "block-manager: block 1 commit"


class QuietSdk(sim.SimSdk):
    """A simulated SDK whose chain must not be quiet for long."""

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        """See `SdkFamily.chain`."""
        return replace(super().chain(ctx), quiet_timeout=QUIET, ready_timeout=3600.0)


def quiet(revision: ResolvedRevision, tree: SourceTree) -> QuietSdk:
    return QuietSdk("1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, line: str) -> RunResult:
    return execute(world.plan(line), replace(world.services(), factory=quiet))


def writes(world: World, *lines: tuple[float, str]) -> None:
    world.chain = replace(world.chain, lines=(LAUNCH, *lines))


def test_a_chain_is_ready_when_its_first_block_is_committed_and_not_when_it_begins(
    world: World,
) -> None:
    writes(world, (1.0, "block-manager: block 1 begin"), (200.0, COMMIT))
    assert world.run("--stages 1 --stage.0.duration 300").error is None
    times = {row["type"]: row["elapsed"] for row in world.rows("perf.jsonl")}
    assert times["perf-chain-ready"] >= 200.0
    live = [row["beginAt"] for row in world.rows("blocks.jsonl") if row["liveMode"]]
    assert min(live) - world.rows("blocks.jsonl")[0]["beginAt"] >= 198.0


def test_a_chain_that_writes_nothing_is_given_up_long_before_its_deadline(world: World) -> None:
    world.block_time, world.last_block = 1e6, 0
    writes(world)
    ending = run(world, "--stages 1")
    assert isinstance(ending.error, DeadlineExceeded)
    assert "has written nothing for 30 s" in ending.error.message
    assert "--timeout.chain" in (ending.error.hint or "")
    assert "bundling" in world.status()["last_lines"][-1]
    assert world.clock.monotonic() < 2 * QUIET + 10


def test_lines_of_the_log_keep_a_chain_that_takes_long_from_being_given_up(world: World) -> None:
    world.last_block = 0
    busy = tuple((20.0 * i, f"still bundling {i}") for i in range(1, 20))
    writes(world, *busy, (400.0, COMMIT))
    run(world, "--stages 1 --stage.0.duration 500 --timeout.block 60")
    assert "perf-chain-ready" in {row["type"] for row in world.rows("perf.jsonl")}


def test_a_slog_that_grows_keeps_a_chain_that_takes_long_from_being_given_up(world: World) -> None:
    writes(world, (400.0, COMMIT))
    assert run(world, "--stages 1 --stage.0.duration 500").error is None


def test_a_deadline_of_a_person_s_own_is_the_only_one(world: World) -> None:
    world.last_block = 0
    writes(world, (100.0, COMMIT))
    run(world, "--stages 1 --stage.0.duration 150 --timeout.chain 110 --timeout.block 20")
    assert "perf-chain-ready" in {row["type"] for row in world.rows("perf.jsonl")}


def test_the_progress_line_says_what_a_chain_that_starts_is_doing(world: World) -> None:
    writes(world, (50.0, COMMIT))
    world.block_time = 30.0
    assert world.run("--stages 1 --stage.0.duration 200").error is None
    told = [live.doing for live in world.progress.lives]
    assert "chain bundling the vats' code" in told
    assert "chain at block 2, waiting for its RPC" in told
    assert told.index("chain alone") > told.index("chain at block 2, waiting for its RPC")
    assert not [words for words in told[told.index("chain alone") :] if "waiting" in words]


def event(kind: str, **fields: object) -> bytes:
    return json.dumps({"time": 1.0, "type": kind, **fields}, separators=(",", ":")).encode() + b"\n"


DELIVERY = event("deliver", crankNum=1, vatID="v1", deliveryNum=1, replay=False) + event(
    "deliver-result", crankNum=1, vatID="v1", deliveryNum=1, dr=["ok", None, {"compute": 1}]
)
KERNEL = event("import-kernel-start")
VAT = event("create-vat", vatID="v9", name="zoe", dynamic=False)
BOOTSTRAP = event("cosmic-swingset-bootstrap-block-start", blockTime=1)
BOOTSTRAPPED = BOOTSTRAP + DELIVERY + event("cosmic-swingset-bootstrap-block-finish", blockTime=1)
BLOCK = event("cosmic-swingset-begin-block", blockHeight=1, blockTime=1)
RUN = event("cosmic-swingset-run-finish", runNum=0, startBeans=0, usedBeans=1)
"""As slogs have it in which core proposals may follow the bootstrap."""
PROPOSALS = event("cosmic-swingset-upgrade-start", blockHeight=1, blockTime=1)
BUNDLED = PROPOSALS + event("cosmic-swingset-upgrade-finish", blockHeight=1, blockTime=1)
REPLAY = event("start-replay", vatID="v9", deliveries=7)


@pytest.mark.parametrize(
    ("slog", "words"),
    [
        (b"", "bundling the vats' code"),
        (KERNEL, "starting the kernel"),
        (KERNEL + VAT, "starting the kernel: 1 vats"),
        (KERNEL + VAT + BOOTSTRAP + DELIVERY, "running the bootstrap: 1 deliveries"),
        (KERNEL + VAT + BOOTSTRAPPED, "bootstrapped, preparing block 1"),
        (BOOTSTRAPPED + BLOCK + DELIVERY, "running block 1: 1 deliveries"),
        (RUN + BOOTSTRAPPED, "bundling the core proposals"),
        (RUN + BOOTSTRAPPED + PROPOSALS, "bundling the core proposals"),
        (RUN + BOOTSTRAPPED + BUNDLED, "bootstrapped, preparing block 1"),
        (
            RUN + BOOTSTRAPPED + BUNDLED + BLOCK + DELIVERY,
            "running the core proposals in block 1: 1 deliveries",
        ),
        (KERNEL + VAT + REPLAY, "replaying vat v9 zoe, 0 replayed"),
        (KERNEL + VAT + REPLAY + event("finish-replay", vatID="v9"), "1 vats replayed"),
    ],
)
def test_the_slog_tells_how_far_a_start_has_come(slog: bytes, words: str) -> None:
    scanner = SlogScanner()
    scanner.feed(slog)
    assert doing(scanner, launched=True, fresh=True) == words


def test_a_chain_that_was_there_before_bundles_nothing() -> None:
    assert doing(SlogScanner(), launched=True, fresh=False) == "opening the kernel's store"
    assert doing(SlogScanner(), launched=False, fresh=False) == "starting the node"
