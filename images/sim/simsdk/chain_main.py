"""`sim-chain`: make a simulated chain's home, and run its node."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from . import VERSION, genesis
from .config import ConfigError, SimConfig, load
from .console import Stop, complain, say, stage_from
from .node import Node
from .store import StoreError


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 ended as asked, 1 failed, 2 bad usage."""
    args = _parser().parse_args(argv)
    try:
        config = load(args.config)
    except ConfigError as error:
        complain(f"sim-chain: {error}")
        return 2
    home = Path(args.home)
    try:
        return _init(home, config) if args.command == "init" else _start(home, config)
    except (OSError, StoreError) as error:
        complain(f"sim-chain: {error}")
        return 1


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
        command.add_argument(
            "--config", help="TOML of speeds and faults (default: $SIM_CONFIG, else default.toml)"
        )
    return parser


def _init(home: Path, config: SimConfig) -> int:
    made = genesis.init(home, config.seed)
    say("sim-chain", f"simulated genesis {'made' if made else 'found'} in {home}")
    return 0


def _start(home: Path, config: SimConfig) -> int:
    if not (home / "config" / "genesis.json").exists():
        complain(f"sim-chain: {home} holds no chain; run `sim-chain init --home {home}` first")
        return 2
    stop = Stop()
    stop.on_signals()
    return Node(home, config, os.environ.get("SLOGFILE"), stage_from(dict(os.environ)), stop).run()
