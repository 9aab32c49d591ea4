"""The effects of transactions on the state: a bank, an egress list, three contracts.

Pure over the `Store`. All amounts are whole numbers of the smallest unit (ubld, urun, token). BLD
is never created or destroyed here; RUN only by a vault's loan and its repayment, tokens only by the
faucet.

A transaction represents everything that a client sends in one turn: a contract's `offer` is the
invitation, the withdrawal for it, the offer itself and its payout. As with the real contracts, the
payout is a payment that the client must deposit.
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
"""A share of the collateral's value."""
SMART_WALLET = "SMART_WALLET"
"""The power of an address that is provisioned with a smart wallet."""
OFFER = ("wallet", "offer")
"""Contract and method of a message that is an offer by a smart wallet."""


class LedgerError(Exception):
    """The transaction is refused; the state is unchanged."""


def genesis(store: Store) -> None:
    """Fill an empty state."""
    store.set(f"bank/{GENESIS_ACCOUNT}", dict(GENESIS_FUNDS))
    store.set("amm/pool", dict(POOL))
    store.set("ids", 0)


def purse(store: Store, address: str) -> dict[str, int]:
    """The balances of an address."""
    return dict(store.get(f"bank/{address}", {}))


def apply(store: Store, sender: str, message: Mapping[str, Json]) -> Json:
    """Execute the message, or raise `LedgerError` and change nothing."""
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
        raise LedgerError(f"{key} does not exist or has another owner")
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
    if args.get("powers") == SMART_WALLET and store.get(f"wallet/{args['address']}") is None:
        store.set(f"wallet/{args['address']}", {"vaults": {}})
    return {"address": args["address"]}


def _wallet_deploy(_store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    return {"wallet": sender}


def _pay(store: Store, owner: str, denom: str, amount: int) -> str:
    """Create a payment; return its handle."""
    handle = _next_id(store, "payment")
    store.set(f"payment/{handle}", {"owner": owner, "denom": denom, "amount": amount})
    return handle


def _bank_deposit(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    payment = _take(store, f"payment/{args['payment']}", sender)
    before = purse(store, sender)
    _move(store, sender, payment["denom"], payment["amount"])
    return {"before": before, "after": purse(store, sender)}


def _faucet_offer(store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    return {"payment": _pay(store, sender, "token", FAUCET_TOKENS)}


def swap_out(pool_in: int, pool_out: int, given: int) -> int:
    """The amount that a constant product pool pays for `given`, after its fee."""
    effective = given * (10_000 - FEE_PER_10000)
    return pool_out * effective // (pool_in * 10_000 + effective)


def _amm_offer(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    give, given = args["give"], _amount(args["amount"])
    want = {"urun": "ubld", "ubld": "urun"}[give]
    pool = dict(store.get("amm/pool"))
    before = purse(store, sender)
    got = swap_out(pool[give], pool[want], given)
    if got <= 0:
        raise LedgerError("the amount is too small to be traded")
    _move(store, sender, give, -given)
    store.set("amm/pool", {give: pool[give] + given, want: pool[want] - got})
    return {
        "pool": pool,
        "payment": _pay(store, sender, want, got),
        "before": before,
        "after": purse(store, sender),
    }


def _vault_collaterals(store: Store, sender: str, _args: Mapping[str, Json]) -> Json:
    opened = [
        key[len("vault/") :] for key in store.keys("vault/") if store.get(key)["owner"] == sender
    ]
    return {"pool": dict(store.get("amm/pool")), "open": opened}


def _vault_offer(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    collateral, loan = _amount(args["collateral"]), _amount(args["loan"])
    pool = store.get("amm/pool")
    value = collateral * pool["urun"] // pool["ubld"]
    if loan * 100 > value * MAX_LOAN_PERCENT:
        raise LedgerError(f"a collateral worth {value} urun does not carry a loan of {loan}")
    before = purse(store, sender)
    _move(store, sender, "ubld", -collateral)
    handle = _next_id(store, "vault")
    store.set(f"vault/{handle}", {"owner": sender, "collateral": collateral, "loan": loan})
    return {
        "vault": handle,
        "payment": _pay(store, sender, "urun", loan),
        "before": before,
        "after": purse(store, sender),
    }


def _vault_debt(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    vault = store.get(f"vault/{args['vault']}")
    if vault is None or vault["owner"] != sender:
        raise LedgerError(f"{args['vault']} does not exist or has another owner")
    return {"debt": vault["loan"]}


def _vault_close(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    vault, amount = _take(store, f"vault/{args['vault']}", sender), _amount(args["amount"])
    if amount != vault["loan"]:
        raise LedgerError(f"the debt is {vault['loan']} urun, not {amount}")
    before = purse(store, sender)
    _move(store, sender, "urun", -amount)
    return {
        "payment": _pay(store, sender, "ubld", vault["collateral"]),
        "before": before,
        "after": purse(store, sender),
    }


def home(message: Mapping[str, Json]) -> str:
    """The contract to which a message finally goes."""
    args = message.get("args")
    if (message.get("contract"), message.get("method")) == OFFER and isinstance(args, dict):
        return str(args.get("contract"))
    return str(message.get("contract"))


def _wallet_offer(store: Store, sender: str, args: Mapping[str, Json]) -> Json:
    """An offer whose payout the wallet deposits itself."""
    contract, method = str(args["contract"]), str(args["method"])
    if (contract, method) not in _OFFERS:
        raise LedgerError(f"{contract} has no invitation {method}")
    before = purse(store, sender)
    result = _HANDLERS[contract, method](store, sender, args["args"])
    _bank_deposit(store, sender, {"payment": result["payment"]})
    _remember_vault(store, sender, method, result, args["args"])
    after = purse(store, sender)
    changes = {denom: after.get(denom, 0) - before.get(denom, 0) for denom in {*before, *after}}
    return {
        "numWantsSatisfied": 1,
        "moved": {denom: change for denom, change in changes.items() if change},
        "result": {name: result[name] for name in ("vault", "pool") if name in result},
    }


def _remember_vault(
    store: Store, owner: str, method: str, result: Json, args: Mapping[str, Json]
) -> None:
    """Record the wallet's open vaults."""
    record = store.get(f"wallet/{owner}")
    vaults = dict(record["vaults"])
    if "vault" in result:
        vaults[result["vault"]] = args["loan"]
    elif method == "close":
        del vaults[args["vault"]]
    if vaults != record["vaults"]:
        store.set(f"wallet/{owner}", {**record, "vaults": vaults})


_Handler = Callable[[Store, str, Mapping[str, Json]], Json]
_HANDLERS: Mapping[tuple[str, str], _Handler] = {
    ("bank", "send"): _bank_send,
    ("bank", "balances"): _bank_balances,
    ("egress", "provision"): _egress_provision,
    ("wallet", "deploy"): _wallet_deploy,
    OFFER: _wallet_offer,
    ("bank", "deposit"): _bank_deposit,
    ("faucet", "offer"): _faucet_offer,
    ("amm", "offer"): _amm_offer,
    ("vault", "collaterals"): _vault_collaterals,
    ("vault", "offer"): _vault_offer,
    ("vault", "debt"): _vault_debt,
    ("vault", "close"): _vault_close,
}
_OFFERS = frozenset({("faucet", "offer"), ("amm", "offer"), ("vault", "offer"), ("vault", "close")})
"""The invitations."""
