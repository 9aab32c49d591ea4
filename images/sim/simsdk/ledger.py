"""What transactions do to the state: a bank, an egress list, three contracts.

Pure over the `Store`. All amounts are whole numbers of the smallest unit (ubld, urun, token). BLD
is never made or destroyed here; RUN only by a vault's loan and its repayment, tokens only by the
faucet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .store import Store

Json = Any

FAUCET_TOKENS = 1000
CLIENT_FUNDS = {"ubld": 75_000_000, "urun": 40_000_000_000}
GENESIS_ACCOUNT = "agoric1simulated0bootstrap"
GENESIS_FUNDS = {"ubld": 10**15, "urun": 10**15}
POOL = {"ubld": 10**12, "urun": 10**12}
FEE_PER_10000 = 30
MAX_LOAN_PERCENT = 66
"""Of the collateral's value."""


class LedgerError(Exception):
    """The transaction is refused; the state stays as it was."""


def genesis(store: Store) -> None:
    """Fill an empty state."""
    store.set(f"bank/{GENESIS_ACCOUNT}", dict(GENESIS_FUNDS))
    store.set("amm/pool", dict(POOL))
    store.set("ids", 0)


def purse(store: Store, address: str) -> dict[str, int]:
    """The balances of an address."""
    return dict(store.get(f"bank/{address}", {}))


def apply(store: Store, sender: str, message: Mapping[str, Json]) -> Json:
    """Do what the message says, or raise `LedgerError` and change nothing."""
    contract, method = message.get("contract"), message.get("method")
    args = message.get("args") or {}
    handler = _HANDLERS.get((str(contract), str(method)))
    if handler is None:
        raise LedgerError(f"there is no {contract}.{method}")
    if contract not in ("bank", "egress") and store.get(f"egress/{sender}") is None:
        raise LedgerError(f"{sender} is not provisioned")
    store.begin()
    try:
        result = handler(store, sender, args)
    except LedgerError:
        store.rollback()
        raise
    except (KeyError, TypeError, ValueError) as error:
        store.rollback()
        raise LedgerError(f"bad arguments for {contract}.{method}: {error!r}") from error
    store.keep()
    return result


def _move(store: Store, address: str, denom: str, amount: int) -> None:
    balances = purse(store, address)
    after = balances.get(denom, 0) + amount
    if after < 0:
        raise LedgerError(f"{address} has {balances.get(denom, 0)} {denom}, not {-amount}")
    balances[denom] = after
    store.set(f"bank/{address}", balances)


def _next_id(store: Store, kind: str) -> str:
    number = store.get("ids", 0) + 1
    store.set("ids", number)
    return f"{kind}{number}"


def _amount(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise LedgerError(f"not an amount: {value!r}")
    return value


def _take(store: Store, key: str, owner: str) -> Json:
    item = store.get(key)
    if item is None or item["owner"] != owner:
        raise LedgerError(f"{key} does not exist or belongs to somebody else")
    store.set(key, None)
    return item


def _bank_send(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    for denom, amount in args["amount"].items():
        _move(store, sender, denom, -_amount(amount))
        _move(store, args["to"], denom, amount)
    return {"purse": purse(store, args["to"])}


def _bank_balances(store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    return {"purse": purse(store, sender)}


def _egress_provision(store: Store, _sender: str, args: Mapping[str, Json]) -> Json:
    store.set(f"egress/{args['address']}", {"nickname": str(args.get("nickname", ""))})
    return {"address": args["address"]}


def _wallet_deploy(_store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    return {"wallet": sender}


def _faucet_invite(store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    handle = _next_id(store, "invitation")
    store.set(f"faucet/{handle}", {"owner": sender})
    return {"invitation": handle}


def _faucet_offer(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    _take(store, f"faucet/{args['invitation']}", sender)
    seat = _next_id(store, "seat")
    store.set(f"faucet/{seat}", {"owner": sender})
    return {"seat": seat}


def _faucet_payout(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    _take(store, f"faucet/{args['seat']}", sender)
    payment = _next_id(store, "payment")
    store.set(f"faucet/{payment}", {"owner": sender, "amount": FAUCET_TOKENS})
    return {"payment": payment, "amount": FAUCET_TOKENS}


def _faucet_deposit(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    amount = _take(store, f"faucet/{args['payment']}", sender)["amount"]
    before = purse(store, sender)
    _move(store, sender, "token", amount)
    return {"before": before, "after": purse(store, sender)}


def swap_out(pool_in: int, pool_out: int, given: int) -> int:
    """What a constant product pool pays for `given`, after its fee."""
    effective = given * (10_000 - FEE_PER_10000)
    return pool_out * effective // (pool_in * 10_000 + effective)


def _amm_swap(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    give, given = args["give"], _amount(args["amount"])
    want = {"urun": "ubld", "ubld": "urun"}[give]
    pool = dict(store.get("amm/pool"))
    before = purse(store, sender)
    got = swap_out(pool[give], pool[want], given)
    if got <= 0:
        raise LedgerError("the amount is too small to be traded")
    _move(store, sender, give, -given)
    _move(store, sender, want, got)
    store.set("amm/pool", {give: pool[give] + given, want: pool[want] - got})
    return {"pool": pool, "got": got, "before": before, "after": purse(store, sender)}


def _vault_quote(store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    opened = [
        key[len("vault/") :] for key in store.keys("vault/") if store.get(key)["owner"] == sender
    ]
    return {"pool": dict(store.get("amm/pool")), "purse": purse(store, sender), "open": opened}


def _vault_open(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    collateral, loan = _amount(args["collateral"]), _amount(args["loan"])
    pool = store.get("amm/pool")
    value = collateral * pool["urun"] // pool["ubld"]
    if loan * 100 > value * MAX_LOAN_PERCENT:
        raise LedgerError(f"a collateral worth {value} urun does not carry a loan of {loan}")
    before = purse(store, sender)
    _move(store, sender, "ubld", -collateral)
    _move(store, sender, "urun", loan)
    handle = _next_id(store, "vault")
    store.set(f"vault/{handle}", {"owner": sender, "collateral": collateral, "loan": loan})
    return {"vault": handle, "before": before, "after": purse(store, sender)}


def _vault_repay(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    key = f"vault/{args['vault']}"
    vault = _take(store, key, sender)
    before = purse(store, sender)
    _move(store, sender, "urun", -vault["loan"])
    store.set(key, {**vault, "loan": 0})
    return {"before": before, "after": purse(store, sender)}


def _vault_close(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    vault = _take(store, f"vault/{args['vault']}", sender)
    before = purse(store, sender)
    _move(store, sender, "urun", -vault["loan"])
    _move(store, sender, "ubld", vault["collateral"])
    return {"before": before, "after": purse(store, sender)}


_Handler = Callable[[Store, str, Mapping[str, Json]], Json]
_HANDLERS: Mapping[tuple[str, str], _Handler] = {
    ("bank", "send"): _bank_send,
    ("bank", "balances"): _bank_balances,
    ("egress", "provision"): _egress_provision,
    ("wallet", "deploy"): _wallet_deploy,
    ("faucet", "invite"): _faucet_invite,
    ("faucet", "offer"): _faucet_offer,
    ("faucet", "payout"): _faucet_payout,
    ("faucet", "deposit"): _faucet_deposit,
    ("amm", "swap"): _amm_swap,
    ("vault", "quote"): _vault_quote,
    ("vault", "open"): _vault_open,
    ("vault", "repay"): _vault_repay,
    ("vault", "close"): _vault_close,
}
