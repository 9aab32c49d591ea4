"""What newer slogs tell of a block: runs, queues, commits, memory, page-ins, and the bootstrap."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.slog_maker import Slog, reshaped

from loadgenctl.slog.block_rows import FIGURES, BlockRows, Row
from loadgenctl.slog.scan import SlogScanner
from loadgenctl.stats.blocks import block_summaries
from loadgenctl.stats.slog_rows import startup_row, vat_rows

BLOCK = "cosmic-swingset-"
MEMORY: dict[str, Any] = {
    "memoryUsage": {"rss": 3 << 20, "heapTotal": 2 << 20, "heapUsed": 1 << 20}
}
COMMIT = {"chainTime": 0.25, "saveTime": 0.5, "cosmosCommitSeconds": 0.75, "fullSaveTime": 2}


class Modern(Slog):
    """Blocks as SDKs write them since 2025."""

    def run(
        self, height: int, phase: str | None = "inbound", beans: int = 0, **fields: Any
    ) -> Modern:
        """A run of 0.2 s with the kernel's stats."""
        where: dict[str, Any] = {"blockHeight": height, "runNum": 0} | (
            {"phase": phase} if phase else {}
        )
        self.add(BLOCK + "run-start", **where, startBeans=0)
        stats = {"runQueueLength": 3, "kernelObjects": 400, "clistEntries": 1400}
        self.add("kernel-stats", stats=stats)
        self.add(BLOCK + "run-finish", **where, startBeans=0, usedBeans=beans, **fields)
        return self

    def begin(self, height: int, **fields: Any) -> Modern:
        """Up to the end-block's start."""
        where = {"blockHeight": height, "blockTime": int(self.now) - 1}
        self.add(BLOCK + "begin-block", after=5.0, **where, **fields)
        self.add(BLOCK + "end-block-start", **where)
        return self

    def end(self, height: int, **fields: Any) -> Modern:
        """The end-block's end."""
        self.add(BLOCK + "end-block-finish", blockHeight=height, **fields)
        return self

    def commit(self, height: int, gc_ms: float = 40.0) -> Modern:
        """A commit of 0.1 s, and the memory after it."""
        self.add(BLOCK + "commit-block-start", blockHeight=height)
        self.add(BLOCK + "commit-block-finish", blockHeight=height, **COMMIT)
        stats = MEMORY | {"statsTime": {"forcedGc": gc_ms}}
        self.add(BLOCK + "after-commit-stats", blockHeight=height, **stats)
        return self

    def page_in(self, vat: str, deliveries: int, *, snapshot: bool = False) -> Modern:
        """A vat is brought online in 0.1 s, and 0.1 s each for a snapshot and a delivery."""
        if snapshot:
            self.add("heap-snapshot-load", vatID=vat, snapPos=1)
        self.add("start-replay", vatID=vat, deliveries=deliveries)
        for number in range(deliveries):
            told: dict[str, Any] = {"vatID": vat, "deliveryNum": number, "replay": True}
            self.add("deliver", after=0.0, **told)
            self.add("deliver-result", **told, dr=["ok", None, None])
        self.add("finish-replay", vatID=vat)
        return self


def scanned(slog: Slog, *, monotime: bool = True) -> tuple[SlogScanner, list[Row]]:
    content = slog.content()
    scanner = SlogScanner(census=True)
    scanner.feed(reshaped(content, "type first") if monotime else content)
    scanner.finish()
    assert not scanner.anomalies
    rows = BlockRows()
    return scanner, [rows.row(block) for block in scanner.take_blocks()]


def test_runs_give_beans_and_the_time_of_each_phase() -> None:
    slog = Modern().begin(7)
    slog.run(7, "leftover", 100).run(7, "queued", 50).run(7, "inbound", 7).run(7, "high-priority")
    _, (row,) = scanned(slog.end(7))
    assert row["usedBeans"] == 157
    assert row["runTime"] == 0.8
    assert (row["leftoverTime"], row["inboundTime"], row["priorityTime"]) == (0.2, 0.4, 0.2)
    assert "timerTime" not in row
    assert (row["runQueue"], row["kernelObjects"], row["clistEntries"]) == (3, 400, 1400)
    assert "kernelPromises" not in row


