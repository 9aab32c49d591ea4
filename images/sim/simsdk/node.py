"""The chain node: the loop that makes blocks."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import VERSION, genesis, ledger
from .actions import Actions, is_offer
from .config import SimConfig
from .console import Stop, complain, say
from .faults import Fault, FaultBook
from .feed import FedBlock, Feed, FeedError
from .forms import FORMS
from .kernel import Kernel, StoppedError
from .mempool import Mempool
from .rpc import NodeView, Rpc
from .slog import SlogWriter
from .stopping import spoil_stop
from .store import Block, Store
from .telling import BlockSlog
from .vats import VatDiedError
from .web import UnreachableError, serve

Json = Any
MIB = 1 << 20


class Node:
    """One run of the chain."""

    def __init__(
        self,
        home: Path,
        config: SimConfig,
        slog_path: str | None,
        stage: int | None,
        stop: Stop,
        follow: tuple[str, int] | None = None,
    ) -> None:
        """Load the state. Raises `StoreError`; `FileNotFoundError` without an initialised home.

        `follow` is host and port of the RPC of a network's node, whose blocks this node repeats.
        """
        self._home = home
        self._config = config
        self._stop = stop
        document = genesis.read(home)
        self._chain_id = str(document["chain_id"])
        self._genesis = document
        self._genesis_time = float(document["genesis_time"])
        self._feed = Feed(*follow, self._chain_id) if follow else None
        self._lost = False
        self._slog_path = slog_path
        self._slog = SlogWriter(slog_path, FORMS[config.slog.dialect])
        self._store = Store(home / genesis.LOG)
        self._mempool = Mempool(home / "data" / "mempool.json")
        self._faults = FaultBook(config.faults, stage, config.seed)
        self._kernel = Kernel(config, self._store, self._slog, home / "run", lambda: stop.requested)
        limit = document.get("compute_limit")
        self._told = BlockSlog(self._slog, self._kernel, self._store, limit)
        self._actions = Actions(self._kernel, self._store, self._told, limit)
        self._lock = threading.Lock()
        self._hog: list[bytes] = []
        self._made = 0
        self._stalled_until = 0.0
        self._previous = 0.0

    def run(self) -> int:
        """Run until a signal or a fault; return the exit code."""
        server: ThreadingHTTPServer | None = None
        fresh = self._store.height < 0
        say("sim-chain", f"simulated chain {VERSION}: every number it yields is simulated")
        try:
            if self._stop.wait(self._faults.delay("chain", not fresh)):
                return 0
            say("launch-chain", "Launching SwingSet kernel")
            self._kernel.start()
            if fresh:
                self._bootstrap()
            server = serve(self._config.chain.rpc_port, self._rpc().routes())
            if self._feed is None:
                self._loop()
            else:
                self._follow(self._feed)
        except StoppedError:
            pass
        except FeedError as error:
            complain(f"sim-chain: {error}")
            return 1
        except VatDiedError as error:
            complain(f"panic: {error}")
            return 1
        except OSError as error:
            complain(
                f"sim-chain: {error} (RPC port {self._config.chain.rpc_port}, home {self._home})"
            )
            return 1
        finally:
            self._close(server)
        spoil_stop(self._faults, "chain")
        say("sim-chain", "stopped")
        return 0

    def _close(self, server: ThreadingHTTPServer | None) -> None:
        if server is not None:
            server.shutdown()
            server.server_close()
        self._kernel.close()
        if self._feed is not None:
            self._feed.close()
        self._mempool.save()
        self._slog.close()
        self._store.close()

    def _rpc(self) -> Rpc:
        view = NodeView(
            self._chain_id,
            genesis.node_id(self._config.seed),
            # The network may have made a block since the last request.
            lambda: self._feed is not None and self._store.height < max(self._feed.target, 1),
            follows=self._feed is not None,
            genesis=self._genesis,
        )
        return Rpc(view, self._store, self._mempool, self._lock)

    def _follow(self, feed: Feed) -> None:
        """Repeat the network's blocks; on a block that cannot be repeated, report it and halt.

        Raises `FeedError`.
        """
        while not self._stop.requested:
            behind = self._behind(feed)
            if time.monotonic() < self._stalled_until or behind <= 0:
                self._stop.wait(self._config.chain.block_time / 4)
                continue
            try:
                fed = feed.block(self._store.height + 1)
            except UnreachableError:
                continue
            self._repeat(fed)

    def _behind(self, feed: Feed) -> int:
        """Blocks that the network has and this node lacks; 0 while the network does not answer."""
        if feed.target > self._store.height:
            return feed.target - self._store.height
        try:
            target = feed.look()
        except UnreachableError as error:
            if not self._lost:
                say("p2p", f"lost the network: {error}")
            self._lost = True
            return 0
        if self._lost:
            say("p2p", f"found the network again at block {target}")
        self._lost = False
        return target - self._store.height

    def _repeat(self, fed: FedBlock) -> None:
        if not self._run_block(fed.height, fed.time, fed.txs):
            return
        ours = self._store.blocks[fed.height].app_hash
        if ours != fed.app_hash:
            reason = f"app hash {ours[:8]} of block {fed.height} is {fed.app_hash[:8]} elsewhere"
            say("tendermint", f'CONSENSUS FAILURE!!! err="{reason}" module=consensus')
            self._stalled_until = float("inf")

    def _loop(self) -> None:
        # The first block is made immediately, as the real chain catches up after a restart.
        due = time.monotonic()
        while not self._stop.wait(due - time.monotonic()):
            began = time.monotonic()
            if began >= self._stalled_until:
                self._block()
            pace = self._config.chain.block_time
            # The block time counts from start to start; there is a pause even if the chain is too
            # slow for that.
            due = max(began + pace, time.monotonic() + pace * 0.05)

    def _bootstrap(self) -> None:
        ledger.genesis(self._store)
        with self._told.bootstrap(int(self._genesis_time)):
            self._kernel.bootstrap()
        self._save(Block(0, self._genesis_time))

    def _block(self) -> None:
        height = self._store.height + 1
        # A block has the time at which its predecessor was agreed on.
        when, now = self._previous or self._store.blocks[height - 1].time, time.time()
        if self._run_block(height, when, None):
            self._previous = now

    def _run_block(self, height: int, when: float, given: list[Json] | None) -> bool:
        """Make and commit a block of the given or the waiting transactions.

        False when a fault stops the blocks.
        """
        due = self._faults.at_block(height, self._made + 1)
        if any(self._halt(fault, height) for fault in due):
            return False
        block = Block(height, when)
        say("block-manager", f"block {height} begin")
        self._told.begin(height, int(block.time))
        for fault in due:
            self._strike(fault, height)
        waiting = self._mempool.take(self._config.chain.max_block_txs) if given is None else given
        txs = [tx for tx in waiting if tx["id"] not in self._store.done]
        self._execute(block, txs, postpone=given is None)
        with self._told.commit():
            self._save(block)
        self._made += 1
        say("block-manager", f"block {height} commit")
        return True

    def _execute(self, block: Block, txs: list[Json], *, postpone: bool) -> None:
        """Run the end-block; the first one begins with what the bootstrap has left to it.

        `postpone` as in `_run_txs`.
        """
        proposals = block.height == 1 and self._slog.form.phases
        self._told.transactions([tx for tx in txs if not is_offer(tx)])
        self._told.end_start(never_stops=proposals)
        if proposals:
            with self._told.core_proposals():
                self._kernel.core_proposals()
        self._actions.run(block.height)
        self._run_txs(block, txs, postpone=postpone)
        self._told.end_finish(cleanup=not proposals)

    def _run_txs(self, block: Block, txs: list[Json], *, postpone: bool) -> None:
        """Add transactions to the block; those that do not fit wait for the next one.

        `postpone` is False for the block of a network, whose content is fixed.
        """
        late: list[Json] = []
        for number, tx in enumerate(txs):
            if is_offer(tx):
                result = self._actions.include(tx)
            elif postpone and self._actions.full():
                late.append(tx)
                continue
            else:
                with self._told.message(tx, number):
                    result = self._kernel.run_tx(tx)
            block.results.append(result)
            block.txs.append(tx)
        self._mempool.give_back(late)

    def _save(self, block: Block) -> None:
        before = self._store.blocks[block.height - 1].app_hash if block.height else ""
        block.app_hash = hashlib.sha256(f"{before}/{block.results}".encode()).hexdigest().upper()
        deliveries = self._kernel.take_deliveries()
        growth = self._config.growth
        padding = "=" * (growth.transcript_per_delivery * len(deliveries))
        with self._lock:
            self._store.commit(block, deliveries, padding)
        self._slog.flush()
        self._grow(block.height, growth.storage_per_block)

    def _grow(self, height: int, size: int) -> None:
        """Let the other databases grow; their content is never read."""
        shares = {"blockstore.db": 0.4, "application.db": 0.4, "state.db": 0.1, "cs.wal": 0.1}
        for name, share in shares.items():
            path = self._home / "data" / name / ("wal" if name == "cs.wal" else "000001.log")
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as log:
                log.write(f"{height:012d}".encode().ljust(int(size * share), b"="))

    def _halt(self, fault: Fault, height: int) -> bool:
        """Perform a fault that stops the blocks; False for any other."""
        if fault.kind == "consensus-failure":
            reason = f"simulated failure at block {height}"
            say("tendermint", f'CONSENSUS FAILURE!!! err="{reason}" module=consensus')
            if fault["exit_code"] >= 0:
                self._die(reason, fault["exit_code"])
        elif fault.kind != "chain-stall":
            return False
        seconds = fault.options.get("seconds", 0.0)
        self._stalled_until = time.monotonic() + seconds if seconds > 0 else float("inf")
        return True

    def _strike(self, fault: Fault, height: int) -> None:
        """Perform a fault inside the block."""
        if fault.kind == "chain-crash":
            self._die(f"panic: simulated crash at block {height}", fault["exit_code"])
        elif fault.kind == "memory-hog":
            self._hog.append(b"\xa5" * (fault["mib"] * MIB))
        else:
            self._spoil_slog(fault, height)

    def _spoil_slog(self, fault: Fault, height: int) -> None:
        if fault.kind == "slog-torn":
            self._slog.raw(b'{"time":%.6f,"type":"deliver","crankNum":' % time.time())
            self._slog.raw(b"\n" if fault["newline"] else b"")
        elif fault.kind == "slog-garbage":
            seed = f"{self._config.seed}/{height}".encode()
            data = hashlib.sha256(seed).digest() * (fault["bytes"] // 32 + 1)
            self._slog.raw(data[: fault["bytes"]].replace(b"\n", b"\0") + b"\n")
        elif fault.kind == "slog-ends":
            self._slog.close()
        elif fault.kind == "slog-clock-back":
            self._slog.set_clock_back(fault["seconds"])
        elif fault.kind == "slog-clock-forward":
            self._slog.set_clock_back(-fault["seconds"])
        elif fault.kind == "slog-huge":
            self._slog.write(
                "syscall", vatID="v1", ksc=["send", "ko33", "x" * (fault["mib"] * MIB)]
            )

    def _die(self, message: str, code: int) -> None:
        """End like a crash, without clean-up: the workers end when their input is closed."""
        complain(message)
        self._slog.flush()
        os._exit(code)
