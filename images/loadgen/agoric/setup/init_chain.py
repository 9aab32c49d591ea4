"""Create a local chain of one validator: keys, genesis, configuration. Does nothing if it exists.

The chain is created beside its final path and moved there when complete, so that a killed set-up
can be repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import bootstrap
import genesis
import settings
import wallets
from cosmos import CHAIN_ID, Helper, main, run, say
from funds import coins_of_payer

CODE = Path(__file__).resolve().parent.parent / "wallet"
"""The contract that wallets are loaded with."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--helper", required=True, help="the chain's command line tool")
    parser.add_argument("--daemon", default="ag-chain-cosmos", help="program set-defaults knows")
    parser.add_argument("--stable", required=True, help="denomination of the stable token")
    parser.add_argument("--compute-limit", type=int, help="computrons of a block")
    parser.add_argument("--wallets", type=Path, help="prepare wallet load; the SDK's folder")
    parser.add_argument("--bootstrap", type=Path, help="its bootstrap configuration, if not own")
    return parser.parse_args()


def fit_genesis(file: Path, args: argparse.Namespace, accounts: wallets.Accounts) -> None:
    """Apply the options that the tool's genesis does not have."""
    changed = json.loads(file.read_text(encoding="utf-8"))
    if args.compute_limit is not None:
        changed = genesis.with_compute_limit(changed, args.compute_limit)
    if accounts:
        coins = {"ubld": wallets.COINS, args.stable: wallets.COINS}
        changed = genesis.with_accounts(changed, wallets.addresses(accounts), coins)
        pool = {"ubld": wallets.POOL_COINS, args.stable: wallets.POOL_COINS}
        changed = genesis.with_balances(changed, [wallets.POOL], pool)
    file.write_text(json.dumps(changed, indent=2), encoding="utf-8")


def prepare_wallets(args: argparse.Namespace, chain: Path) -> wallets.Accounts:
    """Make the accounts and the bootstrap configuration of wallet load."""
    accounts = wallets.make(Helper(args.helper, wallets.folder(chain) / "keys"))
    wallets.save(chain, accounts)
    made = bootstrap.write(args.project / "wallet", args.wallets, CODE, args.bootstrap)
    say(f"made {len(wallets.addresses(accounts))} accounts for wallets, and {made}")
    return accounts


def create(args: argparse.Namespace) -> None:
    chain = args.project / "chain"
    if settings.identity_of(chain) is not None:
        say(f"{chain} is there already")
        return
    part = settings.begin(chain)
    keys = Helper(args.helper, args.project / "keys")
    node = Helper(args.helper, part)
    provision = keys.address("provision")
    delegate = keys.address("delegate0")

    accounts = prepare_wallets(args, part) if args.wallets else {}

    node("init", "local-chain", f"--chain-id={CHAIN_ID}")
    config = part / "config"
    coins = coins_of_payer(config / "genesis.json", args.stable)
    node.genesis("add-genesis-account", provision, coins)
    node.genesis("add-genesis-account", delegate, "50000000ubld")
    node.genesis(
        "gentx",
        "delegate0",
        "50000000ubld",
        f"--keyring-dir={keys.home}",
        "--keyring-backend=test",
        f"--chain-id={CHAIN_ID}",
        # Without this the tool searches for an address, and the pod has only loopback.
        "--ip=127.0.0.1",
    )
    node.genesis("collect-gentxs")
    run(["agoric", "set-defaults", args.daemon, str(config)])
    settings.switch_listeners_off(config)
    fit_genesis(config / "genesis.json", args, accounts)
    node.genesis("validate-genesis")

    identity = hashlib.sha256((config / "genesis.json").read_bytes()).hexdigest()
    settings.finish(part, chain, identity)
    say(f"created chain {CHAIN_ID} with identity {identity}")


if __name__ == "__main__":
    main(lambda: create(parse()))
