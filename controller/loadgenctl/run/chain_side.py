"""The chain's side of a stage: node up, blocks counted as they come, node down."""

from __future__ import annotations

from contextlib import closing

from loadgenctl.errors import STALLED, DeadlineExceeded, EngineError, LoadgenError, RunError
from loadgenctl.records import schema
from loadgenctl.records.reader import parse_row
from loadgenctl.roles import probes
from loadgenctl.roles.role import Role, stop_troubles
from loadgenctl.run import diagnosis
from loadgenctl.run.chain_start import LAUNCHED, SLOW, CatchUp, ChainStart
from loadgenctl.run.context import RunContext
from loadgenctl.run.watch import Watch
from loadgenctl.slog.block_rows import BlockRows
from loadgenctl.slog.follow import SlogFollower
from loadgenctl.slog.scan import BlockRecord, SlogScanner

BLOCK_STALL = 180.0
"""Seconds without a finished block after which the chain has stalled."""
FATAL_CHECK = 10.0
"""Seconds without a finished block after which the log is searched for the reason, repeatedly: the
process of a chain that has failed for good may still run.
"""
HEALTH_TIMEOUT = 60.0
"""Seconds that a chain that makes blocks may take to answer by RPC."""
FIRST_EMPTY_TIMEOUT = 300.0
FIRST_EMPTY_TRIES = 10


