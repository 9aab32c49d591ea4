"""Fund the solo client and register it with the running chain's kernel. Safe to repeat.

Each step first checks whether it is done already, and checks its effect afterwards.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cosmos import Helper, SetupError, main, say, wait_for
from funds import coins_of_client

PAYER = "provision"
"""The key of the account that pays, which the genesis funds."""
FIRST_BLOCK_TIMEOUT = 3000
"""Time limit in seconds. In a run the chain makes blocks already; by hand it may still bootstrap,
and the first block of SDKs since 2024 runs the core proposals.
"""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--helper", required=True, help="the chain's command line tool")
    parser.add_argument("--stable", required=True, help="denomination of the stable token")
    return parser.parse_args()


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise SetupError(f"{path} is missing: the client was not created") from None


def check_same_chain(project: Path) -> None:
    """Refuse a client of another chain, because it would wait for that one forever."""
    identity = read(project / "chain" / "config" / "genesis.json.sha256")
    connections = json.loads(read(project / "solo" / "connections.json"))
    known = [c.get("GCI") for c in connections if c.get("type") == "chain-cosmos-sdk"]
    if known != [identity]:
        raise SetupError(
            f"the client belongs to chain {known}, not to {identity}; reset the state folder"
        )


def provision(args: argparse.Namespace) -> None:
    check_same_chain(args.project)
    helper = Helper(args.helper, args.project / "keys")
    address = read(args.project / "solo" / "ag-cosmos-helper-address")
    # An unreachable chain must not look like one that does not know the client. A chain whose RPC
    # answers knows no client before its first block.
    payer = helper.address(PAYER)
    wait_for(
        "the chain's first block",
        lambda: helper.query("auth", "account", payer),
        seconds=FIRST_BLOCK_TIMEOUT,
    )
    if helper.has_egress(address):
        say(f"{address} is provisioned already")
        return

    genesis = args.project / "chain" / "config" / "genesis.json"
    wanted = coins_of_client(genesis, args.stable)

    def funded() -> bool:
        held = helper.balances(address)
        return all(held.get(denom, 0) >= amount for denom, amount in wanted.items())

    if not funded():
        coins = ",".join(f"{amount}{denom}" for denom, amount in wanted.items())
        helper.transact(
            f"sending {coins}", ["bank", "send", PAYER, address, coins, f"--from={PAYER}"]
        )
        if not funded():
            raise SetupError(f"{address} holds {helper.balances(address)} after being sent {coins}")
    helper.transact(
        "provisioning",
        ["swingset", "provision-one", "loadgenctl-client", address, f"--from={PAYER}"],
    )
    wait_for("the client's egress", lambda: helper.has_egress(address) or None, seconds=60)
    say(f"{address} is funded and provisioned")


if __name__ == "__main__":
    main(lambda: provision(parse()))
