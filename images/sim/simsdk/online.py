"""The vats with running workers: started, paged in, evicted, replayed, with their slog events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config import SimConfig
from .slog import SlogWriter
from .vats import Vat, VatWorker
from .worker import COMPUTRONS_PER_UNIT

Json = Any
Transcript = list[tuple[int, int]]
"""(computrons, bytes) per delivery."""

ALLOCATED = 42_074_144
"""Bytes that the real worker's meter reports for almost every delivery."""
_HEAP = 2_000_000
"""Bytes of a worker's heap snapshot before the first delivery."""
_PACKED = 5
"""Compression ratio of a snapshot."""


class StoppedError(Exception):
    """A signal requested the end while the kernel was starting."""


class Online:
    """Workers by vat; at most `vats.online` of them, the least recently used is evicted."""

    def __init__(
        self,
        config: SimConfig,
        slog: SlogWriter,
        run_dir: Path,
        transcript: Callable[[Vat], Transcript],
        should_stop: Callable[[], bool],
        make_worker: Callable[[Vat, Path], VatWorker],
    ) -> None:
        """`transcript`: all deliveries of a vat so far; `should_stop` is called between steps."""
        self._config = config
        self._slog = slog
        self._form = slog.form
        self._run_dir = run_dir
        self._transcript = transcript
        self._should_stop = should_stop
        self._make_worker = make_worker
        self._workers: dict[str, VatWorker] = {}
        """The least recently used first."""
        self._filler = "x" * config.slog.body_bytes
        self._created: set[str] = set()
        """Vats that are in the slog."""
        self._snapshots: dict[str, int] = {}
        """Bytes of each vat's last snapshot."""

    def create(self, vats: list[Vat]) -> None:
        """Create vats and bring them online. Raises `StoppedError`, `VatDiedError`."""
        # Newer kernels also replay the (empty) transcript of a new vat.
        self._begin(vats, replay=self._form.monotime)

    def restore(self, vats: list[Vat]) -> None:
        """Bring existing vats online, as many as fit, and replay their deliveries.

        Raises as `create` does.
        """
        fit = [vat for vat in vats if vat.has_worker][: self._config.vats.online]
        self._begin([vat for vat in vats if not vat.has_worker or vat in fit], replay=True)

    def _begin(self, vats: list[Vat], *, replay: bool) -> None:
        workers = [vat for vat in vats if vat.has_worker]
        if len(workers) <= self._config.vats.online:
            # All processes start at the same time; the slog has them one after the other, as in the
            # real kernel.
            for vat in workers:
                self._launch(vat)
        for vat in vats:
            self.check_stop()
            self._bring(vat)
            if replay:
                self._replay(vat)

    def provide(self, vat: Vat) -> None:
        """Page a vat in unless it is online. Raises `VatDiedError`."""
        worker = self._workers.pop(vat.id, None)
        if worker is not None:
            self._workers[vat.id] = worker
        elif vat.has_worker:
            self._bring(vat)
            self._replay(vat)

    def work(self, vat: Vat, computrons: float, grow: int) -> None:
        """Run a delivery in a worker; vats without one do nothing. Raises `VatDiedError`."""
        worker = self._workers.get(vat.id)
        if worker is not None:
            worker.deliver(int(computrons * self._config.cost.work / COMPUTRONS_PER_UNIT), grow)

    def save_snapshot(self, vat: Vat, done: int) -> None:
        """Write a snapshot of a vat's heap if one is due."""
        every = self._config.vats.snapshot_interval
        if not self._form.phases or not vat.has_worker or not every or done % every:
            return
        size = _HEAP + sum(grow for _, grow in self._transcript(vat))
        before = self._snapshots.get(vat.id)
        fields: dict[str, Json] = {
            "snapshotID": _snapshot_id(vat, done),
            "endPosition": done,
            "uncompressedSize": size,
            "compressSeconds": size / 1e8,
            "dbSaveSeconds": size / 1e9,
            "compressedSize": size // _PACKED,
        }
        if self._form.seconds:
            fields["uncompressedSizeDelta"] = None if before is None else size - before
        self._snapshots[vat.id] = size
        self._slog.write("heap-snapshot-save", vatID=vat.id, **fields, restartWorker=True)
        self._load_snapshot(vat, done)

    def check_stop(self) -> None:
        """Raise `StoppedError` if a signal requested the end."""
        if self._should_stop():
            raise StoppedError

    def close(self) -> None:
        """End all workers; idempotent."""
        for worker in self._workers.values():
            worker.release()
        for worker in self._workers.values():
            worker.close()
        self._workers = {}

    def outcome(self, vat: Vat, compute: int) -> Json:
        """The result of a delivery."""
        if not vat.has_worker:
            return ["ok", None, None]
        usage: dict[str, Json] = {"meterType": "xs-meter-7"}
        if self._form.phases:
            usage = {"meterType": "xs-meter-35", "currentHeapCount": 200_000}
        return ["ok", None, {**usage, "compute": compute, "allocate": ALLOCATED}]

    def message(self, method: str, number: int) -> Json:
        """The body of a delivery."""
        if self._form.phases:
            body = f'#["{method}",["{self._filler}"]]'
            return {"methargs": {"body": body, "slots": []}, "result": f"kp{number}"}
        return {
            "method": method,
            "args": {"body": self._filler, "slots": []},
            "result": f"kp{number}",
        }

    def _launch(self, vat: Vat) -> None:
        while len(self._workers) >= self._config.vats.online:
            # The real kernel writes nothing about an eviction.
            evicted = self._workers.pop(next(iter(self._workers)))
            evicted.release()
            evicted.close()
        self._workers[vat.id] = self._make_worker(vat, self._run_dir)

    def _bring(self, vat: Vat) -> None:
        """Start a vat's process unless it runs; its startup is logged only the first time."""
        if vat.has_worker and vat.id not in self._workers:
            self._launch(vat)
        new = vat.id not in self._created
        self._created.add(vat.id)
        if new:
            self._slog.write("create-vat", **self._creation(vat))
            self._slog.write("vat-startup-start", vatID=vat.id)
        done = self._snapshot_at(vat)
        if done:
            self._load_snapshot(vat, done)
        if vat.id in self._workers:
            self._workers[vat.id].wait_ready()
        if new:
            self._slog.write("vat-startup-finish", vatID=vat.id)

    def _snapshot_at(self, vat: Vat) -> int:
        """The number of deliveries before the vat's last snapshot; 0 without one."""
        every = self._config.vats.snapshot_interval
        if not self._form.phases or not vat.has_worker or not every:
            return 0
        return len(self._transcript(vat)) // every * every

    def _load_snapshot(self, vat: Vat, done: int) -> None:
        name = _snapshot_id(vat, done)
        self._slog.write("heap-snapshot-load", vatID=vat.id, snapPos=done, hash=name)

    def _creation(self, vat: Vat) -> dict[str, Json]:
        source = "function getExportWithNestedEvaluate(filePrefix) {\n  'use strict';\n"
        fields: dict[str, Json] = {
            "vatID": vat.id,
            "dynamic": vat.dynamic,
            "description": (
                "(from bundleName: zcf)"
                if vat.dynamic
                else f"static name={vat.name} (from source bundle)"
            ),
        }
        if vat.name:
            fields["name"] = vat.name
        fields["managerType"] = "xs-worker" if vat.has_worker else "local"
        fields["vatParameters"] = {}
        fields["vatSourceBundle"] = {
            "source": source + "/" * max(0, self._config.vats.bundle_bytes - len(source)),
            "sourceMap": "//# sourceURL=/bundled-source/simulated.js\n",
            "moduleFormat": "nestedEvaluate",
        }
        return fields

    def _replay(self, vat: Vat) -> None:
        done, transcript = self._snapshot_at(vat), self._transcript(vat)
        wrapped = not self._form.phases
        if wrapped:
            self._slog.write("replay-transcript-start", vatID=vat.id)
        self._slog.write("start-replay", vatID=vat.id, deliveries=len(transcript) - done)
        if done:
            # The content of the snapshot is restored without work.
            self.work(vat, 0, sum(grow for _, grow in transcript[:done]))
        for number in range(done, len(transcript)):
            self.check_stop()
            self._replay_one(vat, number, *transcript[number])
        self._slog.write("finish-replay", vatID=vat.id)
        if wrapped:
            self._slog.write("replay-transcript-finish", vatID=vat.id)

    def _replay_one(self, vat: Vat, number: int, compute: int, grow: int) -> None:
        slog, where = self._slog, {"vatID": vat.id, "deliveryNum": number}
        message = ["message", "o+0", self.message("replayed", number)]
        computrons = compute * self._config.restart.replay_factor
        if not self._form.monotime:
            slog.write("start-replay-delivery", vatID=vat.id, delivery=message, deliveryNum=number)
            self.work(vat, computrons, grow)
            slog.write("finish-replay-delivery", **where)
            return
        told = {**where, "replay": True, **self.dispatch()}
        slog.write("deliver", **told, vd=message)
        self.work(vat, computrons, grow)
        slog.write("deliver-result", **told, dr=self.outcome(vat, compute))

    def dispatch(self) -> dict[str, Json]:
        """The fields that describe newer deliveries."""
        return {"dispatch": "message"} if self._form.seconds else {}


def _snapshot_id(vat: Vat, done: int) -> str:
    return hashlib.sha256(f"{vat.id}/{done}".encode()).hexdigest()
