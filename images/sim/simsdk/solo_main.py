"""`sim-solo`: make the simulated client's state, provision it, and run it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

from . import VERSION
from .config import ConfigError, SimConfig, load
from .console import Stop, complain, say, stage_from
from .faults import FaultBook
from .forms import FORMS
from .provision import Provisioner, ProvisionError
from .slog import SlogWriter
from .solo import Solo
from .solo_state import SoloState


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 stopped by a signal, 1 failed, 2 bad usage."""
    args = _parser().parse_args(argv)
    home = Path(args.home)
    try:
        config = load(args.config)
        if args.command == "init":
            made = SoloState.init(home, config.seed)
            say("sim-solo", f"simulated solo {'made' if made else 'found'} in {home}")
            return 0
        if args.command == "provision" and args.address:
            return _provision(args.address, config, args.timeout)
        state = SoloState(home)
    except ConfigError as error:
        complain(f"sim-solo: {error}")
        return 2
    except FileNotFoundError:
        complain(f"sim-solo: {home} holds no solo; run `sim-solo init --home {home}` first")
        return 2
    except OSError as error:
        complain(f"sim-solo: {error}")
        return 1
    if args.command == "provision":
        return _provision(state.address, config, args.timeout)
    if args.command == "ask":
        return _ask(state.address, config, Path(args.answer))
    return _start(state, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sim-solo", description="The simulated solo client.")
    parser.add_argument("--version", action="version", version=f"simulated solo {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("init", "make its state"),
        ("provision", "fund it and give it its egress, with the chain running"),
        ("ask", "write whether the network has provisioned it"),
        ("start", "run it until a signal"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "--home", required=name != "provision", default="", help="the solo's folder"
        )
        if name == "provision":
            command.add_argument("--address", help="of another solo, instead of --home")
        if name == "ask":
            command.add_argument("--answer", required=True, help="file for the answer, as JSON")
        command.add_argument(
            "--config", help="TOML of speeds and faults (default: $SIM_CONFIG, else default.toml)"
        )
        if name == "provision":
            command.add_argument(
                "--timeout", type=float, default=120.0, help="seconds (default 120)"
            )
    return parser


def _ask(address: str, config: SimConfig, answer: Path) -> int:
    known, reason = False, f"the chain does not know {address}"
    try:
        known = Provisioner(config.chain_address, 5.0).known(address)
    except ProvisionError as error:
        reason = str(error)
    document = {"address": address, "known": known, "reason": None if known else reason}
    answer.write_text(json.dumps(document))
    return 0


def _provision(address: str, config: SimConfig, timeout: float) -> int:
    def one(provisioner: Provisioner) -> str:
        done = provisioner.run(address)
        return f"{address} {'is provisioned' if done else 'was provisioned already'}"

    return provisioned("sim-solo", config, timeout, one)


def provisioned(
    program: str, config: SimConfig, timeout: float, work: Callable[[Provisioner], str]
) -> int:
    """Provision with `work`, which returns a report; return the exit code."""
    book = FaultBook(config.faults, stage_from(dict(os.environ)), config.seed)
    if book.first("provision-fails") is not None:
        complain(f"{program}: simulated failure of the provisioning")
        return 1
    try:
        say("provision", work(Provisioner(config.chain_address, timeout)))
    except ProvisionError as error:
        complain(f"{program}: {error}")
        return 1
    return 0


def _start(state: SoloState, config: SimConfig) -> int:
    stop = Stop()
    stop.on_signals()
    slog = SlogWriter(os.environ.get("SOLO_SLOGFILE"), FORMS[config.slog.dialect])
    return Solo(state, config, slog, stage_from(dict(os.environ)), stop).run()