class ChainSide:
    """Starts, watches and stops the chain node of one stage; writes its slog's blocks as rows."""

    def __init__(self, ctx: RunContext, watch: Watch, stage: int) -> None:
        """Nothing is started yet."""
        self._ctx = ctx
        self._watch = watch
        self._stage = stage
        self.recipe = ctx.family.chain(ctx.role_context(stage))
        self.role = Role(ctx.pod, self.recipe, ctx.clock)
        self.scanner = SlogScanner()
        fresh = ctx.plan.reset and stage == 0
        self._start = ChainStart(self.role, self.scanner, ctx.clock, fresh=fresh)
        self._follower = self._follow_slog()
        self._rows = BlockRows(stage)
        self._activity = diagnosis.VatActivity(self.scanner)
        self._counted_since = ctx.clock.monotonic()
        self._blocks_since = 0
        self._bootstrap_events = 0
        self._following = False
        self._first_begin: float | None = None
        """When the stage's first block began, epoch seconds."""
        self._ready_at: float | None = None
        self._ready_since = 0.0
        """The same on the monotonic clock."""
        self._shutdown_at: float | None = None
        self._last_progress = ctx.clock.monotonic()
        self._next_check = FATAL_CHECK
        self._height_before: int | None = None
        """The node's own height, half-way to the time limit of the slog."""
        self.blocks: list[BlockRecord] = []
        """Since the chain was ready; only the newest few."""
        self.height: int | None = None

    def _follow_slog(self) -> SlogFollower | None:
        if self.recipe.slog is None:
            return None
        packed = self._ctx.packed_slog("chain", self._stage)
        plain = self._ctx.on_host(self.recipe.slog)
        return SlogFollower(plain, packed, codec=self._ctx.plan.slog_codec, scanner=self.scanner)

    def start(self) -> None:
        """Start the node and wait until its kernel is up."""
        ctx = self._ctx
        ctx.store.perf("run-chain-start")
        self.role.start()
        self._watch.roles.append(self.role)
        self._watch.pollers.append(self.poll)
        if any(mark.name == LAUNCHED for mark in self.recipe.marks):
            self._await_mark(LAUNCHED, "the start of the chain's kernel")
        ctx.store.perf("run-chain-finish")

    def wait_ready(self) -> None:
        """Wait until the first block is committed, and for the RPC."""
        ctx = self._ctx
        self._await_mark(self.recipe.marks[-1].name, "the chain's first block")
        self._await_health()
        if ctx.network is not None:
            self._catch_up(ctx.network.chain_id)
        self._ready_at = ctx.clock.wall()
        self._last_progress = self._ready_since = ctx.clock.monotonic()
        ctx.store.perf("chain-ready")

    def _catch_up(self, chain_id: str) -> None:
        """Wait until the node has all blocks of its network, for as long as blocks come."""
        ctx = self._ctx
        self._following, self._last_progress = True, ctx.clock.monotonic()
        ctx.progress.step(f"stage {self._stage}: catching up with {chain_id}")
        catch_up = CatchUp(lambda: self._ask("status"), ctx.clock, ctx.make_reader)
        with closing(catch_up):
            self._watch.until(catch_up.done, timeout=float("inf"), role="chain", what="catching up")
        self.poll()
        now, began = ctx.clock.monotonic(), self.role.reached.get(LAUNCHED)
        seconds, blocks = now - (now if began is None else began), self._blocks_since
        # From the first block on: the records have the SDK's bootstrap separately.
        busy = 0.0 if self._first_begin is None else ctx.clock.wall() - self._first_begin
        ctx.store.perf(
            "chain-caught-up",
            block=self.height,
            blocks=blocks,
            duration=round(seconds, 6),
            blocksDuration=round(busy, 6),
            blocksPerSecond=round(blocks / busy, 6) if busy > 0 else None,
        )
        ctx.progress.note(
            f"stage {self._stage}: caught up at block {self.height}:"
            f" {blocks} blocks in {busy:.0f} s, {seconds:.0f} s after its launch"
        )

    def _await_mark(self, mark: str, what: str) -> None:
        # The user's limit is the only one.
        quiet = None if "chain" in self._ctx.plan.timeouts_s else self.recipe.quiet_timeout

        def reached() -> bool:
            if mark in self.role.reached:
                return True
            self._start.require_sign_of_life(what, quiet)
            return False

        self._watch.until(
            reached,
            timeout=self._ctx.timeout("chain", self.recipe.ready_timeout),
            role="chain",
            what=what,
            hint=SLOW,
            last_lines=self._start.describe,
        )

    def starting(self) -> str | None:
        """What the node is doing while it starts, in a few words; None before and afterwards."""
        if not self.role.started or self._ready_at is not None or self._following:
            return None
        if self.height is not None and self.scanner.open_block is None:
            return f"chain at block {self.height}, waiting for its RPC"
        return f"chain {self._start.doing()}"

    def _await_health(self) -> None:
        timeout = self._ctx.timeout("chain", HEALTH_TIMEOUT)

        def answers() -> bool:
            return self.rpc("health") is not None

        if not self._watch.reached(answers, timeout=timeout, pace=0.5):
            raise DeadlineExceeded(
                "the chain makes blocks but its RPC does not answer",
                role="chain",
                step="the chain's RPC",
                hint="a slow machine needs a larger --timeout.chain",
                detail=f"{self.role.standing()}\nno answer on /health",
            )

    def rpc(self, path: str) -> dict[str, object] | None:
        """The result of an RPC GET on the node's own loopback; None if it does not answer."""
        try:
            return self._ask(path)
        except EngineError:
            # `poll` raises if the node has just ended or the engine is gone: that is the cause. A
            # paused container only gives no answer.
            self.role.poll()
            return None

    def _ask(self, path: str) -> dict[str, object] | None:
        """Like `rpc`, from any thread. Raises `EngineError` if the node cannot be queried."""
        question = probes.get(self._ctx.plan.ports.chain, path)
        answer = self._ctx.engine.exec(self.role.handle, question, timeout=10.0)
        if answer.exit_code != 0:
            return None
        result = (parse_row(answer.output) or {}).get("result")
        return result if isinstance(result, dict) else None

    def poll(self) -> None:
        """Follow the slog, write rows of finished blocks, check that the chain makes blocks."""
        if self._follower is None or self._take(self._follower):
            return
        if (self._ready_at is not None or self._following) and self._shutdown_at is None:
            self._check_stall()

    def _take(self, follower: SlogFollower) -> bool:
        """Follow the slog and write rows of finished blocks; True if there were any."""
        ctx = self._ctx
        if follower.poll():
            self._start.slog_grew()
        self._record_bootstrap()
        finished = self.scanner.take_blocks()
        if finished:
            ctx.vat_names.update({vat: seen.name for vat, seen in self.scanner.vats.items()})
            self._last_progress = ctx.clock.monotonic()
            self._next_check, self._height_before = FATAL_CHECK, None
            self._write(finished)
        return bool(finished)

    def _record_bootstrap(self) -> None:
        seen = self.scanner.startup
        marks = (("start", seen.bootstrap_started_at), ("finish", seen.bootstrap_finished_at))
        for name, at in marks[self._bootstrap_events :]:
            if at is None:
                return
            self._ctx.store.perf(f"chain-first-init-{name}")
            self._bootstrap_events += 1

    def _live_since(self) -> float | None:
        """When the chain was ready, by the clock that stamps blocks now: if the machine's clock was
        set back since, that is earlier than the time recorded then.
        """
        if self._ready_at is None:
            return None
        clock = self._ctx.clock
        return min(self._ready_at, clock.wall() - (clock.monotonic() - self._ready_since))

    def _write(self, finished: list[BlockRecord]) -> None:
        rows = []
        live_since = self._live_since()
        for block in finished:
            row = self._rows.row(block, chain_ready_at=live_since, shutdown_at=self._shutdown_at)
            rows.append(row)
            self.height = block.block_height
            if self._first_begin is None:
                self._first_begin = block.begin_at
            self._blocks_since += 1
        self._ctx.store.append_many(schema.BLOCKS, rows)
        if self._ready_at is not None:
            self.blocks = (self.blocks + finished)[-100:]

    def _check_stall(self) -> None:
        limit = self._ctx.timeout("block", BLOCK_STALL)
        silent = self._ctx.clock.monotonic() - self._last_progress
        if self._height_before is None and silent > limit / 2:
            self._height_before = self._node_height()
        if silent <= min(limit, self._next_check):
            return
        fatal = self.role.fatal_in_tail()
        if silent <= limit and not fatal:
            self._next_check = silent + FATAL_CHECK
            return
        network = self._ctx.network
        if not fatal:
            self._require_slog(silent)
        who = "the chain made" if network is None else f"the network {network.chain_id} gave"
        slow = "a chain with slower blocks needs a larger --timeout.block"
        gone = f"check that the network still runs; {slow}"
        raise RunError(
            f"{who} no block for {silent:.0f} s{self._last_block()}"
            + (f": {fatal}" if fatal else ""),
            role="chain" if network is None or fatal else "network",
            step=STALLED,
            hint=None if fatal else slow if network is None else gone,
            detail=f"{self.role.last_lines()}\n{self.vats_diagnosis()}",
        )

    def _require_slog(self, silent: float) -> None:
        """Raise `RunError` if it is the slog that has no more blocks, and not the chain."""
        before, height = self._height_before, self._node_height()
        if before is None or height is None or height <= before:
            return
        raise RunError(
            f"the chain's slog has had no block for {silent:.0f} s{self._last_block()}, and the"
            f" chain is at block {height}",
            role="chain",
            step=STALLED,
            hint="every number of a block comes from the slog: check that this SDK writes it, and"
            " that nothing else changes the run's shared folder",
            detail=self.role.last_lines(),
        )

    def _last_block(self) -> str:
        return "" if self.height is None else f" after block {self.height}"

    def _node_height(self) -> int | None:
        """The height of the chain by the node's RPC; None if it does not answer."""
        sync = (self.rpc("status") or {}).get("sync_info")
        height = str(sync.get("latest_block_height")) if isinstance(sync, dict) else ""
        return int(height) if height.isascii() and height.isdecimal() else None

    def height_now(self) -> int | None:
        """The height of the last finished block in the slog as it is now; None without any."""
        if self._follower is not None:
            self._take(self._follower)
        return self.height

    def reset_counts(self) -> None:
        """From now on, a diagnosis reports the blocks and the vats' work since this moment."""
        self._activity.reset()
        self._counted_since = self._ctx.clock.monotonic()
        self._blocks_since = 0

    def vats_diagnosis(self) -> str:
        """What vats are doing, and have done since `reset_counts`."""
        return diagnosis.section("vats", self._activity.lines(self._ctx.clock.wall()))

    def diagnosis(self) -> str:
        """What a running chain and its vats have done since `reset_counts`."""
        seconds = self._ctx.clock.monotonic() - self._counted_since
        lines = [
            diagnosis.block_line(self.height, self._blocks_since, seconds),
            diagnosis.mempool_line(self.rpc),
        ]
        return "\n".join([diagnosis.section("chain", lines), self.vats_diagnosis()])

    def wait_first_blocks(self) -> None:
        """Wait for the first block, then for one without deliveries."""
        seen = 0

        def first() -> bool:
            return bool(self.blocks)

        def empty() -> bool:
            nonlocal seen
            seen = len(self.blocks)
            return seen >= FIRST_EMPTY_TRIES or any(not block.deliveries for block in self.blocks)

        if self._follower is None:
            return
        # No time limit: `_check_stall` raises if no block comes.
        self._watch.reached(first, timeout=float("inf"))
        self._ctx.store.perf("stage-first-block", block=self.blocks[0].block_height)
        self._watch.reached(empty, timeout=FIRST_EMPTY_TIMEOUT)
        for block in self.blocks:
            if not block.deliveries:
                self._ctx.store.perf("stage-first-empty-block", block=block.block_height)
                return
        self._ctx.progress.warn(
            f"stage {self._stage}: no block without deliveries among the first {seen}; continuing"
        )

    def shutdown_begins(self) -> None:
        """Blocks from now on are not `beforeShutdown`."""
        self._shutdown_at = self._ctx.clock.wall()

    def stop(self) -> list[LoadgenError]:
        """Stop the node and take the rest of its slog; the errors of a stop that was not clean."""
        self._watch.roles = [role for role in self._watch.roles if role is not self.role]
        self.role.stop_following()
        # Right before the signal, so that `chain_stop_s` is the time of the chain alone.
        self._ctx.store.perf("chain-stopping")
        self.role.stop()
        self._ctx.store.perf("chain-stopped")
        self.poll()
        return stop_troubles([self.role])

    def close(self) -> None:
        """Finish the slog, keep the log, remove the container; works in every state."""
        self._watch.pollers = [poll for poll in self._watch.pollers if poll != self.poll]
        try:
            self._ctx.close_role(self.role, f"chain-stage-{self._stage}")
        finally:
            self._finish_slog()

    def _finish_slog(self) -> None:
        if self._follower is None:
            return
        end = self._follower.close(delete_plain=True)
        self._write(self.scanner.take_blocks())
        if end.torn:
            self._ctx.progress.warn(
                f"stage {self._stage}: the chain's slog ends in a torn line of {end.torn} bytes"
            )


class NoChain(ChainSide):
    """In place of the chain's side of a stage without a chain node (`--no-monitor`)."""

    def wait_first_blocks(self) -> None:
        """There is no slog with blocks."""

    def shutdown_begins(self) -> None:
        """There are no blocks to tell apart."""

    def height_now(self) -> int | None:
        """There is no slog with blocks."""
        return None

    def stop(self) -> list[LoadgenError]:
        """There is no node."""
        return []

    def close(self) -> None:
        """There is neither a node nor a slog."""

    def vats_diagnosis(self) -> str:
        """Vats are the network's."""
        return ""

    def diagnosis(self) -> str:
        """Why there is none."""
        return "no chain node ran (--no-monitor): check the network itself"
