"""Write whether a network knows the client, as JSON: `address`, `known`, `reason`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cosmos import Helper, SetupError, attempt, main, reason


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--helper", required=True, help="the chain's command line tool")
    parser.add_argument("--chain-id", required=True)
    parser.add_argument("--rpc", required=True, help="RPC servers of the network, with commas")
    parser.add_argument("--answer", type=Path, required=True, help="where the answer goes")
    return parser.parse_args()


def node(server: str) -> str:
    """An RPC server in the form that the tool takes."""
    return server if server.startswith("https://") else f"tcp://{server.rpartition('://')[2]}"


def ask(args: argparse.Namespace) -> None:
    file = args.project / "solo" / "ag-cosmos-helper-address"
    try:
        address = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise SetupError("the client was not created") from None
    helper = Helper(args.helper, args.project / "keys")
    known, why = False, "the network names no RPC server"
    for server in args.rpc.split(","):
        # An unreachable server must not look like one that does not know the client.
        status = attempt(
            [helper.binary, "status", f"--node={node(server)}", f"--home={helper.home}"]
        )
        if status.returncode != 0:
            why = f"{server} does not answer: {reason(status)}"
            continue
        argv = helper.query_argv("swingset", "egress", address, node=node(server))
        known = attempt(argv).returncode == 0
        why = f"chain {args.chain_id} does not know {address}"
        break
    answer = {"address": address, "known": known, "reason": None if known else why}
    args.answer.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(lambda: ask(parse()))
