"""The start of a chain: what the node is doing, whether it makes progress, whether it has caught up
with its network.

A new chain bundles the code of its vats, starts its kernel, runs the bootstrap, bundles the core
proposals, and runs them in its first block. A chain that exists already replays its vats.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadgenctl.clock import Clock
from loadgenctl.errors import DeadlineExceeded
from loadgenctl.monitor.readers import Read
from loadgenctl.monitor.sampler import ReaderFactory
from loadgenctl.roles.role import Role
from loadgenctl.slog.scan import SlogScanner, VatRecord

LAUNCHED = "launched"
"""The mark of the line with which the chain's kernel begins to start."""
SLOW = "a slow machine or a long replay needs a larger --timeout.chain"
QUERY_LEAST = 1.0
QUERY_MOST = 10.0
"""Seconds between two queries whether the node has caught up. Each query runs a program in the
chain's container, whose work is measured: the longer it takes, the rarer they are.
"""
_QUERY_SHARE = 0.05
"""The pause before the next query, as a share of the time that has passed."""


class ChainStart:
    """What is known of a chain's start."""

    def __init__(self, role: Role, scanner: SlogScanner, clock: Clock, *, fresh: bool) -> None:
        """`fresh`: the chain was never started before."""
        self._role = role
        self._scanner = scanner
        self._clock = clock
        self._fresh = fresh
        self._slog_grew_at = 0.0

    def slog_grew(self) -> None:
        """Note that its slog has new lines."""
        self._slog_grew_at = self._clock.monotonic()

    def doing(self) -> str:
        """In a few words, e.g. `running the bootstrap: 812 deliveries`."""
        launched = LAUNCHED in self._role.reached
        return doing(self._scanner, launched=launched, fresh=self._fresh)

    def describe(self) -> str:
        """The same with the end of its log, as the detail of an error."""
        return f"{self._role.standing()}\n[it was {self.doing()}]"

    def require_sign_of_life(self, what: str, quiet: float | None) -> None:
        """Raise `DeadlineExceeded` if it has written nothing for more than `quiet` seconds.

        `what` is awaited. None: there is no limit.
        """
        role = self._role
        heard = max(role.started_at or 0.0, role.heard_at or 0.0, self._slog_grew_at)
        if quiet is None or self._clock.monotonic() - heard <= quiet:
            return
        raise DeadlineExceeded(
            f"{what} did not happen, and the chain has written nothing for {quiet:.0f} s",
            role=role.name,
            step=what,
            hint=SLOW,
            detail=self.describe(),
        )


def doing(scanner: SlogScanner, *, launched: bool, fresh: bool) -> str:
    """What a starting chain is doing, in a few words.

    `launched`: its log has said that the kernel starts. `fresh` as in `ChainStart`.
    """
    startup, block = scanner.startup, scanner.open_block
    if not launched:
        return "starting the node"
    if block is not None:
        what = "the core proposals in block" if block.bootstrap else "block"
        return f"running {what} {block.block_height}: {block.deliveries} deliveries"
    if startup.bootstrap_finished_at is not None or startup.core_proposals_s is not None:
        return "bootstrapped, preparing block 1"
    if startup.bootstrap_block_s is not None:
        return "bundling the core proposals"
    if startup.bootstrap_started_at is not None:
        return f"running the bootstrap: {startup.bootstrap_deliveries} deliveries"
    replay = _replay(scanner.vats.values())
    if replay is not None:
        return replay
    if scanner.vats:
        return f"starting the kernel: {len(scanner.vats)} vats"
    if startup.kernel_import_at is not None:
        return "starting the kernel"
    return "bundling the vats' code" if fresh else "opening the kernel's store"


def _replay(vats: Iterable[VatRecord]) -> str | None:
    begun = [vat for vat in vats if vat.replay_started_at is not None]
    if not begun:
        return None
    done = sum(vat.replay_finished_at is not None for vat in begun)
    now = [vat for vat in begun if vat.replay_finished_at is None]
    if not now:
        return f"{done} vats replayed"
    vat = now[-1]
    name = f"{vat.vat_id} {vat.name}" if vat.name else vat.vat_id
    return f"replaying vat {name}, {done} replayed"


class CatchUp:
    """Queries by a thread of its own: a busy node may take seconds to answer, or never do."""

    def __init__(self, read: Read, clock: Clock, make_reader: ReaderFactory) -> None:
        """`read` gets the node's status, as its RPC returns it."""
        self._clock = clock
        self._reader = make_reader(read, clock, "catching-up")
        self._began = clock.monotonic()
        self._queried_at: float | None = None
        self._waiting = False

    def done(self) -> bool:
        """True once an answer says so; queries again when that is due. Never waits."""
        answer = self._reader.poll()
        if answer is not None:
            self._waiting = False
            sync = (answer.document or {}).get("sync_info")
            if isinstance(sync, dict) and sync.get("catching_up") is False:
                return True
        now, last = self._clock.monotonic(), self._queried_at
        pause = min(max(QUERY_LEAST, _QUERY_SHARE * (now - self._began)), QUERY_MOST)
        if not self._waiting and (last is None or now - last >= pause):
            self._queried_at, self._waiting = now, True
            self._reader.ask()
        return False

    def close(self) -> None:
        """End the queries; does not wait for an answer."""
        self._reader.close()
