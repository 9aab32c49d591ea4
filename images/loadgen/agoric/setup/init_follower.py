"""Create a node that follows a network. Does nothing if it exists.

The node is created beside its final path and moved there when complete, so that a killed set-up can
be repeated. The values from the network's origin were checked before.
"""

from __future__ import annotations

import argparse
import re
import shutil
import time
from pathlib import Path

from cosmos import SetupError, main, run, say
from settings import Values, begin, finish, identity_of, patched, switch_listeners_off


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--daemon", required=True, help="the chain's program")
    parser.add_argument("--genesis", type=Path, required=True, help="the network's genesis")
    parser.add_argument("--chain-id", required=True)
    parser.add_argument("--identity", required=True, help="what clients know the chain by")
    parser.add_argument("--peers", default="", help="ID@HOST:PORT, with commas")
    parser.add_argument("--seeds", default="", help="ID@HOST:PORT, with commas")
    parser.add_argument("--trust-height", help="of the block that state-sync trusts")
    parser.add_argument("--trust-hash", help="its hash")
    parser.add_argument("--rpc", default="", help="RPC servers for state-sync, with commas")
    return parser.parse_args()


def quoted(text: str) -> str:
    """Text as TOML; text that would need escapes is not an address."""
    if not re.fullmatch(r"[\w.:/@,\[\]-]*", text, re.ASCII):
        raise SetupError(f"not a valid value for a configuration: {text!a}")
    return f'"{text}"'


def wanted(args: argparse.Namespace) -> Values:
    """The values that the node's configuration must have."""
    values = {
        ("p2p", "persistent_peers"): quoted(args.peers),
        ("p2p", "seeds"): quoted(args.seeds),
        # Test networks have addresses that are not routable.
        ("p2p", "addr_book_strict"): "false",
    }
    if args.trust_height:
        servers = [
            server if "://" in server else f"http://{server}" for server in args.rpc.split(",")
        ]
        # A light client needs two servers to compare; they may be the same.
        servers = servers if len(servers) > 1 else servers * 2
        values[("statesync", "enable")] = "true"
        values[("statesync", "rpc_servers")] = quoted(",".join(servers))
        values[("statesync", "trust_height")] = str(int(args.trust_height))
        values[("statesync", "trust_hash")] = quoted(args.trust_hash)
    return values


def create(args: argparse.Namespace) -> None:
    chain = args.project / "chain"
    known = identity_of(chain)
    if known is not None:
        if known != args.identity:
            raise SetupError(f"{chain} is a node of chain {known}; reset the state folder")
        say(f"{chain} is there already")
        return
    part = begin(chain)
    moniker = f"loadgenctl-{int(time.time())}"
    run([args.daemon, "init", moniker, f"--chain-id={args.chain_id}", f"--home={part}"])
    config = part / "config"
    shutil.copyfile(args.genesis, config / "genesis.json")
    file = config / "config.toml"
    file.write_text(patched(file.read_text(encoding="utf-8"), wanted(args)), encoding="utf-8")
    switch_listeners_off(config)
    finish(part, chain, args.identity)
    say(f"created a node of chain {args.chain_id}, whose identity is {args.identity}")


if __name__ == "__main__":
    main(lambda: create(parse()))
