"""Which coins the client needs, and the account that pays for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

STAKING = "ubld"
STAKING_AMOUNT = 75_000_000
STABLE_AMOUNT = 40_000_000_000
FEES_AMOUNT = 40_000_000_000
"""Pays for messages to the kernel during hours of load, if fees have their own denomination."""
IST = "uist"
COLLATERAL = {"ibc/toyatom": 3_344_000_000}
"""Collateral that SDKs with IST give to a client of their local chain, for vaults that lend IST."""


def fee_denomination(genesis: Path) -> str:
    """The denomination of the kernel's fees for messages; empty if the genesis has none."""
    app = json.loads(genesis.read_text(encoding="utf-8")).get("app_state", {})
    prices = app.get("swingset", {}).get("params", {}).get("fee_unit_price") or []
    return str(prices[0]["denom"]) if prices else ""


def coins_of_client(genesis: Path, stable: str) -> Dict[str, int]:
    """Denomination → amount. `stable`: the stable token's denomination."""
    coins = {STAKING: STAKING_AMOUNT, stable: STABLE_AMOUNT}
    fees = fee_denomination(genesis)
    if fees and fees != stable:
        coins[fees] = coins.get(fees, 0) + FEES_AMOUNT
    if stable == IST:
        coins.update(COLLATERAL)
    return coins


def coins_of_payer(genesis: Path, stable: str) -> str:
    """The coins of the account that pays, as the genesis command takes them."""
    # As on the SDK's own local chain, so that runs stay comparable.
    coins = {STAKING: 100_000_000, stable: 50_000_000_000, "provisionpass": 100}
    coins["sendpacketpass"] = 100
    for denom, amount in coins_of_client(genesis, stable).items():
        # The rest pays for its own messages.
        coins[denom] = max(coins.get(denom, 0), amount + amount // 4)
    return ",".join(f"{amount}{denom}" for denom, amount in coins.items())
