"""The simulated SDK's slog around blocks, in each of its forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from images.sim.simsdk import ledger
from images.sim.simsdk.config import parse
from images.sim.simsdk.forms import FORMS
from images.sim.simsdk.kernel import Kernel
from images.sim.simsdk.slog import SlogWriter
from images.sim.simsdk.store import Block, Store
from images.sim.simsdk.telling import BlockSlog
from tests.unit.test_sim_kernel import TX, FakeWorker, scanned

BLOCK = "cosmic-swingset-"


def slog_of(folder: Path, dialect: str) -> list[dict[str, Any]]:
    """A bootstrap and two blocks, the second with a transaction."""
    config = parse({"slog": {"dialect": dialect}, "cost": {"bootstrap_deliveries": 30}})
    store, form = Store(folder / "log"), FORMS[dialect]
    writer = SlogWriter(str(folder / "slog"), form)
    kernel = Kernel(
        config, store, writer, folder / "run", lambda: False, lambda vat, _: FakeWorker(vat, [])
    )
    told = BlockSlog(writer, kernel, store)
    kernel.start()
    ledger.genesis(store)
    with told.bootstrap(100):
        kernel.bootstrap()
    for height, txs in ((1, []), (2, [TX])):
        told.begin(height, 100 + height)
        told.transactions(txs)
        first = height == 1 and form.phases
        told.end_start(never_stops=first)
        if first:
            with told.core_proposals():
                kernel.core_proposals()
        for number, tx in enumerate(txs):
            with told.message(tx, number):
                kernel.run_tx(tx)
        told.end_finish(cleanup=not first)
        with told.commit():
            store.commit(Block(height, 0.0), kernel.take_deliveries())
    writer.close()
    store.close()
    return [orjson.loads(text) for text in (folder / "slog").read_bytes().splitlines()]


def around_the_last_block(events: list[dict[str, Any]]) -> list[str]:
    """The types of the last block's events, those of cranks left out; of runs their phase."""
    kinds = [event["type"] for event in events]
    begin = len(kinds) - kinds[::-1].index(BLOCK + "begin-block") - 1
    deliveries = {"clist", "deliver", "syscall", "syscall-result", "deliver-result"}
    deliveries |= {"crank-start", "crank-finish"}
    names = []
    for event in events[begin:]:
        name = event["type"].removeprefix(BLOCK)
        if name == "run-start":
            name += f" {event['phase']}" if "phase" in event else ""
        if name not in deliveries:
            names.append(name)
    return names


RUN = ["kernel-stats", "run-finish"]


def test_a_block_of_spring_2021_has_no_runs(tmp_path: Path) -> None:
    names = around_the_last_block(slog_of(tmp_path, "2021"))
    assert names == ["begin-block", "deliver-inbound", "end-block-start", "end-block-finish"]


def test_a_block_of_autumn_2022_has_runs_without_phases(tmp_path: Path) -> None:
    assert around_the_last_block(slog_of(tmp_path, "2022")) == [
        "begin-block",
        "end-block-start",
        *["run-start", *RUN],
        "deliver-inbound",
        *["run-start", *RUN],
        "end-block-finish",
        "commit-block-start",
        "commit-block-finish",
        "after-commit-block",
    ]


@pytest.mark.parametrize(("dialect", "inbound"), [("2024", "queued"), ("modern", "inbound")])
def test_a_block_since_2024_has_the_phases_of_the_real_ones(
    tmp_path: Path, dialect: str, inbound: str
) -> None:
    assert around_the_last_block(slog_of(tmp_path, dialect)) == [
        "begin-block",
        "end-block-start",
        *["run-start leftover", *RUN],
        "timer-poll",
        *["run-start timer", *RUN],
        "deliver-inbound",
        *[f"run-start {inbound}", *RUN],
        *["run-start cleanup", *RUN],
        "end-block-finish",
        "commit-block-start",
        "commit-block-finish",
        "after-commit-stats",
    ]


def test_beans_are_a_hundred_times_the_computrons(tmp_path: Path) -> None:
    events = slog_of(tmp_path, "modern")
    used = [event["usedBeans"] for event in events if event["type"] == BLOCK + "run-finish"]
    spent = [
        (event["dr"][2] or {})["compute"]
        for event in events
        if event["type"] == "deliver-result" and event["dr"][2]
    ]
    assert sum(used) == 100 * sum(spent) > 0


@pytest.mark.parametrize("dialect", list(FORMS))
def test_the_scanner_finds_nothing_odd_in_any_form(tmp_path: Path, dialect: str) -> None:
    slog_of(tmp_path, dialect)
    scanner = scanned(tmp_path / "slog")
    assert not scanner.anomalies
    assert [block.block_height for block in scanner.take_blocks()] == [1, 2]