def test_queues_and_actions_and_the_times_between_blocks() -> None:
    queue = {"cosmic_swingset_inbound_queue_length": 4}
    counts = [{"count": 2, "phase": "inbound", "type": "A"}, {"count": 1, "type": "B"}]
    times = {"interBlockSeconds": 4.5, "afterCommitHangoverSeconds": 0, "blockLagSeconds": None}
    slog = Modern().begin(7, **times, inboundQueueStats=queue)
    lengths = {"forced": 1, "priority": 2, "inbound": 3}
    slog.end(
        7, inboundQueueStats=queue, inboundQueueStartLengths=lengths, processedActionCounts=counts
    )
    _, (row,) = scanned(slog)
    assert (row["queuedAtStart"], row["queuedAtEnd"], row["actions"]) == (6, 4, 3)
    assert (row["interBlockTime"], row["hangoverTime"]) == (4.5, 0)
    assert "blockLag" not in row


def test_a_block_has_its_commit_and_the_memory_after_it() -> None:
    slog = Modern().begin(7).end(7).commit(7).begin(8).end(8).commit(8, gc_ms=60.0)
    _, rows = scanned(slog)
    assert [row["blockHeight"] for row in rows] == [7, 8]
    assert [row["gcTime"] for row in rows] == [0.04, 0.06]
    times = ("chainSaveTime", "kernelSaveTime", "cosmosCommitTime", "fullSaveTime")
    assert [rows[0][name] for name in times] == [0.25, 0.5, 0.75, 2]
    memory = ("kernelHeap", "kernelHeapTotal", "kernelMemory")
    assert [rows[1][name] for name in memory] == [1 << 20, 2 << 20, 3 << 20]


def test_before_2023_a_commit_is_the_time_between_its_events() -> None:
    slog = Modern().begin(7).end(7)
    slog.add(BLOCK + "commit-block-start", blockHeight=7)
    slog.add(BLOCK + "commit-block-finish", after=0.5, blockHeight=7)
    slog.add(BLOCK + "after-commit-block", blockHeight=7, **MEMORY)
    _, (row,) = scanned(slog)
    assert (row["kernelSaveTime"], row["kernelHeap"]) == (0.5, 1 << 20)
    assert not {"chainSaveTime", "cosmosCommitTime", "gcTime"} & row.keys()


def heights(scanner: SlogScanner) -> list[int]:
    return [block.block_height for block in scanner.take_blocks()]


def test_a_block_is_handed_out_when_its_memory_is_told() -> None:
    scanner = SlogScanner()
    for line in Modern().begin(7).end(7).commit(7).lines[:-1]:
        scanner.feed(reshaped(line, "type first"))
        assert heights(scanner) == []
    scanner.feed(reshaped(Modern().commit(7).lines[-1], "type first"))
    assert heights(scanner) == [7]


@pytest.mark.parametrize("lines", [1, 2])
def test_a_block_whose_commit_is_not_told_comes_with_the_next_or_at_the_end(lines: int) -> None:
    slog = Modern().begin(7).end(7).commit(7).begin(8).end(8)
    slog.lines += Modern(now=slog.now).commit(8).lines[: lines - 1]
    slog.begin(9).end(9)
    scanner = SlogScanner()
    scanner.feed(reshaped(slog.content(), "type first"))
    assert heights(scanner) == [7, 8]
    scanner.finish()
    assert heights(scanner) == [9]


def test_blocks_of_a_slog_without_commits_come_at_once() -> None:
    scanner = SlogScanner()
    scanner.feed(Slog().block(7).content())
    assert heights(scanner) == [7]
    # With a `monotime` a commit may follow: that none does shows when the next block begins.
    scanner = SlogScanner()
    scanner.feed(reshaped(Slog().block(7).content(), "type first"))
    assert heights(scanner) == []
    scanner.feed(reshaped(Slog(now=1010.0).block(8).block(9).content(), "type first"))
    assert heights(scanner) == [7, 8, 9]


