"""Simulated smart wallets: offers in blocks, a block's limit, and cycles by real processes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from images.sim.simsdk import genesis, ledger
from images.sim.simsdk.actions import Actions, cell_key, is_offer
from images.sim.simsdk.config import SimConfig, parse
from images.sim.simsdk.kernel import Kernel
from images.sim.simsdk.ledger import CLIENT_FUNDS, GENESIS_ACCOUNT, SMART_WALLET, LedgerError
from images.sim.simsdk.slog import SlogWriter
from images.sim.simsdk.store import Block, Store
from images.sim.simsdk.tasks import CycleError
from images.sim.simsdk.telling import QUEUE, BlockSlog
from images.sim.simsdk.wallet_load import CYCLES, MEASURES, addresses, expect
from tests.unit.test_sim_kernel import FakeWorker
from tests.unit.test_sim_processes import World

WALLETS = ("agoric1first", "agoric1second", "agoric1third")


class Chain:
    """A kernel with fake workers, the queue, and funded wallets; blocks are made by hand."""

    def __init__(self, folder: Path, compute_limit: int | None = None) -> None:
        config: SimConfig = parse({"cost": {"spread": 0.0}, "vats": {"bundle_bytes": 100}})
        self.folder = folder
        self.slog = folder / "slog"
        self.store = Store(folder / "log")
        self.writer = SlogWriter(str(self.slog))
        self.kernel = Kernel(
            config,
            self.store,
            self.writer,
            folder / "run",
            lambda: False,
            lambda vat, _: FakeWorker(vat, []),
        )
        self.told = BlockSlog(self.writer, self.kernel, self.store, compute_limit)
        self.actions = Actions(self.kernel, self.store, self.told, compute_limit)
        self.height = 0
        self.kernel.start()
        ledger.genesis(self.store)
        for address in WALLETS:
            funds = {"to": address, "amount": CLIENT_FUNDS}
            self.apply("bank", "send", GENESIS_ACCOUNT, funds)
            powers = {"address": address, "powers": SMART_WALLET}
            self.apply("egress", "provision", GENESIS_ACCOUNT, powers)
        self.kernel.take_deliveries()

    def apply(self, contract: str, method: str, sender: str, args: Any) -> Any:
        message = {"contract": contract, "method": method, "args": args}
        return ledger.apply(self.store, sender, message)

    def block(self, *txs: dict[str, Any]) -> list[dict[str, Any]]:
        """The next block with these transactions; their results."""
        self.height += 1
        self.told.begin(self.height, self.height)
        self.told.end_start()
        self.actions.run(self.height)
        results = [self.actions.include(tx) for tx in txs]
        self.store.commit(Block(self.height, 1.0), self.kernel.take_deliveries())
        return results

    def close(self) -> None:
        self.writer.close()
        self.store.close()

    def cell(self, address: str) -> dict[str, Any]:
        found: dict[str, Any] = self.store.get(cell_key(address)) or {"values": []}
        return {**found, "values": [json.loads(value)["status"] for value in found["values"]]}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Chain]]:
    """Makes chains; takes a `compute_limit`."""
    made: list[Chain] = []

    def chain(compute_limit: int | None = None) -> Chain:
        made.append(Chain(tmp_path / str(len(made)), compute_limit))
        return made[-1]

    yield chain
    for each in made:
        each.close()


def tx(address: str, identity: str, contract: str = "faucet", **args: Any) -> dict[str, Any]:
    offer = {"id": identity, "contract": contract, "method": "offer", "args": args}
    message = {"contract": "wallet", "method": "offer", "args": offer}
    return {"id": f"{address}/{identity}", "sender": address, "message": message}


def test_an_offer_is_in_a_block_at_once_and_settled_in_the_next(make: Callable[..., Chain]) -> None:
    chain = make()
    (result,) = chain.block(tx(WALLETS[0], "one"))
    assert result["code"] == 0
    assert int(result["gas_used"]) > 80_000
    assert chain.cell(WALLETS[0])["values"] == []
    chain.block()
    cell = chain.cell(WALLETS[0])
    assert cell["blockHeight"] == "2"
    (status,) = cell["values"]
    assert (status["id"], status["numWantsSatisfied"]) == ("one", 1)
    assert status["moved"] == {"token": 1000}
    chain.block()
    assert chain.cell(WALLETS[0])["blockHeight"] == "2", "a cell stays until the next value"


def test_a_small_limit_makes_offers_wait_in_their_order(make: Callable[..., Chain]) -> None:
    chain = make(compute_limit=1)
    for address in WALLETS:
        chain.block(tx(address, "early"))
    chain.block(*(tx(address, "late") for address in WALLETS))
    settled: dict[tuple[str, str], str] = {}
    for _ in range(10):
        chain.block()
        for address in WALLETS:
            for status in chain.cell(address)["values"]:
                settled.setdefault((status["id"], address), chain.cell(address)["blockHeight"])
    heights = [int(settled["late", address]) for address in WALLETS]
    assert heights == [5, 6, 7], "one offer a block"
    assert chain.store.get(QUEUE) is None


def test_without_a_limit_a_block_runs_all_that_wait(make: Callable[..., Chain]) -> None:
    chain = make()
    chain.block(*(tx(address, "one") for address in WALLETS))
    chain.block()
    assert {chain.cell(address)["blockHeight"] for address in WALLETS} == {"2"}


def test_a_block_lets_finish_what_crosses_its_limit(make: Callable[..., Chain]) -> None:
    alone = make()
    alone.block(tx(WALLETS[0], "one"))
    alone.actions.run(2)
    cost = alone.kernel.computed()
    for limit, fit in ((1, 1), (cost, 1), (cost + 1, 2), (3 * cost, 3)):
        chain = make(compute_limit=limit)
        chain.block(*(tx(address, "one") for address in WALLETS))
        chain.actions.run(2)
        assert len(chain.store.get(QUEUE) or []) == len(WALLETS) - fit, limit


def test_what_waits_outlives_a_restart_of_the_chain(make: Callable[..., Chain]) -> None:
    chain = make(compute_limit=1)
    chain.block(*(tx(address, "one") for address in WALLETS))
    chain.store.close()
    waiting = Store(chain.folder / "log").get(QUEUE)
    assert [action["sender"] for action in waiting] == list(WALLETS)


def test_an_offer_that_fails_says_why_and_moves_nothing(make: Callable[..., Chain]) -> None:
    chain = make()
    before = ledger.purse(chain.store, WALLETS[0])
    chain.block(tx(WALLETS[0], "greedy", "amm", give="urun", amount=10**15))
    chain.block()
    (status,) = chain.cell(WALLETS[0])["values"]
    assert "has 40000000000 urun" in status["error"]
    assert ledger.purse(chain.store, WALLETS[0]) == before


def test_who_has_no_wallet_makes_no_offer(make: Callable[..., Chain]) -> None:
    chain = make()
    (result,) = chain.block(tx("agoric1nobody", "one"))
    assert (result["code"], result["log"]) == (1, "agoric1nobody has no smart wallet")
    assert chain.store.get(QUEUE) is None


def test_the_slog_tells_of_the_offer_where_it_runs(make: Callable[..., Chain]) -> None:
    chain = make()
    chain.block(tx(WALLETS[0], "one"))
    chain.writer.flush()
    kind = b"cosmic-swingset-bridge-inbound"
    assert kind not in chain.slog.read_bytes()
    chain.block()
    chain.writer.close()
    (line,) = [json.loads(line) for line in chain.slog.read_bytes().splitlines() if kind in line]
    assert line["source"] == "wallet"
    assert line["body"]["owner"] == WALLETS[0]


@pytest.mark.parametrize("task", CYCLES)
def test_cycles_leave_no_record_behind_and_check_every_change(
    make: Callable[..., Chain], task: str
) -> None:
    chain = make()
    address = WALLETS[0]

    def offer(contract: str, method: str, args: Any) -> Any:
        told = {"id": "x", "contract": contract, "method": method, "args": args}
        return chain.apply("wallet", "offer", address, told)

    def lying(contract: str, method: str, args: Any) -> Any:
        status = offer(contract, method, args)
        return {**status, "moved": {**status["moved"], "urun": 1}}

    for _ in range(3):
        CYCLES[task](offer, ledger.purse(chain.store, address))
        assert chain.store.get(f"wallet/{address}") == {"vaults": {}}
    with pytest.raises(CycleError, match="should have changed by"):
        CYCLES[task](lying, ledger.purse(chain.store, address))


def test_a_wallet_has_no_invitation_of_a_contract_that_makes_none(
    make: Callable[..., Chain],
) -> None:
    chain = make()
    args = {"id": "x", "contract": "bank", "method": "send", "args": {}}
    with pytest.raises(LedgerError, match="bank has no invitation send"):
        chain.apply("wallet", "offer", WALLETS[0], args)
    with pytest.raises(CycleError):
        expect("faucet", {"moved": {}}, {"token": 1})
    assert not is_offer({"message": {"contract": "wallet", "method": "deploy"}})


def test_the_genesis_holds_the_limit(tmp_path: Path) -> None:
    assert genesis.init(tmp_path / "limited", "seed", compute_limit=5)
    assert genesis.read(tmp_path / "limited")["compute_limit"] == 5
    assert genesis.init(tmp_path / "free", "seed")
    assert genesis.read(tmp_path / "free")["compute_limit"] is None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def test_cycles_of_all_tasks_by_wallets_also_after_a_restart(world: World) -> None:
    chain = world.chain("first.slog")
    assert world.run("sim-wallet", "provision").process.returncode == 0
    driver, service = world.driver("--client", "wallet")
    hello = service.hello()
    assert hello["tasks"] == ["faucet", "amm", "vault"]
    assert hello["unavailable"] == {}
    details = {}
    for number, task in enumerate(hello["tasks"]):
        assert service.ask(type="prepare", id=number, task=task)["success"]
        answer = service.ask(type="run", id=number, task=task, seq=1)
        assert answer["success"], answer
        details[task] = answer["detail"]
    assert [len(details[task]["gas"]) for task in hello["tasks"]] == [1, 2, 2]
    for detail in details.values():
        included, settled = detail["includedHeight"], detail["settledHeight"]
        assert all(after > before for before, after in zip(included, settled, strict=True))
        for sooner, later in zip(
            detail["inclusionSeconds"], detail["settlementSeconds"], strict=True
        ):
            assert 0 < sooner < later

    assert chain.end(signal.SIGINT) == 0
    # The driver lives on; a cycle begun while the chain is away ends when it is back.
    service.send(type="run", id=9, task="vault", seq=2)
    chain = world.chain("second.slog")
    answer = service.receive()
    assert (answer["id"], answer["success"]) == (9, True)
    service.send(type="stop")
    assert driver.end() == 0
    assert chain.end(signal.SIGTERM) == 0
    for slog in ("first.slog", "second.slog"):
        assert not world.scanned(slog).anomalies


def test_more_cycles_than_wallets_take_turns(world: World) -> None:
    world.config.write_text(world.config.read_text() + "\n[wallet]\npool = 2\n")
    world.chain()
    assert world.run("sim-wallet", "provision").process.returncode == 0
    _, service = world.driver("--client", "wallet")
    service.hello()
    assert service.ask(type="prepare", id=0, task="faucet")["success"]
    for number in range(1, 6):
        service.send(type="run", id=number, task="faucet", seq=number)
    answers = [service.receive() for _ in range(5)]
    assert all(answer["success"] for answer in answers)
    assert {answer["id"] for answer in answers} == set(range(1, 6))
    assert len({answer["detail"]["wallet"] for answer in answers}) == 2


def test_provisioning_makes_each_wallet_once(world: World) -> None:
    world.chain()
    first = world.run("sim-wallet", "provision")
    assert "8 of 8 wallets are new" in first.seen[-1]
    assert "0 of 8 wallets are new" in world.run("sim-wallet", "provision").seen[-1]
    address = addresses(parse({}))[0]
    account = world.rpc(f"/account?address={address}")
    assert (account["purse"], account["wallet"]) == (CLIENT_FUNDS, {"vaults": {}})


def test_a_failed_cycle_tells_what_was_measured_until_then(world: World) -> None:
    world.fault('kind = "cycle-fails"')
    world.chain()
    world.run("sim-wallet", "provision")
    _, service = world.driver("--client", "wallet")
    service.hello()
    assert service.ask(type="prepare", id=0, task="faucet")["success"]
    answer = service.ask(type="run", id=1, task="faucet", seq=1)
    assert answer["success"] is False
    assert "simulated failure" in answer["error"]
    assert set(MEASURES) <= set(answer["detail"])


def test_a_task_can_be_missing(world: World) -> None:
    world.fault('kind = "task-unavailable"\ntask = "amm"')
    world.chain()
    world.run("sim-wallet", "provision")
    _, service = world.driver("--client", "wallet")
    hello = service.hello()
    assert hello["tasks"] == ["faucet", "vault"]
    assert hello["unavailable"] == {"amm": "simulated lack of amm"}
