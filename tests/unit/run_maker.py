"""A made-up results folder that grows: rows as a run writes them, by time since its start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fake_clock import EPOCH

from loadgenctl.owner import Owner
from loadgenctl.records.status import Status


class MadeRun:
    """Times are seconds since the run's start, which is the fake clock's beginning."""

    def __init__(self, folder: Path) -> None:
        """The folder is made; nothing is in it."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def status(self, **fields: Any) -> None:
        """Replace status.json; by default a run of this very process that goes on."""
        given = {"owner": Owner.current(), "started_at": EPOCH, "updated_at": EPOCH, **fields}
        document = Status(**given).to_json()
        (self.folder / "status.json").write_text(json.dumps(document), encoding="utf-8")

    def plan(self, *, simulated: bool = False, stages: int = 3, **sdk: Any) -> None:
        """Write run.json: the first and the last stage run the chain alone."""
        planned = [
            {"index": index, "chain_only": only, "duration": 0.0 if only else 600.0}
            for index in range(stages)
            for only in [index in {0, stages - 1}]
        ]
        family = {"family": "sim" if simulated else "agoric", "simulated": simulated}
        document = {
            "schema": 1,
            "run_id": "0123456789",
            "sdk": {**family, "requested": "main", "commit": "fa7ff5e55e" * 4, **sdk},
            "plan": {"stages": planned},
        }
        (self.folder / "run.json").write_text(json.dumps(document), encoding="utf-8")

    def write(self, file: str, *rows: dict[str, Any]) -> None:
        """Append rows to a file of the folder."""
        self.raw(file, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def raw(self, file: str, content: bytes) -> None:
        """Append bytes as they are."""
        with (self.folder / file).open("ab") as stream:
            stream.write(content)

    def perf(self, at: float, kind: str, *, stage: int = 1, begun: float = 0.0) -> None:
        """Append an event of a stage that began at `begun`."""
        row = {"timestamp": at, "stage": stage, "elapsed": at - begun, "type": f"perf-{kind}"}
        self.write("perf.jsonl", row)

    def block(self, at: float, height: int, *, stage: int = 1, **fields: Any) -> None:
        """Append a block that was done at `at`."""
        numbers = {
            "lag": 1.25,
            "blockDuration": 5.0,
            "cosmosTime": 0.5,
            "swingsetTime": 2.0,
            "idleTime": 2.5,
            "deliveries": 7,
            "computrons": 123456,
        }
        row = {"stage": stage, "blockHeight": height, "endFinishAt": EPOCH + at}
        self.write("blocks.jsonl", {**row, **numbers, **fields})

    def event(self, at: float, kind: str, *, stage: int = 1, **fields: Any) -> None:
        """Append an event of the load service."""
        self.write("events.jsonl", {"stage": stage, "time": EPOCH + at, "type": kind, **fields})

    def cycle(self, start: float, finish: float, task: str = "faucet", **fields: Any) -> None:
        """Append a finished cycle and its events."""
        stage, success = fields.get("stage", 1), fields.get("success", True)
        self.event(start, "start", stage=stage, task=task, seq=0)
        self.event(finish, "finish", stage=stage, task=task, seq=0, success=success)
        row = {"task": task, "start": EPOCH + start, "finish": EPOCH + finish}
        told = {"duration_s": finish - start, "success": success}
        self.write("cycles.jsonl", {"stage": stage, **row, **told})

    def container(self, at: float, role: str, cpu: float | None, **fields: Any) -> None:
        """Append a reading of a container: seconds of CPU so far, 64 MiB of memory."""
        self._sample(
            at,
            "container",
            role,
            **{"cpu_total_s": cpu, "memory_bytes": 64 << 20, "network_rx_bytes": None, **fields},
        )

    def process(self, at: float, subject: str, cpu: float | None, **fields: Any) -> None:
        """Append a reading of a process: seconds of CPU so far, 32 MiB of memory."""
        self._sample(
            at,
            "process",
            subject,
            **{"cpu_user_s": cpu, "cpu_system_s": 0.0, "memory_rss_kib": 32 << 10, **fields},
        )

    def storage(self, at: float, kib: float | None, subject: str = ".") -> None:
        """Append a reading of the chain's storage."""
        self._sample(at, "storage", subject, disk_kib=kib)

    def _sample(self, at: float, kind: str, subject: str, **fields: Any) -> None:
        row = {"time": EPOCH + at, "stage": 1, "kind": kind, "subject": subject, "name": None}
        self.write("samples.jsonl", {**row, "reason": None, **fields})


def loaded_run(folder: Path) -> MadeRun:
    """100 s into a run: stage 1 under load since 20 s, with everything that is recorded."""
    run = MadeRun(folder)
    run.plan()
    run.status(stage=1, step="stage 1")
    run.perf(10, "stage-start", begun=10)
    run.perf(20, "stage-ready", begun=10)
    for place in range(16):
        run.block(20 + 5 * place, 40 + place)
    run.event(20, "config", config={"faucet": {}})
    for place in range(6):
        run.cycle(22 + 10 * place, 26 + 10 * place + place)
    run.cycle(30, 80, "vault", success=False)
    run.event(90, "start", task="vault", seq=1)
    run.event(91, "missed", task="vault", count=2)
    for at, busy in ((60, 10.0), (90, 16.0)):
        run.process(at, "kernel", busy)
        run.process(at, "vats", 3 * busy, workers=2)
        run.process(at, "v1", busy / 4, name="bank")
        run.process(at, "v10", busy / 2, name="zoe")
        run.container(at, "chain", 4 * busy)
        run.storage(at, 1024 * at)
        run.storage(at, 12, "data/x")
    return run