def test_figures_of_an_old_slog_are_absent_not_0() -> None:
    _, rows = scanned(Slog().block(7, deliveries=2).block(8), monotime=False)
    assert all(not FIGURES.keys() & row.keys() for row in rows)
    assert not any(name.startswith("kernel_") for name in block_summaries(rows)["all"])


def test_fields_that_are_no_numbers_are_absent() -> None:
    slog = Modern().begin(7, interBlockSeconds="1", blockLagSeconds=True)
    slog.run(7, beans="many", remainingBeans=None)  # type: ignore[arg-type]
    slog.add("kernel-stats", stats=[1, 2])
    slog.end(7, processedActionCounts={"count": 1}, inboundQueueStats=7)
    slog.add(BLOCK + "commit-block-start", blockHeight=7)
    slog.add(BLOCK + "commit-block-finish", blockHeight=7, saveTime=1e300, chainTime=[])
    slog.add(BLOCK + "after-commit-stats", blockHeight=7, memoryUsage=None, statsTime=5)
    _, (row,) = scanned(slog)
    wrong = {"interBlockTime", "blockLag", "usedBeans", "actions", "queuedAtEnd", "chainSaveTime"}
    assert not wrong & row.keys()
    assert not {"kernelHeap", "gcTime"} & row.keys()


def test_a_vat_that_is_replayed_again_was_evicted() -> None:
    slog = Modern().add("import-kernel-start")
    assert isinstance(slog, Modern)
    slog.page_in("v1", 2).page_in("v2", 0)
    slog.begin(7).run(7).page_in("v1", 3, snapshot=True).page_in("v3", 1).end(7)
    slog.begin(8).run(8).end(8)
    scanner, rows = scanned(slog)
    # v3 did something before this process began: it is paged in, but was not evicted.
    assert (rows[0]["pageIns"], rows[0]["evictions"], rows[0]["replayedDeliveries"]) == (2, 1, 4)
    assert rows[0]["pageInTime"] == 0.7
    assert (rows[1]["pageIns"], rows[1]["pageInTime"]) == (0, 0)
    vats = {row["vat_id"]: row for row in vat_rows(scanner.vats.values())}
    assert [vats[vat]["page_ins"] for vat in ("v1", "v2", "v3")] == [1, 0, 1]
    assert [vats[vat]["evictions"] for vat in ("v1", "v2", "v3")] == [1, 0, 0]
    # Only of the replays themselves, however long after one another.
    assert vats["v1"]["replay_s"] == 0.7
    assert scanner.startup.replayed_deliveries == 2


def test_a_new_vat_is_no_page_in() -> None:
    slog = Modern().begin(7).run(7)
    slog.add("create-vat", vatID="v9", dynamic=True)
    slog.add("vat-startup-finish", vatID="v9")
    scanner, (row,) = scanned(slog.page_in("v9", 0).end(7))
    assert row["pageIns"] == 0
    assert scanner.vats["v9"].page_ins == 0


def test_a_new_process_evicts_nothing() -> None:
    slog = Modern().begin(7).run(7).page_in("v1", 1).end(7)
    slog.add("import-kernel-start")
    _, rows = scanned(slog.begin(8).run(8).page_in("v1", 1).end(8))
    assert [row["evictions"] for row in rows] == [0, 0]


def test_heap_snapshots_have_sizes_and_times() -> None:
    slog = Modern().begin(7).run(7)
    sizes = {"uncompressedSize": 1000, "compressedSize": 100, "compressSeconds": 0.5}
    slog.add("heap-snapshot-save", vatID="v1", **sizes, dbSaveSeconds=0.25)
    slog.add("heap-snapshot-save", vatID="v2", uncompressedSizeDelta=None)
    for delta in (300, -100):
        slog.add("heap-snapshot-save", vatID="v3", uncompressedSizeDelta=delta)
    sizes = {"rawByteCount": 2000, "compressedByteCount": 300, "rawSaveSeconds": 1}
    slog.add("heap-snapshot-save", vatID="v1", **sizes, compressSeconds=2)
    scanner, (row,) = scanned(slog.end(7))
    assert row["snapshots"] == 5
    assert (row["snapshotBytes"], row["snapshotCompressedBytes"]) == (3000, 400)
    assert row["snapshotTime"] == 3.75
    deltas = [scanner.vats[vat].snapshot_delta_bytes for vat in ("v1", "v2", "v3")]
    assert deltas == [None, None, 200]
    assert (scanner.vats["v1"].snapshots, scanner.vats["v1"].snapshot_bytes) == (2, 2000)


