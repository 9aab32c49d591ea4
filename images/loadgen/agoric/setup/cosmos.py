"""Shared by the set-up scripts: run the SDK's command line tools and read their output.

Python 3.9, standard library only: these scripts run inside the SDK's image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

CHAIN_ID = "agoric"
NODE = "tcp://127.0.0.1:26657"

T = TypeVar("T")


class SetupError(Exception):
    """Set-up cannot continue; the message is for a person."""


def say(text: str) -> None:
    """One line of progress in the role's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(argv: Sequence[str], *, cwd: Optional[Path] = None, quiet: bool = False) -> str:
    """Run a tool and return its standard output. `quiet` hides errors that may hold a mnemonic.

    Raises SetupError with the tool's error if it fails.
    """
    done = attempt(argv, cwd=cwd)
    if done.returncode != 0:
        words = "" if quiet else f": {reason(done)}"
        raise SetupError(f"`{' '.join(argv[:4])} …` failed with status {done.returncode}{words}")
    return done.stdout


def attempt(
    argv: Sequence[str], *, cwd: Optional[Path] = None
) -> "subprocess.CompletedProcess[str]":
    """Run a tool whose failure is a valid result."""
    try:
        return subprocess.run(  # noqa: S603 - the SDK's own tools, no shell
            list(argv),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise SetupError(f"cannot run `{argv[0]}`: {error}") from error


def reason(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a tool failed: its `Error:` line (usage follows it), or the end of its output."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    return (errors[0] if errors else done.stderr.strip() or done.stdout.strip())[-2000:]


def last_json(text: str) -> Dict[str, Any]:
    """The JSON object in a tool's output, after lines such as a gas estimate.

    Raises SetupError if there is none.
    """
    start = text.find("{")
    if start >= 0:
        try:
            value = json.loads(text[start:])
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
    raise SetupError(f"expected JSON, got {text[-500:]!r}")


def wait_for(what: str, probe: Callable[[], Optional[T]], *, seconds: float = 180.0) -> T:
    """Call `probe` each second until it returns a value. Raises SetupError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer is not None:
            return answer
        if time.monotonic() >= deadline:
            raise SetupError(f"{what}: nothing after {seconds:.0f} s")
        time.sleep(1.0)


class Helper:
    """The chain's command line tool (`ag-cosmos-helper`, later `agd`) with a keyring."""

    def __init__(self, binary: str, home: Path) -> None:
        self.binary = binary
        self.home = home
        self._genesis_group: Optional[bool] = None

    def __call__(self, *args: str, quiet: bool = False) -> str:
        """Run a subcommand in the tool's home."""
        return run([self.binary, *args, f"--home={self.home}"], quiet=quiet)

    def address(self, key: str) -> str:
        """The address of a key, which is created if it does not exist."""
        show = ["keys", "show", key, "-a", "--keyring-backend=test"]
        known = attempt([self.binary, *show, f"--home={self.home}"])
        if known.returncode != 0:
            self("keys", "add", key, "--keyring-backend=test", quiet=True)
        return self(*show).strip()

    def query(self, *args: str) -> Optional[Dict[str, Any]]:
        """The running chain's answer to a query; None if the chain refuses it."""
        done = attempt([*self.query_argv(*args), "--output=json"])
        return last_json(done.stdout) if done.returncode == 0 else None

    def has_egress(self, address: str) -> bool:
        """True if the chain knows the address as a client of its kernel."""
        return attempt(self.query_argv("swingset", "egress", address)).returncode == 0

    def query_argv(self, *args: str, node: str = NODE) -> List[str]:
        """The command line of a query. It names no chain, which tools since September 2025 refuse
        and none needs."""
        return [self.binary, "query", *args, f"--node={node}", f"--home={self.home}"]

    def genesis(self, command: str, *args: str) -> None:
        """Run a command that writes the genesis, which tools since May 2025 have below `genesis`,
        older ones at the top level."""
        if self._genesis_group is None:
            listed = attempt([self.binary, "genesis", "--help"])
            self._genesis_group = listed.returncode == 0 and "add-genesis-account" in listed.stdout
        group = ("genesis",) if self._genesis_group else ()
        self(*group, command, *args)

    def balances(self, address: str) -> Dict[str, int]:
        """Denomination → amount held by the address."""
        answer = self.query("bank", "balances", address)
        if answer is None:
            raise SetupError(f"the chain does not report the balances of {address}")
        return {coin["denom"]: int(coin["amount"]) for coin in answer.get("balances", [])}

    def transact(self, what: str, args: List[str]) -> None:
        """Send a transaction and wait until it is in a block. Raises SetupError if it fails.

        It is broadcast without waiting and then queried, because a block with much kernel work
        takes longer than the node's time limit for a broadcast that waits.
        """
        argv = [
            self.binary,
            "tx",
            *args,
            f"--home={self.home}",
            "--keyring-backend=test",
            "--gas=auto",
            "--gas-adjustment=1.3",
            "--broadcast-mode=sync",
            "--yes",
            f"--chain-id={CHAIN_ID}",
            f"--node={NODE}",
        ]
        # Old tools always print JSON, and do not have the option that later ones need for it.
        done = attempt([*argv, "--output=json"])
        if done.returncode != 0 and "unknown flag: --output" in done.stderr:
            done = attempt(argv)
        if done.returncode != 0:
            raise SetupError(f"{what} failed: {reason(done)}")
        sent = last_json(done.stdout)
        if sent.get("code", 0) != 0:
            raise SetupError(f"{what} was refused: {sent.get('raw_log') or sent}")
        found = wait_for(what, lambda: self.query("tx", str(sent["txhash"])))
        if found.get("code", 0) != 0:
            raise SetupError(
                f"{what} failed in block {found.get('height')}: {found.get('raw_log')}"
            )
        say(f"{what}: done in block {found.get('height')}")


def main(body: Callable[[], None]) -> None:
    """Run a script's body; a SetupError becomes one line and status 1."""
    try:
        body()
    except SetupError as error:
        sys.exit(f"set-up failed: {error}")
