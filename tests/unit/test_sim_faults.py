"""When faults of the simulated SDK come due."""

from __future__ import annotations

from typing import Any

from images.sim.simsdk.faults import FaultBook, parse_faults


def book(*entries: dict[str, Any], stage: int | None = None, seed: str = "seed") -> FaultBook:
    return FaultBook(parse_faults(list(entries)), stage, seed)


def test_a_block_fault_comes_due_once_also_when_its_height_was_skipped() -> None:
    faults = book({"kind": "chain-crash", "at_block": 5, "exit_code": 7})
    assert faults.at_block(4, 1) == []
    due = faults.at_block(6, 2)
    assert [(fault.kind, fault["exit_code"]) for fault in due] == [("chain-crash", 7)]
    assert faults.at_block(7, 3) == []


def test_blocks_can_be_counted_from_the_start_of_the_process() -> None:
    faults = book({"kind": "memory-hog", "after_blocks": 3})
    assert faults.at_block(100, 2) == []
    assert len(faults.at_block(101, 3)) == 1


def test_a_fault_with_a_stage_happens_only_there() -> None:
    entry = {"kind": "chain-stall", "stage": 1, "at_block": 1}
    assert book(entry, stage=1).at_block(1, 1)
    assert not book(entry, stage=0).at_block(1, 1)
    assert not book(entry, stage=None).at_block(1, 1)


def test_slow_starts_add_up_and_restarts_are_apart() -> None:
    faults = book(
        {"kind": "slow-start", "seconds": 1.0},
        {"kind": "slow-restart", "seconds": 2},
        {"kind": "slow-start", "seconds": 10.0, "role": "solo"},
    )
    assert faults.delay("chain", restarted=False) == 1.0
    assert faults.delay("chain", restarted=True) == 3.0
    assert faults.delay("solo", restarted=True) == 10.0


def failing(faults: FaultBook, task: str, count: int) -> list[int]:
    return [seq for seq in range(1, count + 1) if faults.for_cycle(task, seq) is not None]


def test_every_nth_cycle_fails() -> None:
    faults = book({"kind": "cycle-fails", "task": "amm", "every": 3})
    assert failing(faults, "amm", 10) == [3, 6, 9]
    assert failing(faults, "vault", 10) == []


def test_a_failing_task_without_a_measure_always_fails() -> None:
    assert failing(book({"kind": "cycle-fails"}), "faucet", 3) == [1, 2, 3]


def test_a_rate_is_met_and_repeats_with_the_seed_whatever_the_order() -> None:
    entry = {"kind": "cycle-fails", "rate": 0.25}
    first = failing(book(entry), "faucet", 1000)
    assert 200 < len(first) < 300
    faults = book(entry)
    backwards = [s for s in range(1000, 0, -1) if faults.for_cycle("faucet", s) is not None]
    assert sorted(backwards) == first
    assert failing(book(entry, seed="another"), "faucet", 1000) != first


def test_hang_and_exit_name_their_cycle() -> None:
    faults = book({"kind": "driver-hang", "task": "vault", "at_cycle": 2})
    assert failing(faults, "vault", 5) == [2]
    fault = book({"kind": "driver-exit", "at_cycle": 4, "exit_code": 9}).for_cycle("faucet", 4)
    assert fault is not None
    assert fault["exit_code"] == 9


def test_a_preparation_fails_for_its_task_or_for_any() -> None:
    assert book({"kind": "prepare-fails", "task": "amm"}).for_prepare("vault") is None
    assert book({"kind": "prepare-fails", "task": "amm"}).for_prepare("amm") is not None
    assert book({"kind": "prepare-fails"}).for_prepare("vault") is not None