def test_the_first_snapshots_had_no_sizes() -> None:
    slog = Modern().begin(7).run(7).add("heap-snapshot-save", vatID="v1", endPosition=3)
    assert isinstance(slog, Modern)
    _, (row,) = scanned(slog.end(7))
    assert row["snapshots"] == 1
    assert not {"snapshotBytes", "snapshotTime"} & row.keys()


def test_clean_up_of_a_terminated_vat() -> None:
    slog = Modern().begin(7).run(7).add("vat-cleanup", vatID="v1", work={"kv": 50, "exports": 2})
    assert isinstance(slog, Modern)
    scanner, (row,) = scanned(slog.end(7))
    assert row["cleanupWork"] == scanner.vats["v1"].cleanup_work == 52


def bootstrapped(*, proposals: bool) -> Modern:
    """A bootstrap block of 0.7 s with a delivery of 100 computrons, and block 1 with two."""
    slog = Modern()
    slog.add(BLOCK + "bootstrap-block-start", blockTime=900)
    slog.delivery(1)
    slog.run(0, "forced").add(BLOCK + "bootstrap-block-finish", after=0.2, blockTime=900)
    if proposals:
        slog.add(BLOCK + "upgrade-start", blockHeight=0)
        slog.add(BLOCK + "upgrade-finish", after=30.0, blockHeight=0)
    slog.begin(1)
    slog.delivery(2)
    slog.delivery(3)
    return slog.run(1, "forced", 200).end(1).commit(1).begin(2).end(2).commit(2)


def test_core_proposals_and_the_block_that_runs_them_belong_to_the_bootstrap() -> None:
    scanner, rows = scanned(bootstrapped(proposals=True))
    assert startup_row(scanner.startup) == {
        "bootstrap_s": 36.9,
        "bootstrap_deliveries": 3,
        "bootstrap_computrons": 300,
        "bootstrap_block_s": 0.7,
        "core_proposals_s": 30,
        "core_block_s": 1.1,
    }
    assert [row.get("bootstrap") for row in rows] == [True, None]
    assert (rows[0]["deliveries"], rows[0]["computrons"]) == (2, 200)
    summaries = block_summaries(rows)
    assert {group["start_block_height"] for group in summaries.values()} == {2}
    assert {group["block_count"] for group in summaries.values()} == {1}


def test_without_core_proposals_the_bootstrap_ends_with_its_block() -> None:
    scanner, rows = scanned(bootstrapped(proposals=False))
    assert startup_row(scanner.startup) == {
        "bootstrap_s": 0.7,
        "bootstrap_deliveries": 1,
        "bootstrap_computrons": 100,
    }
    assert [row.get("bootstrap") for row in rows] == [None, None]
    assert block_summaries(rows)["all"]["block_count"] == 2


def test_core_proposals_of_an_upgrade_are_no_bootstrap() -> None:
    slog = Modern().add("import-kernel-start").add(BLOCK + "upgrade-start", blockHeight=7)
    slog.add(BLOCK + "upgrade-finish", after=30.0, blockHeight=7)
    assert isinstance(slog, Modern)
    scanner, rows = scanned(slog.begin(8).end(8).commit(8))
    assert [row.get("bootstrap") for row in rows] == [None]
    assert startup_row(scanner.startup) == {}


def test_the_end_of_the_bootstrap_is_told_when_it_is_known() -> None:
    slog, scanner = bootstrapped(proposals=True), SlogScanner()
    ends = []
    for line in slog.lines:
        scanner.feed(reshaped(line, "type first"))
        if scanner.startup.bootstrap_finished_at is not None:
            ends.append(scanner.startup.bootstrap_finished_at)
    assert len(set(ends)) == 1
    assert ends[0] - 1000.1 == pytest.approx(36.9)
