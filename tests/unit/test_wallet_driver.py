"""The driver of load by smart wallets, against a chain on loopback that makes a block whenever
it is asked for the height.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from images.loadgen.agoric.wallet.walletload import capdata, tasks
from images.loadgen.agoric.wallet.walletload.blocks import Blocks
from images.loadgen.agoric.wallet.walletload.errors import LoadError
from images.loadgen.agoric.wallet.walletload.pool import AHEAD, Pool
from images.loadgen.agoric.wallet.walletload.rpc import Rpc
from images.loadgen.agoric.wallet.walletload.service import Service, detail
from images.loadgen.agoric.wallet.walletload.wallet import OFFER_TIMEOUT, Tools, Wallet
from tests.fake_clock import FakeClock
from tests.load_support import DEADLINE
from tests.wallet_chain import FakeChain, FakeSigner, serving


class World:
    """A chain, its RPC, a clock, and what the driver makes of them."""

    def __init__(self, port: int, chain: FakeChain) -> None:
        self.chain = chain
        self.clock = FakeClock()
        self.signer = FakeSigner()
        rpc = Rpc("127.0.0.1", port)

        def pause() -> None:
            self.clock.advance(0.5)

        blocks = Blocks(rpc, self.clock.monotonic, pause)
        self.tools = Tools(rpc, blocks, self.signer, self.clock.monotonic, pause)

    def pool(self, task: str, wallets: int = 2, run: str = "s1-100") -> Pool:
        """A task's pool, as a start of the driver makes it."""
        addresses = [*self.chain.accounts][:wallets] or self.chain.fund(wallets)
        brands = tasks.find(self.tools.chain)
        made = [Wallet(self.tools, f"key{n}", address) for n, address in enumerate(addresses)]
        return Pool(tasks.TASKS[task](brands, run), made)


@contextmanager
def world() -> Iterator[World]:
    chain = FakeChain()
    with serving(chain) as port:
        yield World(port, chain)


@pytest.mark.parametrize(("task", "offers"), [("faucet", 1), ("amm", 2), ("vault", 2)])
def test_a_cycle_succeeds_and_says_what_became_of_each_offer(task: str, offers: int) -> None:
    with world() as here:
        pool = here.pool(task)
        pool.prepare(1)
        timings = pool.cycle()
        assert len(timings) == offers
        for timing in timings:
            # The fake chain runs an offer in the block after the one that has its transaction.
            assert timing.settled == timing.included + 1
            assert 0 < timing.inclusion <= timing.settlement
            assert timing.gas == 90000


def test_cycles_do_not_use_up_what_a_wallet_has() -> None:
    with world() as here:
        pool = here.pool("amm", wallets=1)
        pool.prepare(1)
        (wallet,) = here.chain.wallets.values()
        before = dict(wallet.purses)
        for _ in range(20):
            pool.cycle()
        lost = {brand: before[brand] - wallet.purses[brand] for brand in before}
        assert all(0 <= amount <= 20 * 3 for amount in lost.values()), lost


def test_a_vault_is_opened_once_and_kept_over_restarts_of_the_driver() -> None:
    with world() as here:
        first = here.pool("vault", wallets=1)
        first.prepare(1)
        first.cycle()
        second = here.pool("vault", wallets=1, run="s2-200")
        second.prepare(1)
        second.cycle()
        opened = [offer for offer in here.chain.offers if offer.startswith("open-")]
        assert opened == ["open-s1-100"]
        (wallet,) = here.chain.wallets.values()
        assert wallet.vaults == {"open-s1-100": tasks.LOAN}


def test_what_is_prepared_already_is_not_asked_of_the_chain_again() -> None:
    with world() as here:
        here.pool("amm").prepare(2)
        made, sequences = list(here.chain.offers), dict(here.chain.accounts)
        here.pool("amm", run="s2-200").prepare(2)
        assert here.chain.offers == made
        assert here.chain.accounts == sequences


def test_no_offer_has_an_id_that_was_used_before() -> None:
    with world() as here:
        for run in ("s1-100", "s2-200"):
            pool = here.pool("vault", run=run)
            pool.prepare(2)
            for _ in range(AHEAD + 2):
                pool.cycle()
        # Ids are unique in a wallet; these cycles took both wallets in turn.
        for key in ("key0", "key1"):
            assert sum(count for who, _, count in here.signer.batches if who == key) > 2 * AHEAD
        by_wallet = len(here.chain.offers) / len(set(here.chain.offers))
        assert by_wallet <= 2


def test_the_tool_is_started_once_for_many_cycles() -> None:
    with world() as here:
        pool = here.pool("faucet", wallets=1)
        pool.prepare(1)
        here.signer.batches.clear()
        for _ in range(AHEAD):
            pool.cycle()
        assert here.signer.batches == [("key0", 1, AHEAD)]


