"""The simulated kernel: vats, cranks, transcripts and their slog events."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import ledger
from .config import SimConfig
from .online import Online, StoppedError, Transcript
from .slog import SlogWriter
from .store import Store
from .vats import Vat, VatWorker, Worker, roster

__all__ = ["Kernel", "StoppedError"]

Json = Any

CONTRACTS = ("faucet", "amm", "vault")


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
        """`should_stop` is called between the steps of a start; `make_worker` starts a process."""
        self._config = config
        self._store = store
        self._slog = slog
        self._run_dir = run_dir
        self._form = slog.form
        self.static, self.dynamic = roster(config.vats)
        self._online = Online(config, slog, run_dir, self._transcript, should_stop, make_worker)
        self._numbers: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._calls = 0
        self.spent = 0
        """Computrons of all deliveries of this process, without replayed ones."""
        self.deliveries: list[tuple[str, int, int]] = []
        """(vatID, computrons, bytes) since the last `take_deliveries`."""

    def start(self) -> None:
        """Start the vats of the state and replay their transcripts.

        Raises `StoppedError`, `VatDiedError`.
        """
        self._run_dir.mkdir(parents=True, exist_ok=True)
        if self._form.monotime:
            self._slog.write("kernel-init-start")
        self._slog.write("import-kernel-start")
        self._slog.write("import-kernel-finish")
        vats = self.static + (self.dynamic if self._store.height >= 0 else [])
        if self._form.monotime:
            self._numbers = {vat.id: len(self._transcript(vat)) for vat in vats}
        self._online.restore(vats)
        if self._form.monotime:
            self._slog.write("kernel-init-finish")
        self._slog.flush()

    def bootstrap(self) -> None:
        """Run the deliveries of the bootstrap block, which also create the contract vats."""
        total, rest = self._config.cost.bootstrap_deliveries, self._core_deliveries()
        for number in range(total // 3):
            self._start_delivery(number)
        self._online.create(self.dynamic)
        for number in range(total // 3, total - rest):
            self._start_delivery(number)

    def core_proposals(self) -> None:
        """Run the deliveries that the bootstrap leaves to the first block."""
        total, rest = self._config.cost.bootstrap_deliveries, self._core_deliveries()
        for number in range(total - rest, total):
            self._start_delivery(number)

    def _core_deliveries(self) -> int:
        return self._config.cost.bootstrap_deliveries // 3 if self._form.phases else 0

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
        self._online.close()

    def stats(self) -> dict[str, int]:
        """The kernel's own counts; it has no queues between its runs."""
        crank, vats = self._store.get("crank", 0), len(self.static) + len(self.dynamic)
        return {
            "syscalls": self._calls,
            "dispatches": crank,
            "kernelObjects": 200 + crank // 20,
            "kernelPromises": crank % 30,
            "clistEntries": 500 + crank // 10,
            "vats": vats,
            "runQueueLength": 0,
            "acceptanceQueueLength": 0,
            "promiseQueuesLength": 0,
        }

    def _transcript(self, vat: Vat) -> Transcript:
        """All deliveries of a vat, including those of the uncommitted block."""
        made = [(compute, grow) for name, compute, grow in self.deliveries if name == vat.id]
        return self._store.transcripts.get(vat.id, []) + made

    def _start_delivery(self, number: int) -> None:
        self._online.check_stop()
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
        message = self._online.message(method, crank)
        start: dict[str, Json] = {"crankType": "delivery", "crankNum": crank}
        start |= {"messageType": "send"} if self._form.seconds else {}
        if self._form.monotime:
            sent = {"type": "send", "target": "ko22", "msg": message}
            slog.write("crank-start", **start, message=sent)
        self._online.provide(vat)
        number = self._numbers.get(vat.id, 0)
        self._numbers[vat.id] = number + 1
        self._clist(vat, crank, number)
        self._delivery(vat, crank, number, message)
        if self._form.monotime:
            self._online.save_snapshot(vat, number + 1)
            end = {name: value for name, value in start.items() if name != "crankNum"}
            hashes = {"crankhash": f"{crank:064x}", "activityhash": f"{crank:064x}"}
            slog.write("crank-finish", **end, crankNum=crank, **hashes)

    def _clist(self, vat: Vat, crank: int, number: int) -> None:
        self._slog.write(
            "clist",
            crankNum=crank,
            mode="import",
            vatID=vat.id,
            kobj=f"kp{crank}",
            vobj=f"p-{60 + number}",
        )

    def _delivery(self, vat: Vat, crank: int, number: int, message: Json) -> None:
        slog = self._slog
        where = {"crankNum": crank, "vatID": vat.id, "deliveryNum": number}
        replay = {"replay": False} if self._form.monotime else {}
        kind = self._online.dispatch()
        kd, vd = ["message", "ko22", message], ["message", "o+0", message]
        slog.write("deliver", **where, **replay, **kind, kd=kd, vd=vd)
        compute, grow = self._cost(vat)
        self._online.work(vat, compute, grow)
        ksc, vsc = ["send", "ko33", message], ["send", "o-62", message]
        call = {"syscall": "send"} if self._form.seconds else {}
        for place in range(self._config.cost.syscalls):
            told = {**where, "syscallNum": place, **replay, **call}
            slog.write("syscall", **told, ksc=ksc, vsc=vsc)
            slog.write("syscall-result", **told, ksr=["ok", None], vsr=["ok", None])
            self._calls += 1
        outcome = self._online.outcome(vat, compute)
        slog.write("deliver-result", **where, **replay, **kind, dr=outcome)
        self.spent += compute
        self.deliveries.append((vat.id, compute, grow))

    def _cost(self, vat: Vat) -> tuple[int, int]:
        """(computrons, bytes) of the vat's next delivery, which depend only on seed and number."""
        if not vat.has_worker:
            return 0, 0
        done = self._done.setdefault(vat.id, len(self._store.transcripts.get(vat.id, ())))
        self._done[vat.id] = done + 1
        luck = random.Random(f"{self._config.seed}/{vat.id}/{done}").uniform(-1.0, 1.0)  # noqa: S311 - not a secret
        cost = self._config.cost
        return int(
            cost.computrons * (1 + cost.spread * luck)
        ), self._config.growth.memory_per_delivery
