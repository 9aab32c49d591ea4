"""The simulated chain's ledger and the three tasks on it: what moves, is refused, is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images.sim.simsdk import ledger, tasks
from images.sim.simsdk.ledger import CLIENT_FUNDS, GENESIS_ACCOUNT, LedgerError
from images.sim.simsdk.store import Store

CLIENT = "agoric1client"


def funded() -> Store:
    """A state with a provisioned client, nowhere on disk."""
    store = Store(Path("/nonexistent/log"))
    ledger.genesis(store)
    do(store, "bank", "send", sender=GENESIS_ACCOUNT, to=CLIENT, amount=CLIENT_FUNDS)
    do(store, "egress", "provision", sender=GENESIS_ACCOUNT, address=CLIENT)
    return store


def do(store: Store, contract: str, method: str, *, sender: str = CLIENT, **args: Any) -> Any:
    return ledger.apply(store, sender, {"contract": contract, "method": method, "args": args})


class Client:
    """Sends a cycle's messages straight to the ledger; may lie about one answer."""

    def __init__(self, store: Store, lie: tuple[str, str, Mapping[str, Any]] | None = None) -> None:
        self.store = store
        self.lie = lie
        self.sent: list[str] = []

    def __call__(self, contract: str, method: str, args: Mapping[str, Any]) -> Any:
        self.sent.append(f"{contract}.{method}")
        answer = do(self.store, contract, method, **args)
        if self.lie and self.lie[:2] == (contract, method):
            answer = {**answer, **self.lie[2]}
        return answer


def total(store: Store, denom: str) -> int:
    """All there is of a denomination, wherever it lies."""
    purses = sum(store.get(key).get(denom, 0) for key in store.keys("bank/"))
    locked = sum(store.get(key)["collateral"] for key in store.keys("vault/"))
    payments = (store.get(key) for key in store.keys("payment/"))
    paid = sum(payment["amount"] for payment in payments if payment["denom"] == denom)
    pool = store.get("amm/pool").get(denom, 0)
    return int(purses + paid + pool + (locked if denom == "ubld" else 0))


def debt(store: Store) -> int:
    return sum(int(store.get(key)["loan"]) for key in store.keys("vault/"))


def test_a_client_without_an_egress_is_refused() -> None:
    store = Store(Path("/nonexistent/log"))
    ledger.genesis(store)
    with pytest.raises(LedgerError, match="not provisioned"):
        do(store, "faucet", "offer")


def test_a_cycle_makes_the_round_trips_of_the_real_agent() -> None:
    client = Client(funded())
    swap = ["bank.balances", "amm.offer", "bank.deposit"]
    for task, trips in {
        "faucet": ["faucet.offer", "bank.deposit", "bank.balances"],
        "amm": [*swap, *swap],
        "vault": [
            *("bank.balances", "vault.collaterals", "vault.offer", "bank.deposit"),
            *("vault.debt", "vault.close", "bank.deposit"),
        ],
    }.items():
        client.sent.clear()
        tasks.CYCLES[task](client)
        assert client.sent == trips


def test_a_faucet_cycle_yields_1000_tokens_and_leaves_no_payment() -> None:
    client = Client(funded())
    assert tasks.faucet(client) == {"tokens": 1000, "balance": 1000}
    assert tasks.faucet(client) == {"tokens": 1000, "balance": 2000}
    assert list(client.store.keys("payment/")) == []


def test_a_payment_cannot_be_deposited_twice_nor_by_another() -> None:
    store = funded()
    do(store, "egress", "provision", sender=GENESIS_ACCOUNT, address="agoric1thief")
    payment = do(store, "faucet", "offer")
    with pytest.raises(LedgerError, match="has another owner"):
        do(store, "bank", "deposit", sender="agoric1thief", **payment)
    do(store, "bank", "deposit", **payment)
    with pytest.raises(LedgerError, match="does not exist"):
        do(store, "bank", "deposit", **payment)


def test_a_vault_is_closed_by_its_owner_for_its_whole_debt() -> None:
    store = funded()
    do(store, "egress", "provision", sender=GENESIS_ACCOUNT, address="agoric1thief")
    vault = do(store, "vault", "offer", collateral=1000, loan=100)["vault"]
    for refused in (
        {"method": "debt", "sender": "agoric1thief"},
        {"method": "close", "sender": "agoric1thief", "amount": 100},
        {"method": "close", "amount": 99},
    ):
        with pytest.raises(LedgerError):
            do(store, "vault", vault=vault, **refused)
    do(store, "vault", "close", vault=vault, amount=100)


