"""The accounts of wallet load: their keys, and the file with their addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List

from cosmos import Helper

TASKS = ("faucet", "amm", "vault")
PER_TASK = 8
"""Accounts of each task, which limit its cycles in flight."""
COINS = 10_000_000_000
"""Micro units of the staking and of the stable token that each holds. A wallet action is charged
about 0.02 of a token.
"""
POOL = "agoric1megzytg65cyrgzs6fvzxgrcqvwwl7ugpt62346"
"""Account of the module `vbank/provision`, which pays a little to each new wallet. The chain
creates none while it is empty. The address follows from the module's name.
"""
POOL_COINS = 1_000_000_000

Accounts = Dict[str, List[Dict[str, str]]]
"""Task → its accounts: `key`, the name in the keyring, and `address`."""


def make(keys: Helper) -> Accounts:
    """The accounts; those that do not exist are created."""
    names = {task: [f"load-{task}-{number}" for number in range(PER_TASK)] for task in TASKS}
    return {
        task: [{"key": key, "address": keys.address(key)} for key in of_task]
        for task, of_task in names.items()
    }


def folder(chain: Path) -> Path:
    """The folder of the accounts and their keyring, for the load driver: in the chain's home, so
    that saved storage has them, too.
    """
    return chain / "wallets"


def save(chain: Path, accounts: Accounts) -> Path:
    """Write the accounts to a file for the load driver."""
    path = folder(chain) / "accounts.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(accounts, indent=2), encoding="utf-8")
    return path


def addresses(accounts: Accounts) -> List[str]:
    """The addresses of all accounts."""
    return [account["address"] for of_task in accounts.values() for account in of_task]
