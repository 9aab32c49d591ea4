"""`sim-driver`: drives the simulated solo on behalf of the load service."""

from __future__ import annotations

import argparse
import os
import signal
import socket

from . import VERSION
from .config import ConfigError, load
from .console import complain, stage_from
from .driver import Driver, SoloLoad
from .wallet_load import WalletLoad


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 after a stop, 1 failed, 2 bad usage."""
    parser = argparse.ArgumentParser(
        prog="sim-driver", description="The simulated load driver; needs $LOADGEN_SOCKET."
    )
    parser.add_argument("--version", action="version", version=f"simulated driver {VERSION}")
    parser.add_argument(
        "--config", help="TOML of speeds and faults (default: $SIM_CONFIG, else default.toml)"
    )
    parser.add_argument(
        "--client", choices=("solo", "wallet"), default="solo", help="what the load uses"
    )
    args = parser.parse_args(argv)
    path = os.environ.get("LOADGEN_SOCKET")
    if not path:
        complain("sim-driver: LOADGEN_SOCKET is not set; the load service starts the driver")
        return 2
    # Ctrl-C also reaches the load service, which then sends a stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        config = load(args.config)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.connect(path)
            load_of = WalletLoad if args.client == "wallet" else SoloLoad
            stage = stage_from(dict(os.environ))
            return Driver(config, load_of(config), stage, channel).run()
    except ConfigError as error:
        complain(f"sim-driver: {error}")
        return 2
    except OSError as error:
        complain(f"sim-driver: {path}: {error}")
        return 1