def test_the_pool_has_as_many_wallets_ready_as_cycles_may_be_in_flight() -> None:
    with world() as here:
        pool = here.pool("faucet", wallets=5)
        pool.prepare(3)
        assert len(here.chain.wallets) == 3
        pool.prepare(3)
        assert len(here.chain.wallets) == 3
        pool.prepare(99)
        assert len(here.chain.wallets) == 5


def test_cycles_beyond_the_prepared_wallets_make_one_more_and_then_wait() -> None:
    with world() as here:
        pool = here.pool("faucet", wallets=2)
        pool.prepare(1)
        here.chain.stopped = True
        threads = [threading.Thread(target=pool.cycle, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        here.chain.stopped = False
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert len(here.chain.wallets) == 2
        assert len(here.chain.offers) == 4


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"error": "Error: no such thing"}, "no such thing"),
        ({"minted": 999}, "instead of"),
        ({"fail_code": 11}, "failed in block"),
        ({"stopped": True}, "no block"),
        ({"silent": True}, "has not come to its end yet, at block"),
    ],
)
def test_a_cycle_fails_with_the_reason(trouble: dict[str, Any], reason: str) -> None:
    with world() as here:
        pool = here.pool("faucet", wallets=1)
        pool.prepare(1)
        for name, value in trouble.items():
            setattr(here.chain, name, value)
        began = here.clock.monotonic()
        with pytest.raises(LoadError, match=reason):
            pool.cycle()
        assert here.clock.monotonic() - began <= OFFER_TIMEOUT + 10


def test_a_wallet_that_is_not_made_is_named() -> None:
    with world() as here:
        here.chain.silent = True
        pool = here.pool("faucet", wallets=1)
        with pytest.raises(LoadError, match="there is no wallet of agoric1"):
            pool.prepare(1)


def test_a_wallet_works_again_after_a_failure() -> None:
    with world() as here:
        pool = here.pool("vault", wallets=1)
        pool.prepare(1)
        here.chain.error = "Error: once"
        with pytest.raises(LoadError):
            pool.cycle()
        here.chain.error = None
        pool.cycle()


def test_a_transaction_that_is_still_on_its_way_does_not_fail_the_next_cycle() -> None:
    with world() as here:
        pool = here.pool("faucet", wallets=1)
        pool.prepare(1)
        # The chain's state still has the old number when the wallet asks for it.
        (account,) = here.chain.accounts.values()
        pool.cycle()
        account[1] += 1
        pool.cycle()
        assert len(here.chain.offers) == 2


def test_a_node_that_hangs_up_is_asked_again() -> None:
    with world() as here:
        pool = here.pool("amm", wallets=1)
        pool.prepare(1)
        here.chain.hang_ups = 7
        assert len(pool.cycle()) == 2


@pytest.mark.parametrize("missing", ["instance", "brand"])
def test_a_chain_without_the_contract_is_named(missing: str) -> None:
    with world() as here:
        here.chain.cells[f"published.agoricNames.{missing}"].clear()
        with pytest.raises(LoadError, match="reset the state folder"):
            here.pool("faucet")


def test_names_published_as_an_object_are_read_too() -> None:
    with world() as here:
        for kind in ("instance", "brand"):
            entries = capdata.decode(here.chain.cells[f"published.agoricNames.{kind}"][10][-1])
            here.chain.publish(f"published.agoricNames.{kind}", dict(entries))
        here.pool("faucet").prepare(1)


def test_the_service_is_answered_and_stopped() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE)
    with world() as here, ours, theirs:
        code: list[int] = []
        pools = {"faucet": here.pool("faucet")}
        serve = threading.Thread(target=lambda: code.append(Service(pools, theirs).run()))
        serve.start()
        lines = ours.makefile("rwb")

        def say(**message: Any) -> None:
            lines.write(json_line(message))
            lines.flush()

        def hear() -> dict[str, Any]:
            message = json.loads(lines.readline())
            assert isinstance(message, dict)
            return message

        assert hear()["tasks"] == ["faucet"]
        say(type="prepare", id=1, task="faucet", limit=2)
        assert hear() == {"type": "prepared", "id": 1, "success": True}
        assert len(here.chain.wallets) == 2
        say(type="run", id=2, task="faucet", seq=0)
        result = hear()
        assert result["success"] is True
        assert [len(values) for values in result["detail"].values()] == [1] * 5
        say(type="run", id=3, task="psm", seq=0)
        assert hear()["error"] == "there is no task 'psm'"
        say(type="of the future", id=4)
        say(type="stop")
        serve.join(DEADLINE)
        assert code == [0]


def test_the_end_of_the_connection_ends_the_driver() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        assert Service({}, theirs).run() == 1


def test_numbers_of_a_cycle_are_rounded_to_milliseconds() -> None:
    with world() as here:
        pool = here.pool("faucet")
        pool.prepare(1)
        numbers = detail(pool.cycle())
        for name in ("inclusionSeconds", "settlementSeconds"):
            assert numbers[name] == [round(value, 3) for value in numbers[name]]


def json_line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
