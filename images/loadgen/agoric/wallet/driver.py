"""The load driver of smart wallets; the load service starts it (LOADGEN_SOCKET)."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Dict

from walletload.blocks import Blocks
from walletload.errors import LoadError
from walletload.pool import Pool
from walletload.rpc import Rpc
from walletload.service import Service, say
from walletload.signer import ToolSigner
from walletload.tasks import TASKS, find
from walletload.wallet import Tools, Wallet

HOST, PORT = "127.0.0.1", 26657
CHAIN_ID = "agoric"
POLL = 0.5
"""Interval, in seconds, at which the chain's height is polled."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of the chain")
    parser.add_argument("--helper", required=True, help="the chain's command line tool")
    parser.add_argument("--stage", type=int, required=True, help="the run's stage")
    parser.add_argument("--rpc-port", type=int, default=PORT, help="of the chain's node")
    return parser.parse_args()


def pools(args: argparse.Namespace) -> Dict[str, Pool]:
    """A pool of wallets for each task. Raises LoadError if the chain was created without them."""
    folder = args.project / "chain" / "wallets"
    file = folder / "accounts.json"
    try:
        accounts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(
            f"the chain was created without accounts for wallet load ({error});"
            " reset the state folder"
        ) from error

    def pause() -> None:
        time.sleep(POLL)

    chain = Rpc(HOST, args.rpc_port)
    blocks = Blocks(chain, time.monotonic, pause)
    blocks.beyond(0, time.monotonic() + 600)
    signer = ToolSigner(args.helper, folder / "keys", CHAIN_ID)
    tools = Tools(chain, blocks, signer, time.monotonic, pause)
    brands = find(chain)
    # Numbers of offers are never used twice: the time differs for each start of this driver.
    run = f"s{args.stage}-{int(time.time())}"
    return {
        task: Pool(
            TASKS[task](brands, run),
            [Wallet(tools, account["key"], account["address"]) for account in accounts[task]],
        )
        for task in TASKS
    }


def main() -> int:
    """The exit code: 0 after a stop, 1 failed, 2 bad usage."""
    args = parse()
    path = os.environ.get("LOADGEN_SOCKET")
    if not path:
        sys.stderr.write("LOADGEN_SOCKET is not set: the load service starts the driver\n")
        return 2
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.connect(path)
            return Service(pools(args), channel).run()
    except LoadError as error:
        say(f"no load can run here: {error}")
    except OSError as error:
        say(f"{path}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
