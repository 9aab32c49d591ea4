"""Reads statistics when they are due, and writes samples.

The run's loop calls `Sampler.poll`, which never waits: threads read statistics, the agent writes a
file. A container that fails affects only its own row, which then says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, Handle
from loadgenctl.monitor import docker_stats, sample_rows
from loadgenctl.monitor.chain_agent import AgentClient
from loadgenctl.monitor.counters import CounterSet
from loadgenctl.monitor.readers import Answer, Read, Reader, ThreadReader
from loadgenctl.monitor.self_usage import OwnUsage
from loadgenctl.records import schema
from loadgenctl.records.reader import Row
from loadgenctl.records.store import RunStore

_NETWORK = ("network_rx_bytes", "network_tx_bytes")

EARLY: Final = 5.0
"""Seconds from an agent's start to the first full sample that is requested early."""

ReaderFactory = Callable[[Read, Clock, str], Reader]


@dataclass(slots=True)
class _Watched:
    """A container that is sampled."""

    handle: Handle
    reader: Reader
    owns_network: bool
    asked_at: float | None = None
    """Monotonic time of the reading in progress."""
    asked_stage: int = -1
    late: bool = False
    """The reading in progress has missed its deadline, and a row says so."""


class Sampler:
    """Samples the containers of a run and, through its agent, the chain's processes."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        store: RunStore,
        *,
        interval: float,
        deadline: float = 5.0,
        names: Mapping[str, str | None] | None = None,
        source: str = "docker",
        make_reader: ReaderFactory = ThreadReader,
        own_usage: OwnUsage | None = None,
    ) -> None:
        """Each container is read every `interval` s; an answer later than `deadline` s is missing.

        `names` has the names of vats whose command line has none; it may grow meanwhile.
        `own_usage` reads the usage of the controller itself, at the same times; None: not read.
        `source` is the kind of engine, for the rows.
        """
        self._own_usage = own_usage
        self._engine = engine
        self._clock = clock
        self._store = store
        self._interval = interval
        self._deadline = deadline
        self._names = names if names is not None else {}
        self._source = source
        self._make_reader = make_reader
        self._watched: dict[str, _Watched] = {}
        self._counters: dict[str, CounterSet] = {}
        self._due = clock.monotonic()
        self._agent: AgentClient | None = None
        self._agent_stage = -1
        self._agent_began = 0.0
        self._early = EARLY
        self._answered: set[str] = set()

    def watch(self, role: str, handle: Handle, *, owns_network: bool = False) -> None:
        """Sample a started container; `owns_network` is for the one whose network others share.

        Docker reports the same network numbers for all of these, which would be counted more than
        once.
        """
        self.unwatch(role)
        reader = self._make_reader(lambda: self._engine.stats(handle), self._clock, role)
        self._watched[role] = _Watched(handle, reader, owns_network)

    def go_on(self, counted: Mapping[str, Row]) -> None:
        """Continue counters of an earlier attempt; role → its last values, and epoch."""
        for role, row in counted.items():
            counters = CounterSet.after(docker_stats.COUNTERS, row, row.get("epoch") or 0)
            self._counters[role] = counters

    def unwatch(self, role: str) -> None:
        """Stop sampling; call it before the container is stopped. Idempotent."""
        watched = self._watched.pop(role, None)
        if watched is not None:
            self._collect(role, watched)
            watched.reader.close()

    def start_agent(self, agent: AgentClient) -> None:
        """Start the chain's agent; its samples belong to this stage."""
        self.stop_agent()
        self._agent = agent
        self._agent_stage = self._store.stage
        self._agent_began, self._early = self._clock.monotonic(), EARLY
        self._take(agent.start())

    def stop_agent(self) -> None:
        """Take the agent's last lines and forget it; it ends with its container. Idempotent."""
        if self._agent is not None:
            self._drain_agent()
            self._agent = None

    def poll(self) -> None:
        """Do what is due. Raises `OutputFolderError` when rows cannot be written."""
        now = self._clock.monotonic()
        for role, watched in self._watched.items():
            self._collect(role, watched)
        if now >= self._due:
            # Readings that were missed are lost; the times of the next ones do not move.
            self._due += self._interval * (1 + (now - self._due) // self._interval)
            for role, watched in self._watched.items():
                self._ask(role, watched, now)
            if self._own_usage is not None:
                self._write_own(self._own_usage())
        self._ask_early(now)
        self._drain_agent()

    def snapshot_now(self, *, timeout: float = 3.0) -> bool:
        """Read everything once, for a stage's begin or end; waits up to `timeout` s.

        False if an answer was not there in time; it is recorded later.
        """
        start = self._clock.monotonic()
        for role, watched in self._watched.items():
            self._collect(role, watched)
            self._ask(role, watched, start)
        agent = self._agent
        word = agent.request() if agent is not None and agent.given_up is None else None
        while True:
            for role, watched in self._watched.items():
                self._collect(role, watched)
            self._drain_agent()
            waiting = any(watched.asked_at is not None for watched in self._watched.values())
            if not waiting and (word is None or word in self._answered):
                return True
            if self._clock.monotonic() - start >= timeout:
                return False
            self._clock.sleep(0.05)

    def close(self) -> None:
        """Stop everything; never blocks."""
        self.stop_agent()
        for role in list(self._watched):
            self.unwatch(role)

    def _ask_early(self, now: float) -> None:
        """Request full samples soon after a start, at doubled distances up to the usual one.

        A vat's CPU needs two samples, and the usual distance is minutes.
        """
        agent = self._agent
        if agent is None or agent.given_up is not None or self._early >= agent.full_interval:
            return
        if now - self._agent_began >= self._early:
            agent.request()
            while now - self._agent_began >= self._early:
                self._early *= 2

    def _ask(self, role: str, watched: _Watched, now: float) -> None:
        if watched.asked_at is not None:
            if watched.late:
                # Still no answer to an earlier request: there is none at this time either.
                self._write(
                    role, watched, self._missing(f"no answer for {now - watched.asked_at:.0f} s")
                )
            return
        watched.asked_at = now
        watched.asked_stage = self._store.stage
        watched.late = False
        watched.reader.ask()

    def _collect(self, role: str, watched: _Watched) -> None:
        if watched.asked_at is None:
            return
        answer = watched.reader.poll()
        if answer is not None:
            watched.asked_at = None
            self._write(role, watched, answer)
        elif not watched.late and self._clock.monotonic() - watched.asked_at > self._deadline:
            watched.late = True
            self._write(role, watched, self._missing(f"no answer within {self._deadline:g} s"))

    def _missing(self, reason: str) -> Answer:
        return Answer(self._clock.wall(), None, reason)

    def _write(self, role: str, watched: _Watched, answer: Answer) -> None:
        values = docker_stats.missing()
        reason = answer.reason
        if answer.document is not None:
            values = docker_stats.parse(answer.document)
            if all(value is None for value in values.values()):
                reason = "the container was not running"
        if not watched.owns_network:
            values.update(dict.fromkeys(_NETWORK))
        counters = self._counters.setdefault(role, CounterSet(docker_stats.COUNTERS))
        corrected = counters.update(values, watched.handle.id)
        row = schema.sample_row(
            round(answer.time, 6),
            watched.asked_stage,
            self._source,
            "container",
            role,
            {"epoch": counters.epoch, **corrected},
            role=role,
            reason=reason,
        )
        self._store.append(schema.SAMPLES, row)

    def _write_own(self, usage: Mapping[str, float | int]) -> None:
        now = round(self._clock.wall(), 6)
        who = "controller"
        row = schema.sample_row(now, self._store.stage, who, "process", who, usage, role=who)
        self._store.append(schema.SAMPLES, row)

    def _drain_agent(self) -> None:
        if self._agent is not None:
            self._take(self._agent.poll())

    def _take(self, lines: list[Row]) -> None:
        for line in lines:
            found = sample_rows.samples(line, self._agent_stage, self._names)
            self._store.append_many(schema.SAMPLES, list(found))
            for fields in sample_rows.usage_events(line, self._names):
                self._store.perf("chain-process-usage", **fields)
            storage = sample_rows.storage_event(line)
            if storage is not None:
                self._store.perf("chain-storage-usage", chain=storage)
            if "request" in line:
                self._answered.add(line["request"])
