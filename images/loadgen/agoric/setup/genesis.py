"""Changes of a genesis that the chain's command line tool cannot make.

A genesis is a JSON object. Each function returns a changed copy, and raises SetupError if the
genesis does not have the lists or fields to change.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, Sequence

from cosmos import SetupError

Genesis = Dict[str, Any]
BLOCK_LIMIT = "blockComputeLimit"
COMPUTRON = "xsnapComputron"


def with_compute_limit(genesis: Genesis, computrons: int) -> Genesis:
    """The kernel's budget of a block, in computrons; the genesis counts it in beans."""
    changed = copy.deepcopy(genesis)
    try:
        prices = changed["app_state"]["swingset"]["params"]["beans_per_unit"]
        by_key = {price["key"]: price for price in prices}
        limit, computron = by_key[BLOCK_LIMIT], int(by_key[COMPUTRON]["beans"])
    except (KeyError, TypeError, ValueError):
        raise SetupError(
            f"the genesis has no {BLOCK_LIMIT} and {COMPUTRON} in swingset's beans_per_unit:"
            " this revision has no compute limit that can be set"
        ) from None
    limit["beans"] = str(computrons * computron)
    return changed


def with_accounts(genesis: Genesis, addresses: Sequence[str], coins: Mapping[str, int]) -> Genesis:
    """Accounts that hold `coins` (denomination → amount) each."""
    changed = with_balances(genesis, addresses, coins)
    accounts = _list(changed, "auth", "accounts")
    for address in addresses:
        accounts.append(
            {
                "@type": "/cosmos.auth.v1beta1.BaseAccount",
                "address": address,
                "pub_key": None,
                "account_number": "0",
                "sequence": "0",
            }
        )
    return changed


def with_balances(genesis: Genesis, addresses: Sequence[str], coins: Mapping[str, int]) -> Genesis:
    """Balances without accounts, for addresses of modules: the chain creates those accounts."""
    changed = copy.deepcopy(genesis)
    balances = _list(changed, "bank", "balances")
    supply = _list(changed, "bank", "supply")
    held = sorted(coins.items())
    for address in addresses:
        if any(balance["address"] == address for balance in balances):
            raise SetupError(f"the genesis has a balance of {address} already")
        entry = [{"denom": denom, "amount": str(amount)} for denom, amount in held]
        balances.append({"address": address, "coins": entry})
    # The chain computes an empty supply; another one must be the sum of the balances.
    if supply:
        total = {coin["denom"]: int(coin["amount"]) for coin in supply}
        for denom, amount in held:
            total[denom] = total.get(denom, 0) + amount * len(addresses)
        supply[:] = [{"denom": d, "amount": str(a)} for d, a in sorted(total.items())]
    return changed


def _list(genesis: Genesis, module: str, name: str) -> List[Any]:
    try:
        value = genesis["app_state"][module][name]
    except (KeyError, TypeError):
        value = None
    if not isinstance(value, list):
        raise SetupError(f"the genesis has no list {name} of module {module}")
    return value
