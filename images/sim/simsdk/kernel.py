"""The simulated kernel: vats, cranks, transcripts and the slog that tells about them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import ledger
from .config import SimConfig
from .slog import SlogWriter
from .store import Store
from .vats import Vat, VatWorker, Worker, roster
from .worker import COMPUTRONS_PER_UNIT

Json = Any

ALLOCATED = 42_074_144
"""Bytes that the real worker's meter reports for nearly every delivery."""
CONTRACTS = ("faucet", "amm", "vault")


class StoppedError(Exception):
    """A signal asked for the end while the kernel was starting."""


class Kernel:
    """Runs deliveries. Not thread-safe: the block loop owns it."""

    def __init__(
        self,
        config: SimConfig,
        store: Store,
        slog: SlogWriter,
        run_dir: Path,
        should_stop: Callable[[], bool],
        make_worker: Callable[[Vat, Path], VatWorker] = Worker,
    ) -> None:
        """`should_stop` is asked between the steps of a start; `make_worker` starts a process."""
        self._make_worker = make_worker
        self._config = config
        self._store = store
        self._slog = slog
        self._run_dir = run_dir
        self._should_stop = should_stop
        self._modern = config.slog.dialect == "modern"
        self.static, self.dynamic = roster(config.vats)
        self._workers: dict[str, VatWorker] = {}
        self._numbers: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._filler = "x" * config.slog.body_bytes
        self.deliveries: list[tuple[str, int, int]] = []
        """(vatID, computrons, bytes) since the last `take_deliveries`."""

    def start(self) -> None:
        """Start the vats that the state knows and replay their transcripts.

        Raises `StoppedError`, `VatDiedError`.
        """
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self._slog.write("import-kernel-start")
        self._slog.write("import-kernel-finish")
        vats = self.static + (self.dynamic if self._store.height >= 0 else [])
        self._create(vats)
        for vat in vats:
            self._replay(vat)
        self._slog.flush()

    def bootstrap(self) -> None:
        """The deliveries of the bootstrap block, which also make the contract vats."""
        total = self._config.cost.bootstrap_deliveries
        for number in range(total // 3):
            self._start_delivery(number)
        self._create(self.dynamic)
        for number in range(total // 3, total):
            self._start_delivery(number)

    def run_tx(self, tx: Mapping[str, Json]) -> Json:
        """Execute one transaction; its result {"id", "code", "data" | "log"}."""
        message = tx["message"]
        path = self._route(ledger.home(message))
        for vat in path[:-1]:
            self._deliver(vat, str(message.get("method")))
        try:
            data = ledger.apply(self._store, str(tx["sender"]), message)
        except ledger.LedgerError as error:
            self._deliver(path[-1], "reject")
            return {"id": tx["id"], "code": 1, "log": str(error)}
        self._deliver(path[-1], "resolve")
        return {"id": tx["id"], "code": 0, "data": data}

    def computed(self) -> int:
        """Computrons since the last `take_deliveries`."""
        return sum(compute for _, compute, _ in self.deliveries)

    def take_deliveries(self) -> list[tuple[str, int, int]]:
        """The deliveries since the last call, for the block's transcript."""
        taken, self.deliveries = self.deliveries, []
        return taken

    def close(self) -> None:
        """End all workers; idempotent."""
        for worker in self._workers.values():
            worker.release()
        for worker in self._workers.values():
            worker.close()
        self._workers = {}

    def _create(self, vats: list[Vat]) -> None:
        # All processes start at once; the slog tells of them one by one, as the real kernel would.
        for vat in vats:
            if vat.has_worker:
                self._workers[vat.id] = self._make_worker(vat, self._run_dir)
        for vat in vats:
            self._check_stop()
            self._slog.write("create-vat", **self._creation(vat))
            self._slog.write("vat-startup-start", vatID=vat.id)
            if vat.id in self._workers:
                self._workers[vat.id].wait_ready()
            self._slog.write("vat-startup-finish", vatID=vat.id)

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
        transcript = self._store.transcripts.get(vat.id, [])
        self._slog.write("replay-transcript-start", vatID=vat.id)
        self._slog.write("start-replay", vatID=vat.id, deliveries=len(transcript))
        factor = self._config.restart.replay_factor
        for number, (compute, grow) in enumerate(transcript):
            self._check_stop()
            message = ["message", "o+0", self._message("replayed", number)]
            if self._modern:
                self._slog.write(
                    "deliver", vatID=vat.id, deliveryNum=number, replay=True, vd=message
                )
            else:
                self._slog.write(
                    "start-replay-delivery", vatID=vat.id, delivery=message, deliveryNum=number
                )
            self._work(vat, compute * factor, grow)
            if self._modern:
                self._slog.write(
                    "deliver-result",
                    vatID=vat.id,
                    deliveryNum=number,
                    replay=True,
                    dr=self._outcome(vat, compute),
                )
            else:
                self._slog.write("finish-replay-delivery", vatID=vat.id, deliveryNum=number)
        if self._modern:
            self._numbers[vat.id] = len(transcript)
        self._slog.write("finish-replay", vatID=vat.id)
        self._slog.write("replay-transcript-finish", vatID=vat.id)

    def _start_delivery(self, number: int) -> None:
        self._check_stop()
        self._deliver(self.static[number % len(self.static)], "bootstrap")

    def _route(self, contract: str) -> list[Vat]:
        """The vats that a message passes, in order."""
        named = {vat.name: vat for vat in self.static}
        index = CONTRACTS.index(contract) if contract in CONTRACTS else len(CONTRACTS)
        home = self.dynamic[index % len(self.dynamic)] if self.dynamic else self.static[-1]
        stops: list[Vat | None] = [
            named.get("vattp"),
            named.get("comms"),
            home,
            named.get("zoe"),
            home,
            named.get("bank"),
            named.get("mints"),
        ]
        present = [vat for vat in stops if vat is not None]
        return [present[step % len(present)] for step in range(self._config.cost.deliveries)]

    def _deliver(self, vat: Vat, method: str) -> None:
        slog, crank = self._slog, self._store.get("crank", 0) + 1
        self._store.set("crank", crank)
        number = self._numbers.get(vat.id, 0)
        self._numbers[vat.id] = number + 1
        where = {"crankNum": crank, "vatID": vat.id, "deliveryNum": number}
        message = self._message(method, crank)
        replay = {"replay": False} if self._modern else {}
        slog.write(
            "clist",
            crankNum=crank,
            mode="import",
            vatID=vat.id,
            kobj=f"kp{crank}",
            vobj=f"p-{60 + number}",
        )
        slog.write(
            "deliver",
            **where,
            **replay,
            kd=["message", "ko22", message],
            vd=["message", "o+0", message],
        )
        compute, grow = self._cost(vat)
        self._work(vat, compute, grow)
        for call in range(self._config.cost.syscalls):
            slog.write(
                "syscall",
                **where,
                syscallNum=call,
                ksc=["send", "ko33", message],
                vsc=["send", "o-62", message],
            )
            slog.write(
                "syscall-result", **where, syscallNum=call, ksr=["ok", None], vsr=["ok", None]
            )
        slog.write("deliver-result", **where, **replay, dr=self._outcome(vat, compute))
        self.deliveries.append((vat.id, compute, grow))

    def _cost(self, vat: Vat) -> tuple[int, int]:
        """(computrons, bytes) of the vat's next delivery: depends on seed and number only."""
        if not vat.has_worker:
            return 0, 0
        done = self._done.setdefault(vat.id, len(self._store.transcripts.get(vat.id, ())))
        self._done[vat.id] = done + 1
        luck = random.Random(f"{self._config.seed}/{vat.id}/{done}").uniform(-1.0, 1.0)  # noqa: S311 - not a secret
        cost = self._config.cost
        return int(
            cost.computrons * (1 + cost.spread * luck)
        ), self._config.growth.memory_per_delivery

    def _work(self, vat: Vat, computrons: float, grow: int) -> None:
        worker = self._workers.get(vat.id)
        if worker is not None:
            worker.deliver(int(computrons * self._config.cost.work / COMPUTRONS_PER_UNIT), grow)

    def _outcome(self, vat: Vat, compute: int) -> Json:
        if not vat.has_worker:
            return ["ok", None, None]
        return ["ok", None, {"meterType": "xs-meter-7", "compute": compute, "allocate": ALLOCATED}]

    def _message(self, method: str, number: int) -> Json:
        return {
            "method": method,
            "args": {"body": self._filler, "slots": []},
            "result": f"kp{number}",
        }

    def _check_stop(self) -> None:
        if self._should_stop():
            raise StoppedError
