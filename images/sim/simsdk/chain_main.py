"""`sim-chain`: make a simulated chain's home, and run its node."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from . import VERSION, genesis
from .config import ConfigError, SimConfig, address, load
from .console import Stop, complain, say, stage_from
from .node import Node
from .store import StoreError


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 stopped by a signal, 1 failed, 2 bad usage."""
    args = _parser().parse_args(argv)
    try:
        config = load(args.config)
    except ConfigError as error:
        complain(f"sim-chain: {error}")
        return 2
    home = Path(args.home)
    try:
        if args.command == "init":
            return _init(home, config, args.genesis, args.compute_limit)
        return _start(home, config, args.follow)
    except (OSError, StoreError) as error:
        complain(f"sim-chain: {error}")
        return 1


def _address(text: str) -> tuple[str, int]:
    try:
        return address(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _computrons(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a whole number from 1: {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sim-chain", description="The simulated chain node.")
    parser.add_argument("--version", action="version", version=f"simulated chain {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("init", "make the genesis and the keys"),
        ("start", "run the node until a signal"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--home", required=True, help="the chain's folder")
        if name == "init":
            command.add_argument("--genesis", help="genesis of the network to follow")
            command.add_argument(
                "--compute-limit", type=_computrons, help="computron limit of a block"
            )
        else:
            command.add_argument(
                "--follow", type=_address, help="HOST:PORT of the RPC of a node of the network"
            )
        command.add_argument(
            "--config", help="TOML of speeds and faults (default: $SIM_CONFIG, else default.toml)"
        )
    return parser


def _init(home: Path, config: SimConfig, given: str | None, compute_limit: int | None) -> int:
    network = Path(given).read_bytes() if given else None
    made = genesis.init(home, config.seed, network, compute_limit)
    say("sim-chain", f"simulated genesis {'made' if made else 'found'} in {home}")
    return 0


def _start(home: Path, config: SimConfig, follow: tuple[str, int] | None) -> int:
    if not (home / "config" / "genesis.json").exists():
        complain(f"sim-chain: {home} holds no chain; run `sim-chain init --home {home}` first")
        return 2
    stop = Stop()
    stop.on_signals()
    stage = stage_from(dict(os.environ))
    return Node(home, config, os.environ.get("SLOGFILE"), stage, stop, follow).run()
