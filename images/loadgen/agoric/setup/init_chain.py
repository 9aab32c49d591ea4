"""Create a local chain of one validator: keys, genesis, configuration. Does nothing if it is there.

The chain is built beside its place and moved there when complete, so that a killed set-up is
simply done again.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

from cosmos import CHAIN_ID, Helper, SetupError, attempt, main, run, say
from funds import coins_of_payer
from settings import switch_listeners_off


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--helper", required=True, help="the chain's command line tool")
    parser.add_argument("--daemon", default="ag-chain-cosmos", help="program set-defaults knows")
    parser.add_argument("--stable", required=True, help="denomination of the stable token")
    return parser.parse_args()


def create(args: argparse.Namespace) -> None:
    chain = args.project / "chain"
    identity_file = Path("config", "genesis.json.sha256")
    if (chain / identity_file).exists():
        say(f"{chain} is there already")
        return
    if chain.exists():
        raise SetupError(f"{chain} exists but was not made by this set-up; reset the state folder")
    args.project.mkdir(parents=True, exist_ok=True)
    Path.home().mkdir(parents=True, exist_ok=True)
    part = args.project / "chain.part"
    shutil.rmtree(part, ignore_errors=True)

    keys = Helper(args.helper, args.project / "keys")
    node = Helper(args.helper, part)
    provision = keys.address("provision")
    delegate = keys.address("delegate0")

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
        # Without an address of its own the tool looks for one, and the pod has only loopback.
        "--ip=127.0.0.1",
    )
    node.genesis("collect-gentxs")
    run(["agoric", "set-defaults", args.daemon, str(config)])
    switch_listeners_off(config)
    node.genesis("validate-genesis")

    # The client knows the chain by the hash of its genesis.
    identity = hashlib.sha256((config / "genesis.json").read_bytes()).hexdigest()
    (part / identity_file).write_text(identity, encoding="ascii")
    # Bring it to the disk before it counts as done.
    attempt(["sync", "-f", str(part)])
    part.rename(chain)
    say(f"created chain {CHAIN_ID} with identity {identity}")


if __name__ == "__main__":
    main(lambda: create(parse()))
