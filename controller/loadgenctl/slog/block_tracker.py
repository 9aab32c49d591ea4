"""The blocks of a slog and its bootstrap: open, ended, or waiting for their commit.

A block is complete when its end-block has ended. Since June 2022, when lines have a `monotime`,
slogs also have its commit and the process's memory after it: then the block is complete with these,
or when the next block begins, or at the end of the slog.

Since January 2024 the bootstrap continues after its own block: the core proposals are bundled
(`cosmic-swingset-upgrade-start` to `-finish`), and the first block runs them without a limit.
"""

from __future__ import annotations

from collections import Counter

from loadgenctl.slog.block_rows import complete
from loadgenctl.slog.event_fields import Fields, as_time, as_whole
from loadgenctl.slog.model import BlockRecord, Moment, Startup, seconds_between


class BlockLog:
    """Takes the events of blocks, in the slog's order."""

    def __init__(self, startup: Startup, anomalies: Counter[str]) -> None:
        """Writes the bootstrap to `startup` and counts anomalies in `anomalies`."""
        self.open: BlockRecord | None = None
        """The block that has begun but not ended."""
        self.counting = False
        """True if lines count for the open block."""
        self.heights: set[int] = set()
        """The heights of all blocks that have begun."""
        self._startup = startup
        self._anomalies = anomalies
        self._done: list[BlockRecord] = []
        self._held: BlockRecord | None = None
        """The ended block that waits for its commit."""
        self._commits: bool | None = None
        """True once the slog has had a commit, False if an earlier block had none."""
        self._run: Moment | None = None
        """When the open run began."""
        self._commit: Moment | None = None
        self._bootstrap: Moment | None = None
        self._bootstrap_end: Moment | None = None
        """When the bootstrap block ended, as long as it is unknown whether core proposals
        follow.
        """
        self._upgrade: Moment | None = None
        self._proposals = False
        """Core proposals follow the bootstrap, and the first block has not run them yet."""
        self._may_follow = False
        """The SDK's bootstrap may leave core proposals to the first block."""

    def take(self) -> list[BlockRecord]:
        """The blocks that were completed since the last call."""
        done, self._done = self._done, []
        return done

    def finish(self) -> None:
        """The slog has ended: complete all blocks."""
        self.close()
        self._release()
        self._end_bootstrap_block()

    # -- blocks

    def begin(self, moment: Moment, event: Fields) -> None:
        """A block begins."""
        height, block_time = as_whole(event["blockHeight"]), as_time(event["blockTime"])
        self.close()
        self._release()
        self._end_bootstrap_block()
        if height in self.heights:
            self._anomalies["repeated-block"] += 1
        self.open = BlockRecord(height, block_time, moment.at, begin_steady=moment.steady)
        self.open.bootstrap = self._proposals and not self.heights
        self.heights.add(height)
        self._set(self.open, event, "interBlockTime", "hangoverTime", "blockLag")

    def end_start(self, moment: Moment, event: Fields) -> None:
        """An end-block begins."""
        block = self.open
        if block is None:
            if self.heights:
                self._anomalies["out-of-place"] += 1
            elif self._startup.bootstrap_started_at is None:
                # SDKs without bootstrap events: the bootstrap has no begin-block.
                self.bootstrap_start(moment, event)
            return
        if block.block_height != event.get("blockHeight", 0) or block.end_start_at is not None:
            self._anomalies["out-of-place"] += 1
            return
        block.end_start_at, block.end_start_steady = moment
        # The count includes this line, so it starts at -1.
        block.slog_lines = -1
        self.counting = True

    def end_finish(self, moment: Moment, event: Fields) -> None:
        """An end-block ends, and the block with it."""
        block = self.open
        if block is None:
            if self.heights:
                self._anomalies["out-of-place"] += 1
            elif self._startup.bootstrap_finished_at is None:
                self.bootstrap_finish(moment, event)
            return
        if block.block_height != event.get("blockHeight", 0):
            self._anomalies["out-of-place"] += 1
            return
        block.end_finish_at, block.end_finish_steady = moment
        self._set(block, event, "actions", "queuedAtStart", "queuedAtEnd")
        self.close()

    def close(self) -> None:
        """The open block ends here, complete or not."""
        block, self.open, self.counting = self.open, None, False
        if block is None:
            return
        if block.end_finish_at is None:
            self._anomalies["unfinished-block"] += 1
        complete(block.figures)
        self._held = block
        if block.end_finish_steady is None or self._commits is False:
            self._release()

    # -- runs of the kernel

    def run_start(self, moment: Moment, _: Fields) -> None:
        """The kernel runs."""
        self._run = moment

    def run_finish(self, moment: Moment, event: Fields) -> None:
        """The kernel has run."""
        began, self._run = self._run, None
        if not self.heights:
            self._may_follow = self._may_follow or "startBeans" in event
        block = self.open
        took = seconds_between(began, moment)
        if block is None:
            return
        if "usedBeans" in event:
            block.add("usedBeans", event["usedBeans"])
        if took is None:
            return
        block.add("runTime", took)
        if event.get("phase"):
            block.add(event["phase"], took)

    def kernel_stats(self, _: Moment, event: Fields) -> None:
        """The kernel's counts after a run: the block has those of its last run."""
        if self.open is not None:
            names = ("runQueue", "kernelObjects", "kernelPromises", "clistEntries")
            self._set(self.open, event, *names)

    # -- commits

    def commit_start(self, moment: Moment, _: Fields) -> None:
        """The kernel's state is being saved."""
        self._commit, self._commits = moment, True

    def commit_finish(self, moment: Moment, event: Fields) -> None:
        """The block is committed; until April 2023, only the kernel's state is saved by then."""
        began, self._commit = self._commit, None
        block = self._waiting(event)
        if block is None:
            return
        took = seconds_between(began, moment)
        if "kernelSaveTime" not in event and took is not None:
            block.figures["kernelSaveTime"] = took
        names = ("chainSaveTime", "kernelSaveTime", "cosmosCommitTime", "fullSaveTime")
        self._set(block, event, *names)
        if block.bootstrap:
            self._end_bootstrap(block, moment)

    def after_commit(self, _: Moment, event: Fields) -> None:
        """The process's memory after the commit."""
        block = self._waiting(event)
        if block is not None:
            self._set(block, event, "kernelHeap", "kernelHeapTotal", "kernelMemory", "gcTime")
            self._release()

    def _waiting(self, event: Fields) -> BlockRecord | None:
        held = self._held
        return held if held is not None and held.block_height == event.get("blockHeight") else None

    def _release(self) -> None:
        block, self._held = self._held, None
        if block is None:
            return
        if self._commits is None and block.end_finish_steady is not None:
            self._commits = False
        if block.bootstrap and self._proposals and block.end_finish is not None:
            self._end_bootstrap(block, block.end_finish)
        self._done.append(block)

    def _set(self, block: BlockRecord, event: Fields, *names: str) -> None:
        block.figures.update({name: event[name] for name in names if name in event})

    # -- bootstrap

    def bootstrap_start(self, moment: Moment, _: Fields) -> None:
        """The bootstrap begins."""
        self._bootstrap = moment
        self._startup.bootstrap_started_at = moment.at

    def bootstrap_finish(self, moment: Moment, _: Fields) -> None:
        """The bootstrap block ends; in slogs since August 2023 core proposals may follow."""
        self._startup.bootstrap_block_s = seconds_between(self._bootstrap, moment)
        self._bootstrap_end = moment
        if not self._may_follow:
            self._end_bootstrap_block()

    def upgrade_start(self, moment: Moment, _: Fields) -> None:
        """Core proposals are bundled: those of the bootstrap, or of a chain's upgrade."""
        self._upgrade = moment
        if self._bootstrap is not None and not self.heights:
            self._proposals, self._bootstrap_end = True, None

    def upgrade_finish(self, moment: Moment, _: Fields) -> None:
        """The core proposals are bundled."""
        if self._proposals:
            self._startup.core_proposals_s = seconds_between(self._upgrade, moment)

    def _end_bootstrap_block(self) -> None:
        """No core proposals follow: the bootstrap ended with its block."""
        end, self._bootstrap_end = self._bootstrap_end, None
        if end is not None:
            self._startup.bootstrap_finished_at = end.at
            self._startup.bootstrap_s = seconds_between(self._bootstrap, end)

    def _end_bootstrap(self, block: BlockRecord, moment: Moment) -> None:
        """The block that ran the core proposals is done."""
        self._proposals = False
        self._startup.core_block_s = seconds_between(block.begin, moment)
        self._startup.bootstrap_finished_at = moment.at
        self._startup.bootstrap_s = seconds_between(self._bootstrap, moment)
