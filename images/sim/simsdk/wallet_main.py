"""`sim-wallet`: provision the smart wallets that the load uses."""

from __future__ import annotations

import argparse

from . import VERSION
from .config import ConfigError, load
from .console import complain
from .solo_main import provisioned
from .wallet_load import addresses


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 1 failed, 2 bad usage."""
    parser = argparse.ArgumentParser(prog="sim-wallet", description="The simulated smart wallets.")
    parser.add_argument("--version", action="version", version=f"simulated wallets {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("provision", help="fund and provision them; can be repeated")
    command.add_argument(
        "--config", help="TOML of speeds and faults (default: $SIM_CONFIG, else default.toml)"
    )
    command.add_argument("--timeout", type=float, default=120.0, help="seconds (default 120)")
    args = parser.parse_args(argv)
    try:
        config = load(args.config)
    except ConfigError as error:
        complain(f"sim-wallet: {error}")
        return 2
    wallets = addresses(config)
    return provisioned(
        "sim-wallet",
        config,
        args.timeout,
        lambda provisioner: f"{provisioner.run_wallets(wallets)} of {len(wallets)} wallets are new",
    )
