"""The simulated kernel's slog, as loadgenctl's own scanner reads it, and its repeatable costs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from images.sim.simsdk import ledger
from images.sim.simsdk.config import SimConfig, parse
from images.sim.simsdk.forms import FORMS
from images.sim.simsdk.kernel import Kernel, StoppedError
from images.sim.simsdk.slog import SlogWriter, line, modern_line
from images.sim.simsdk.store import Block, Store
from images.sim.simsdk.vats import Vat, roster

from loadgenctl.slog.scan import SlogScanner

TX = {"id": "t1", "sender": "x", "message": {"contract": "bank", "method": "balances"}}


class FakeWorker:
    """Remembers what it was told."""

    def __init__(self, vat: Vat, log: list[tuple[str, int, int]]) -> None:
        self.vat = vat
        self.log = log
        self.closed = False

    def wait_ready(self) -> None:
        return None

    def deliver(self, units: int, grow: int) -> None:
        self.log.append((self.vat.id, units, grow))

    def release(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True


class World:
    """A kernel with fake workers and a store that survives it."""

    def __init__(self, folder: Path, **document: Any) -> None:
        self.folder = folder
        self.config: SimConfig = parse(
            {"cost": {"bootstrap_deliveries": 30}, "vats": {"bundle_bytes": 100}, **document}
        )
        self.work: list[tuple[str, int, int]] = []
        self.workers: list[FakeWorker] = []
        self.stop = False

    def kernel(self, slog: str) -> tuple[Kernel, Store, SlogWriter]:
        store = Store(self.folder / "log")
        writer = SlogWriter(str(self.folder / slog), FORMS[self.config.slog.dialect])
        return (
            Kernel(self.config, store, writer, self.folder / "run", lambda: self.stop, self._make),
            store,
            writer,
        )

    def _make(self, vat: Vat, _run_dir: Path) -> FakeWorker:
        self.workers.append(FakeWorker(vat, self.work))
        return self.workers[-1]

    def bootstrapped(self) -> list[tuple[str, int, int]]:
        """Start afresh, bootstrap, run one transaction; the deliveries."""
        kernel, store, writer = self.kernel("first.slog")
        kernel.start()
        ledger.genesis(store)
        kernel.bootstrap()
        kernel.core_proposals()
        assert kernel.run_tx(TX) == {"id": "t1", "code": 0, "data": {"purse": {}}}
        deliveries = kernel.take_deliveries()
        store.commit(Block(0, 1.0), deliveries)
        store.close()
        writer.close()
        kernel.close()
        return deliveries

    def restarted(self) -> None:
        kernel, store, writer = self.kernel("second.slog")
        kernel.start()
        store.close()
        writer.close()
        kernel.close()

    def events(self, slog: str) -> list[dict[str, Any]]:
        return [orjson.loads(text) for text in (self.folder / slog).read_bytes().splitlines()]


def scanned(path: Path) -> SlogScanner:
    scanner = SlogScanner()
    scanner.feed(path.read_bytes())
    scanner.finish()
    return scanner


def test_vats_have_the_ids_and_the_order_of_the_real_chain() -> None:
    static, dynamic = roster(SimConfig().vats)
    assert [vat.id for vat in static] == [
        f"v{number}" for number in (1, 2, 11, 13, 3, 4, 5, 6, 7, 8, 9, 15, 12, 14, 10)
    ]
    assert [vat.label for vat in dynamic[:2]] == ["v16:undefined", "v17:undefined"]
    assert static[0].label == "v1:bank"
    assert [vat.name for vat in static if not vat.has_worker] == ["comms", "vattp"]


def test_a_line_has_time_and_type_first() -> None:
    assert line("deliver", {"crankNum": 3}, 1.5) == b'{"time":1.5,"type":"deliver","crankNum":3}\n'


def test_a_line_of_today_has_its_times_last_and_seconds_behind_what_it_ends() -> None:
    fields = {"crankNum": 3}
    begin = modern_line("deliver", fields, 1.5, 2.25, None)
    assert begin == b'{"type":"deliver","crankNum":3,"time":1.5,"monotime":2.25}\n'
    end = modern_line("deliver-result", {}, 1.75, 2.5, 0.25)
    assert end == b'{"type":"deliver-result","time":1.75,"monotime":2.5,"seconds":0.25}\n'


def test_the_scanner_finds_vats_and_deliveries(tmp_path: Path) -> None:
    world = World(tmp_path)
    deliveries = world.bootstrapped()
    vats = scanned(tmp_path / "first.slog").vats
    assert vats["v1"].name == "bank"
    assert vats["v16"].name is None
    assert vats["v16"].dynamic
    assert vats["v13"].manager_type == "local"
    assert all(vat.started_at is not None for vat in vats.values())
    assert sum(vat.deliveries for vat in vats.values()) == len(deliveries) == 38
    assert sum(vat.computrons for vat in vats.values()) == sum(item[1] for item in deliveries)


@pytest.mark.parametrize("dialect", list(FORMS))
def test_a_restart_replays_every_delivery_and_counts_none_twice(
    tmp_path: Path, dialect: str
) -> None:
    world = World(tmp_path, slog={"dialect": dialect})
    deliveries = world.bootstrapped()
    world.work.clear()
    world.restarted()
    scanner = scanned(tmp_path / "second.slog")
    assert not scanner.anomalies
    assert sum(vat.deliveries for vat in scanner.vats.values()) == 0
    kinds = [event["type"] for event in world.events("second.slog")]
    assert kinds.count("start-replay") == kinds.count("finish-replay") == 20
    finished = "finish-replay-delivery" if dialect == "2021" else "deliver-result"
    assert kinds.count(finished) == len(deliveries)
    # Half the work of the first time, in every vat's own order; the memory is all there again.
    for vat in ("v1", "v10", "v16"):
        replayed = [(units, grow) for name, units, grow in world.work if name == vat]
        first = [(int(cost * 0.5 / 100), grow) for name, cost, grow in deliveries if name == vat]
        assert replayed == first


def test_a_crank_tells_what_the_real_one_tells(tmp_path: Path) -> None:
    world = World(tmp_path, slog={"dialect": "2021"})
    world.bootstrapped()
    crank = [event for event in world.events("first.slog") if event.get("crankNum") == 2]
    assert [event["type"] for event in crank] == [
        "clist",
        "deliver",
        *["syscall", "syscall-result"] * 2,
        "deliver-result",
    ]
    assert list(crank[-1]) == ["time", "type", "crankNum", "vatID", "deliveryNum", "dr"]
    tag, problem, usage = crank[-1]["dr"]
    assert (tag, problem) == ("ok", None)
    assert usage["compute"] > 0


def test_of_more_vats_than_may_be_online_the_least_recently_used_is_evicted(tmp_path: Path) -> None:
    world = World(tmp_path, vats={"online": 3, "bundle_bytes": 100})
    deliveries = world.bootstrapped()
    events = world.events("first.slog")
    vats = [event["vatID"] for event in events if event["type"] == "create-vat"]
    assert sorted(set(vats)) == sorted(vats)
    assert len(vats) == 20
    began = [event["vatID"] for event in events if event["type"] == "start-replay"]
    assert len(began) > 20
    assert sum(not worker.closed for worker in world.workers) == 0
    # A vat that comes back is replayed before its next delivery; each delivery counts once.
    scanner = scanned(tmp_path / "first.slog")
    assert not scanner.anomalies
    assert sum(vat.deliveries for vat in scanner.vats.values()) == len(deliveries) == 38
    assert sum(vat.replayed_deliveries for vat in scanner.vats.values()) > 0
    world.restarted()
    kinds = [event["type"] for event in world.events("second.slog")]
    assert kinds.count("create-vat") == 5


def test_a_restart_replays_since_the_last_heap_snapshot(tmp_path: Path) -> None:
    world = World(tmp_path, vats={"snapshot_interval": 2, "bundle_bytes": 100})
    deliveries = world.bootstrapped()
    saved = [item for item in world.events("first.slog") if item["type"] == "heap-snapshot-save"]
    assert all(item["endPosition"] % 2 == 0 for item in saved)
    assert {item["uncompressedSizeDelta"] for item in saved if item["vatID"] == "v1"} == {None}
    world.work.clear()
    world.restarted()
    events = world.events("second.slog")
    by_vat = Counter(vat for vat, _, _ in deliveries)
    replayed = Counter(event["vatID"] for event in events if event["type"] == "deliver")
    local = {"v13", "v14"}
    assert replayed == Counter({vat: n if vat in local else n % 2 for vat, n in by_vat.items()})
    # The memory is all there again.
    for vat in by_vat.keys() - local:
        assert sum(grow for name, _, grow in world.work if name == vat) == 4096 * by_vat[vat]


def test_the_same_seed_gives_the_same_costs(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("a", "s"), ("b", "s"), ("c", "other")):
        (tmp_path / name).mkdir()
        runs.append(World(tmp_path / name, seed=seed).bootstrapped())
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_costs_stay_within_the_spread(tmp_path: Path) -> None:
    world = World(tmp_path, cost={"computrons": 1000, "spread": 0.2, "bootstrap_deliveries": 90})
    costs = [cost for vat, cost, _ in world.bootstrapped() if vat not in ("v13", "v14")]
    assert min(costs) >= 800
    assert max(costs) <= 1200
    assert len(set(costs)) > 20


def test_a_stop_interrupts_a_start_and_leaves_no_worker(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.stop = True
    kernel, _, writer = world.kernel("first.slog")
    with pytest.raises(StoppedError):
        kernel.start()
    kernel.close()
    writer.close()
    assert world.workers
    assert all(worker.closed for worker in world.workers)


def test_without_a_path_the_slog_is_swallowed(tmp_path: Path) -> None:
    writer = SlogWriter(None)
    writer.write("deliver")
    writer.flush()
    writer.close()
    assert list(tmp_path.iterdir()) == []