def test_amm_and_vault_cycles_keep_every_sum() -> None:
    client = Client(funded())
    scratch: dict[str, Any] = {}
    keep = tasks.Scratch(scratch.get, scratch.__setitem__)
    sums = total(client.store, "ubld"), total(client.store, "urun")
    run_before = ledger.purse(client.store, CLIENT)["urun"]
    for name in tasks.CYCLES:
        tasks.PREPARATIONS[name](client, keep)
    run_after = ledger.purse(client.store, CLIENT)["urun"]
    assert run_before - run_after == run_before * 33 // 100
    for _ in range(20):
        tasks.amm(client)
        tasks.vault(client)
    assert (total(client.store, "ubld"), total(client.store, "urun")) == sums
    assert debt(client.store) == 0


def test_preparation_happens_once() -> None:
    client = Client(funded())
    scratch: dict[str, Any] = {}
    keep = tasks.Scratch(scratch.get, scratch.__setitem__)
    tasks.prepare_amm(client, keep)
    purse = ledger.purse(client.store, CLIENT)
    tasks.prepare_amm(client, keep)
    assert ledger.purse(client.store, CLIENT) == purse


def test_vaults_that_a_crash_left_open_are_closed_by_the_preparation() -> None:
    client = Client(funded())
    scratch: dict[str, Any] = {}
    do(client.store, "vault", "offer", collateral=1000, loan=100)
    tasks.prepare_vault(client, tasks.Scratch(scratch.get, scratch.__setitem__))
    assert list(client.store.keys("vault/")) == []


def test_a_vault_needs_collateral() -> None:
    with pytest.raises(LedgerError, match="does not carry a loan"):
        do(funded(), "vault", "offer", collateral=100, loan=100)


@pytest.mark.parametrize(
    ("task", "lie"),
    [
        ("faucet", ("bank", "deposit", {"after": {}})),
        ("faucet", ("bank", "balances", {"purse": {"token": 999}})),
        ("amm", ("amm", "offer", {"pool": {"urun": 10, "ubld": 10}})),
        ("amm", ("amm", "offer", {"after": {}})),
        ("amm", ("bank", "deposit", {"after": {}})),
        ("vault", ("vault", "offer", {"after": {}})),
        ("vault", ("bank", "deposit", {"after": {}})),
        ("vault", ("vault", "close", {"after": {}})),
    ],
)
def test_a_cycle_fails_loudly_when_the_balances_are_wrong(
    task: str, lie: tuple[str, str, Mapping[str, Any]]
) -> None:
    with pytest.raises(tasks.CycleError, match=task):
        tasks.CYCLES[task](Client(funded(), lie))


@pytest.mark.parametrize(
    ("contract", "method", "args"),
    [
        ("bank", "send", {"to": "x", "amount": {"ubld": 10**18}}),
        ("bank", "send", {"to": "x", "amount": {"ubld": -1}}),
        ("bank", "send", {"to": "x"}),
        ("bank", "steal", {}),
        ("amm", "offer", {"give": "urun", "amount": True}),
        ("amm", "offer", {"give": "doubloon", "amount": 5}),
        ("amm", "offer", {"give": "urun", "amount": 1}),
        ("vault", "close", {"vault": "vault99", "amount": 1}),
        ("vault", "debt", {"vault": "vault99"}),
        ("bank", "deposit", {"payment": "payment99"}),
    ],
)
def test_a_refused_transaction_changes_nothing(
    contract: str, method: str, args: dict[str, Any]
) -> None:
    store = funded()
    before = {key: store.get(key) for key in store.keys("")}
    with pytest.raises(LedgerError):
        do(store, contract, method, **args)
    assert {key: store.get(key) for key in store.keys("")} == before


@given(st.lists(st.tuples(st.sampled_from(["urun", "ubld"]), st.integers(1, 10**7)), max_size=30))
def test_trading_never_makes_money(trades: list[tuple[str, int]]) -> None:
    store = funded()
    pool = store.get("amm/pool")
    product, sums = pool["urun"] * pool["ubld"], (total(store, "ubld"), total(store, "urun"))
    for give, amount in trades:
        try:
            do(store, "amm", "offer", give=give, amount=amount)
        except LedgerError:
            continue
        pool = store.get("amm/pool")
        assert pool["urun"] * pool["ubld"] >= product
        product = pool["urun"] * pool["ubld"]
    assert (total(store, "ubld"), total(store, "urun")) == sums
