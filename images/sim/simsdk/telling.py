"""The slog's events around blocks, in the order and with the fields of each form (`forms.py`)."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .kernel import Kernel
from .slog import SlogWriter
from .store import Store

Json = Any

BEANS_PER_COMPUTRON = 100
COMPUTE_LIMIT = 8_000_000
"""Computron limit of a block with the real chain's default parameters."""
QUEUE = "actions"
"""Key in the state of the actions that wait for a later block."""
_PAGE = 4096
_HEAP_LIMIT = 4_345_298_944
_STATS = "cosmic_swingset_inbound_queue_"
_PHASES = {"queued": "inbound", "high-priority": "priority"}
"""Earlier name of a phase → its name since January 2025."""


class BlockSlog:
    """Writes the events of blocks. The block loop owns it."""

    def __init__(
        self, slog: SlogWriter, kernel: Kernel, store: Store, compute_limit: int | None = None
    ) -> None:
        """`kernel` runs between these events; `compute_limit` in computrons per block."""
        self._slog = slog
        self._store = store
        self._beans = (compute_limit or COMPUTE_LIMIT) * BEANS_PER_COMPUTRON
        self._form = slog.form
        self._kernel = kernel
        self._where: dict[str, Json] = {}
        self._runs = 0
        self._used = 0
        self._never_stops = False
        self._removed = 0
        """Actions that were taken from the queue since the process began."""
        self._actions: dict[str, int] = {}
        self._waiting = 0
        """Actions in the queue when the end-block began."""
        self._ran = self._ended = self._saved = 0.0
        """Seconds that the end-block took; when it had ended, and when the commit had."""
        self._done = math.nan
        """When the work after the last commit was done."""
        self._begun_at = math.nan
        """When the previous block began, epoch seconds."""

    @contextlib.contextmanager
    def bootstrap(self, block_time: int) -> Iterator[None]:
        """The bootstrap; its deliveries run inside the context."""
        slog, when = self._slog, {"blockTime": block_time}
        if not self._form.monotime:
            # The old kernel shows its bootstrap as an end-block without a begin-block.
            slog.write("cosmic-swingset-end-block-start", blockHeight=0, **when)
            yield
            slog.write("cosmic-swingset-end-block-finish", blockHeight=0, **when)
            return
        # The real kernel does not get a height here either.
        self._where = when
        if self._form.seconds:
            slog.write(
                "cosmic-swingset-init",
                isBootstrap=True,
                needsExecution=True,
                params={},
                savedHeight=0,
                savedBeginHeight=0,
                inboundQueueInitialLengths={"forced": 0, "priority": 0, "inbound": 0},
            )
        slog.write("cosmic-swingset-bootstrap-block-start", **when)
        self._begin_runs(never_stops=True)
        with self.run("forced"):
            yield
        slog.write("cosmic-swingset-bootstrap-block-finish", **when)
        if self._form.phases:
            slog.write("cosmic-swingset-upgrade-start", **self._where, coreProposals={"steps": []})
            slog.write("cosmic-swingset-upgrade-finish", **self._where)

    def begin(self, height: int, block_time: int) -> None:
        """A block begins."""
        self._where = {"blockHeight": height, "blockTime": block_time}
        fields: dict[str, Json] = {}
        if self._form.seconds:
            fields["interBlockSeconds"] = _known(time.monotonic() - self._done)
            fields["afterCommitHangoverSeconds"] = 0
            fields["blockLagSeconds"] = _known(self._begun_at - block_time)
        if self._form.phases:
            fields["inboundQueueStats"] = self._queue_stats()
        self._begun_at = time.time()
        self._slog.write("cosmic-swingset-begin-block", **self._where, **fields)

    def transactions(self, txs: list[Json]) -> None:
        """The messages of the block: in old forms logged at once, in later ones when each is
        run.
        """
        self._waiting = self._queued() + len(txs)
        if self._form.monotime:
            return
        senders: dict[str, int] = {}
        for tx in txs:
            senders[tx["sender"]] = senders.get(tx["sender"], 0) + 1
        for sender, count in senders.items():
            self._slog.write("cosmic-swingset-deliver-inbound", sender=sender, count=count)

    def end_start(self, *, never_stops: bool = False) -> None:
        """The end-block begins, with the runs before any transaction.

        `never_stops` is for a block that runs the core proposals without a limit.
        """
        self._ran = time.monotonic()
        self._actions = {}
        self._slog.write("cosmic-swingset-end-block-start", **self._where)
        self._slog.flush()
        if not self._form.monotime:
            return
        self._begin_runs(never_stops=never_stops)
        if self._form.phases:
            self._idle_run("leftover")
        if not never_stops:
            if self._form.phases:
                self._slog.write("cosmic-swingset-timer-poll", **self._where, added=False)
            self._idle_run("timer")

    @contextlib.contextmanager
    def message(self, tx: Json, number: int) -> Iterator[None]:
        """A message of a client's mailbox, whose deliveries run inside the context."""
        if not self._form.monotime:
            yield
            return
        fields: dict[str, Json] = {"sender": tx["sender"], "count": 1}
        if self._form.phases:
            place = f"{self._where['blockHeight']}-{tx['id']}-{number}"
            fields = {"inboundNum": place, **fields, "messages": [[number, "{}"]], "ack": 0}
        self._slog.write("cosmic-swingset-deliver-inbound", **fields)
        with self._action("DELIVER_INBOUND"):
            yield

    @contextlib.contextmanager
    def bridge(self, source: str, body: Json, place: str) -> Iterator[None]:
        """A message over the bridge, run inside the context; `place` is its `inboundNum`."""
        self._slog.write(
            "cosmic-swingset-bridge-inbound", inboundNum=place, source=source, body=body
        )
        if not self._form.monotime:
            yield
            return
        with self._action(body["type"]):
            yield

    @contextlib.contextmanager
    def _action(self, kind: str) -> Iterator[None]:
        self._removed += 1
        self._count(kind)
        with self.run("queued"):
            yield

    @contextlib.contextmanager
    def core_proposals(self) -> Iterator[None]:
        """The part of the bootstrap that is left to the first block; its deliveries run inside the
        context.
        """
        self._count("CORE_EVAL")
        with self.run("forced"):
            yield

    @contextlib.contextmanager
    def run(self, phase: str) -> Iterator[None]:
        """A run of the kernel, whose deliveries run inside the context; `phase` as until January
        2025.
        """
        before = self._kernel.spent
        where = {name: value for name, value in self._where.items() if name == "blockHeight"}
        where["runNum"] = self._runs
        start, beans = self._used, {} if self._never_stops else self._remaining()
        if self._form.phases:
            where["phase"] = _PHASES.get(phase, phase) if self._form.seconds else phase
            self._slog.write("cosmic-swingset-run-start", **where, startBeans=start, **beans)
        else:
            beans = {"initialBeans": beans["remainingBeans"]} if beans else {}
            self._slog.write("cosmic-swingset-run-start", **where, **beans)
        yield
        used = (self._kernel.spent - before) * BEANS_PER_COMPUTRON
        self._used += used
        self._runs += 1
        if self._form.phases or not self._never_stops:
            self._slog.write("kernel-stats", stats=self._kernel.stats())
        after: dict[str, Json] = {} if self._never_stops else self._remaining()
        if self._form.phases:
            after = {
                "startBeans": start,
                "finishBeans": self._used,
                "usedBeans": used,
                **after,
            }
        elif after:
            after["usedBeans"] = used
        self._slog.write("cosmic-swingset-run-finish", **where, **after)

    def end_finish(self, *, cleanup: bool = True) -> None:
        """The end-block ends; `cleanup`: after a run for terminated vats."""
        if self._form.phases and cleanup:
            self._idle_run("cleanup")
        fields: dict[str, Json] = {}
        if self._form.seconds:
            fields["inboundQueueStartLengths"] = {
                "forced": self._actions.get("CORE_EVAL", 0),
                "priority": 0,
                "inbound": self._waiting,
            }
            fields["processedActionCounts"] = [
                {
                    "count": count,
                    "phase": "forced" if kind == "CORE_EVAL" else "inbound",
                    "type": kind,
                }
                for kind, count in self._actions.items()
            ]
        if self._form.phases:
            fields["inboundQueueStats"] = self._queue_stats()
        self._slog.write("cosmic-swingset-end-block-finish", **self._where, **fields)
        self._ended = time.monotonic()
        self._ran = self._ended - self._ran

    @contextlib.contextmanager
    def commit(self) -> Iterator[None]:
        """The block is committed inside the context; then the process's memory is collected and
        logged.
        """
        if not self._form.monotime:
            yield
            return
        began = time.monotonic()
        self._slog.write("cosmic-swingset-commit-block-start", **self._where)
        yield
        saved = time.monotonic()
        fields: dict[str, Json] = {}
        if self._form.phases:
            fields = {"chainTime": 0, "saveTime": round(saved - began, 3)}
            if self._form.seconds:
                # The simulated chain commits no application state apart from the kernel's.
                fields = {"runSeconds": round(self._ran, 3), **fields, "cosmosCommitSeconds": 0}
            fields["fullSaveTime"] = round(saved - self._ended, 3)
        self._slog.write("cosmic-swingset-commit-block-finish", **self._where, **fields)
        stats = "stats" if self._form.phases else "block"
        self._slog.write(f"cosmic-swingset-after-commit-{stats}", **self._where, **_memory())
        self._slog.flush()
        self._done = time.monotonic()

    def _begin_runs(self, *, never_stops: bool) -> None:
        self._runs, self._used, self._never_stops = 0, 0, never_stops

    def _idle_run(self, phase: str) -> None:
        with self.run(phase):
            pass

    def _remaining(self) -> dict[str, Json]:
        return {"remainingBeans": self._beans - self._used}

    def _queued(self) -> int:
        return len(self._store.get(QUEUE, []))

    def _count(self, kind: str) -> None:
        self._actions[kind] = self._actions.get(kind, 0) + 1

    def _queue_stats(self) -> dict[str, int]:
        length = self._queued()
        queue = {"length": length, "add": length + self._removed, "remove": self._removed}
        if not self._form.seconds:
            return {f"{_STATS}{what}": count for what, count in queue.items()}
        stats: dict[str, int] = {}
        for what, count in queue.items():
            stats |= {f"{_STATS}{what}_{name}": 0 for name in ("forced", "priority")}
            stats |= {f"{_STATS}{what}_inbound": count, f"{_STATS}{what}": count}
        return stats


def _known(seconds: float) -> float | None:
    """JSON has no NaN: the first block's times are null."""
    return None if math.isnan(seconds) else round(seconds, 3)


def _memory() -> dict[str, Json]:
    """The process's memory after a garbage collection, as Node reports it."""
    began = time.monotonic()
    gc.collect()
    swept = time.monotonic()
    pages = [int(word) for word in Path("/proc/self/statm").read_text().split()]
    rss, shared, data = pages[1] * _PAGE, pages[2] * _PAGE, pages[5] * _PAGE
    used = rss - shared
    read = time.monotonic()
    return {
        "memoryUsage": {
            "rss": rss,
            "heapTotal": data,
            "heapUsed": used,
            "external": 0,
            "arrayBuffers": 0,
        },
        "heapStats": {
            "total_heap_size": data,
            "total_physical_size": rss,
            "used_heap_size": used,
            "heap_size_limit": _HEAP_LIMIT,
        },
        "statsTime": {
            "forcedGc": (swept - began) * 1000,
            "memoryUsage": (read - swept) * 1000,
            "heapStats": 0,
        },
    }
