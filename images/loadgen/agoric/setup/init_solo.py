"""Create the solo client of a chain, by default the local one. Does nothing if it exists."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from cosmos import CHAIN_ID, SetupError, main, run, say


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="folder of chain and client")
    parser.add_argument("--port", default="8000", help="port of the client's web server")
    parser.add_argument("--identity", help="of a network's chain: the hash of its genesis")
    parser.add_argument("--chain-id", default=CHAIN_ID, help="of that chain")
    parser.add_argument("--rpc", default="127.0.0.1:26657", help="its RPC servers, with commas")
    return parser.parse_args()


def local_identity(project: Path) -> str:
    genesis = project / "chain" / "config" / "genesis.json.sha256"
    try:
        return genesis.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SetupError("the client needs the chain's genesis first") from None


def create(args: argparse.Namespace) -> None:
    solo = args.project / "solo"
    if solo.is_dir():
        say(f"{solo} is there already")
        return
    Path.home().mkdir(parents=True, exist_ok=True)
    identity = args.identity or local_identity(args.project)
    part = args.project / "solo.part"
    shutil.rmtree(part, ignore_errors=True)
    run(["ag-solo", "init", str(part), f"--webport={args.port}"], quiet=True)
    run(
        [
            "ag-solo",
            "set-gci-ingress",
            f"--chainID={args.chain_id}",
            identity,
            *args.rpc.split(","),
        ],
        cwd=part,
    )
    part.rename(solo)
    say(f"created a client of chain {identity}")


if __name__ == "__main__":
    main(lambda: create(parse()))
