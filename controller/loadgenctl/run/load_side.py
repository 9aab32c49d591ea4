"""The load's side of a stage: clients and load service up, cycles counted, all wound down.

Where the load acts through smart wallets there is no client: the list of them is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from loadgenctl.engines.base import ExecResult
from loadgenctl.errors import STALLED, EngineError, LoadFailed, LoadgenError
from loadgenctl.records import schema
from loadgenctl.roles.load_client import LoadClient, LoadEvents, LoadUnreachable
from loadgenctl.roles.load_config import rules
from loadgenctl.roles.role import Role, stop_troubles
from loadgenctl.run import diagnosis
from loadgenctl.run.context import RunContext
from loadgenctl.run.state_setup import prepare, run_all
from loadgenctl.run.watch import CALM, Watch
from loadgenctl.sdks.base import clients, events_path
from loadgenctl.slog.follow import SlogFollower

STARTED = "started"
CLIENT = "client"
"""The name of any client in file names and events."""
CYCLE_STALL = 600.0
"""Seconds under load without a finished cycle, beyond what the schedule itself leaves between two
starts, after which the load is called stalled.
"""
PREPARATION = 600.0
"""Time limit, in seconds, for the first preparation of all tasks."""
WIND_DOWN_LEAST = 120.0
"""Seconds without a finished cycle, after the load's end, in which one in flight may finish, unless
`--timeout.cycle` gives another number; twice the stage's longest cycle if that is more.
"""
WIND_DOWN_INTERRUPTED = 20.0
"""Seconds in which all cycles in flight of an interrupted stage may finish."""


class LoadSide:
    """Starts, watches and stops the clients and the load generator of one stage."""

    def __init__(
        self,
        ctx: RunContext,
        watch: Watch,
        stage: int,
        *,
        on_progress: Callable[[], None],
        diagnose: Callable[[], str],
        height: Callable[[], int | None],
    ) -> None:
        """Nothing is started yet.

        `on_progress` is called when the load begins and when cycles finish, `diagnose` when the
        load has stalled. `height` is that of the chain's last finished block.
        """
        self._on_progress = on_progress
        self._diagnose = diagnose
        self._height = height
        self._ctx = ctx
        self._watch = watch
        self._stage = stage
        role_context = ctx.role_context(stage)
        self.clients = tuple(
            Role(ctx.pod, recipe, ctx.clock) for recipe in clients(ctx.family, role_context)
        )
        self.loadgen = Role(ctx.pod, ctx.family.loadgen(role_context), ctx.clock)
        self.events = LoadEvents(ctx.on_host(events_path(stage)), stage)
        self._slogs: list[SlogFollower] = []
        self._loaded_since: float | None = None
        self._load_over = False
        self.load_began: float | None = None
        """When the load was turned on, by the monotonic clock."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """Clients and load generator, in the order in which they start."""
        return (*self.clients, self.loadgen)

    @property
    def provisions(self) -> bool:
        """Whether `provision` has anything to do; some drivers create what they need themselves."""
        return any(role.recipe.prepare or role.recipe.provision for role in self.roles)

    def provision(self) -> None:
        """Create what the load acts through, fund it and register it with the running chain, unless
        that is done already.

        The chain runs before this, so that it starts as early as possible.
        """
        name, log = f"stage {self._stage}", f"setup-stage-{self._stage}"
        for recipe in (role.recipe for role in self.roles):
            # The chain must keep running meanwhile, and an interrupt must be noticed.
            prepare(self._ctx, recipe, name, log, self._watch.turn)
            run_all(self._ctx, recipe.provision, name, log, self._watch.turn)

    def start_client(self, client: Role) -> None:
        """Start a client and wait until it is ready."""
        ctx, recipe = self._ctx, client.recipe
        if recipe.slog is not None:
            slog = SlogFollower(
                ctx.on_host(recipe.slog),
                ctx.packed_slog(CLIENT, self._stage),
                codec=ctx.plan.slog_codec,
            )
            self._slogs.append(slog)
        self._poll_from_now()
        began = ctx.clock.monotonic()
        ctx.store.perf("run-client-start")
        self._bring_up(client, CLIENT, STARTED)
        ctx.store.perf("client-ready", duration=round(ctx.clock.monotonic() - began, 6))

    def _poll_from_now(self) -> None:
        if self.poll not in self._watch.pollers:
            self._watch.pollers.append(self.poll)

    def start_load(self) -> None:
        """Start the load service and wait until its driver is ready."""
        self._poll_from_now()
        self._ctx.store.perf("run-loadgen-start")
        self._bring_up(self.loadgen, "loadgen", STARTED)
        self._ctx.store.perf("loadgen-ready")
        # The driver reports what it offers before it is ready.
        self.poll()
        self._require_offered()

    def _require_offered(self) -> None:
        """Raise `LoadFailed` for a task of this stage or a later one that the driver cannot run.

        Later stages are checked now, because otherwise the stages before them would run in vain.
        """
        offered, unavailable = self.events.offered, self.events.unavailable
        if not offered and not unavailable:
            return
        left = self._ctx.plan.stages[self._stage :]
        missing = {task: None for spec in left for task in spec.load or {} if task not in offered}
        if not missing:
            return
        named = [
            f"{task} ({unavailable[task]})" if task in unavailable else task for task in missing
        ]
        raise LoadFailed(
            f"the load of this revision cannot run {', '.join(named)};"
            f" it offers {', '.join(offered) or 'no task'}",
            role="loadgen",
            step="load",
            hint=f"leave out --stage.loadgen.{next(iter(missing))}"
            + (f", and use --stage.loadgen.{offered[0]}" if offered else ""),
        )

    def _bring_up(self, role: Role, perf_name: str, first_mark: str) -> None:
        ctx, recipe = self._ctx, role.recipe
        role.start()
        self._watch.roles.append(role)
        timeout = ctx.timeout(role.name, recipe.ready_timeout)
        marks = [mark.name for mark in recipe.marks]
        if first_mark in marks[:-1]:
            self._await(role, first_mark, timeout)
        ctx.store.perf(f"run-{perf_name}-finish")
        self._await(role, marks[-1], timeout)

    def _await(self, role: Role, mark: str, timeout: float) -> None:
        self._watch.until(
            lambda: mark in role.reached,
            timeout=timeout,
            role=role.name,
            what=f"{role.name} reaching {mark!r}",
            hint=f"a slow machine needs a larger --timeout.{role.name}",
            last_lines=role.standing,
        )

    def prepare(self, tasks: Sequence[str]) -> None:
        """Prepare tasks without running a cycle. Raises `DeadlineExceeded`.

        A task that cannot be prepared is reported in the events, as under load.
        """
        # The service prepares a task when it is turned on, and waits before its first cycle.
        self._configure({task: {"wait": rules().MAX_SECONDS} for task in tasks})
        self._watch.until(
            lambda: self.events.settled(tasks),
            timeout=self._ctx.timeout("loadgen", PREPARATION),
            role="loadgen",
            what="the load's preparation",
            hint="a slow machine needs a larger --timeout.loadgen",
            last_lines=self.loadgen.standing,
        )
        self._configure({})

    def begin(self, config: Mapping[str, Any]) -> None:
        """Set the load config; from now on cycles must finish while any task is on.

        Raises `LoadFailed` if the service refuses it.
        """
        self._progressed()
        self._configure(config)
        if config:
            self._record_load_start()

    def _record_load_start(self) -> None:
        """Begin the loaded window, which defines what is measured under load (docs/slog.md)."""
        self.load_began = self._ctx.clock.monotonic()
        self._ctx.store.perf("load-start", block=self._height())

    def _record_load_finish(self) -> None:
        if self.load_began is not None and not self._load_over:
            self._load_over = True
            self._ctx.store.perf("load-finish", block=self._height())

    def _configure(self, config: Mapping[str, Any]) -> None:
        poll = Retrying(
            stop=stop_after_attempt(3),
            wait=wait_fixed(1.0),
            # A refused request would be refused again.
            retry=retry_if_exception_type(LoadUnreachable),
            sleep=self._ctx.clock.sleep,
            reraise=True,
        )
        poll(LoadClient(self._in_loadgen).put, config)

    def _progressed(self) -> None:
        self._loaded_since = self._ctx.clock.monotonic()
        self._on_progress()

    def _in_loadgen(self, argv: Sequence[str]) -> ExecResult:
        try:
            return self._ctx.engine.exec(self.loadgen.handle, argv, timeout=15.0)
        except EngineError:
            # The service may have just ended; if so, this raises the error that says why.
            self._watch.turn()
            raise

    def poll(self) -> None:
        """Read new load events and slogs; check that cycles still finish. Raises `LoadFailed`."""
        for slog in self._slogs:
            slog.poll()
        cycles_before = self.events.finished
        new = self.events.poll()
        if new:
            store = self._ctx.store
            store.append_many(schema.EVENTS, [{"stage": self._stage, **event} for event in new])
            store.append_many(schema.CYCLES, [dict(row) for row in self.events.take_cycles()])
        if self._loaded_since is None:
            return
        if self.load_began is None and self.events.config:
            # A person turned the load on, in a stage that began without it.
            self._record_load_start()
        changed = any(event["type"] == "config" for event in new)
        if changed or self.events.finished > cycles_before:
            self._progressed()
        self._check_progress(self._loaded_since)

    def _check_progress(self, since: float) -> None:
        failures = self.events.failures
        if self._ctx.plan.fail_fast and failures.count:
            raise LoadFailed(
                f"{'a cycle failed' if failures.cycles else 'the load cannot be prepared'}:"
                f" {self.events.last_error or 'no reason given'}",
                role="loadgen",
                step="load",
            )
        pause = self.events.pause
        if pause is None:
            return
        limit = self._ctx.timeout("cycle", CYCLE_STALL) + pause
        silent = self._ctx.clock.monotonic() - since
        if silent > limit:
            raise self._stalled(f"no cycle finished for {silent:.0f} s")

    def diagnosis(self) -> str:
        """The last finished cycles and those in flight, for a person."""
        now, events = self._ctx.clock.wall(), self.events
        lines = diagnosis.cycle_lines(list(events.recent), events.unfinished(), now)
        return diagnosis.section("cycles", lines)

    def wind_down(self, *, interrupted: bool) -> LoadFailed | None:
        """Turn the load off and let cycles in flight finish; return the error if they do not.

        The wait continues while cycles finish: see `WIND_DOWN_LEAST`. Cycles still in flight after
        that never finish: the load had stalled before its end. An interrupted stage waits less and
        returns no error.
        """
        self._configure({})
        self._record_load_finish()
        self._loaded_since = None
        if interrupted:
            patience = WIND_DOWN_INTERRUPTED
            self._watch.reached(lambda: self.events.active == 0, timeout=patience, pace=CALM)
        else:
            patience = self._await_cycles()
        if self.events.active == 0:
            return None
        what = "1 cycle" if self.events.active == 1 else f"{self.events.active} cycles"
        after = f"{what} did not finish within {patience:.0f} s of the load's end"
        if interrupted:
            self._ctx.progress.warn(f"stage {self._stage}: {after}")
            return None
        if not self.events.finished:
            return self._stalled(f"stage {self._stage} was meant to load but finished no cycle")
        return self._stalled(after)

    def _await_cycles(self) -> float:
        """Wait while cycles finish; return the seconds without one after which the wait ends."""
        events = self.events
        least = self._ctx.timeout("cycle", WIND_DOWN_LEAST)
        while True:
            finished, patience = events.finished, max(least, 2 * events.longest_cycle)

            def moved(before: int = finished) -> bool:
                return events.active == 0 or events.finished > before

            moving = self._watch.reached(moved, timeout=patience, pace=CALM)
            if events.active == 0 or not moving:
                return patience

    def _stalled(self, how: str) -> LoadFailed:
        return LoadFailed(
            f"the load is stalled: {how}",
            role="loadgen",
            step=STALLED,
            hint="slower cycles need a larger --timeout.cycle",
            detail=f"{self.loadgen.last_lines()}\n{self._diagnose()}",
        )

    def stop(self) -> list[LoadgenError]:
        """Stop the load generator and the clients that were started, in that order; return the
        errors of those that did not end cleanly.
        """
        running = [role for role in reversed(self.roles) if role.started]
        # A driver waits for its cycles in flight, which this stage no longer waits for.
        hurry = self.events.active > 0
        for role in running:
            self._watch.roles = [other for other in self._watch.roles if other is not role]
            role.stop(hurry=hurry)
            self._ctx.store.perf(f"{self._kind(role)}-stopped")
        self._loaded_since = None
        self.poll()
        return stop_troubles(running)

    def close(self) -> None:
        """Keep logs, finish the slogs, remove the containers; can be called in every state."""
        self._watch.pollers = [poll for poll in self._watch.pollers if poll != self.poll]
        with ExitStack() as always:
            # A stage that failed under load did not turn it off.
            always.callback(self._record_load_finish)
            for slog in self._slogs:
                always.callback(slog.close, delete_plain=True)
            for role in self.roles:
                log = f"{self._kind(role)}-stage-{self._stage}"
                always.callback(self._ctx.close_role, role, log)

    def _kind(self, role: Role) -> str:
        """The role's name in file names and events."""
        return "loadgen" if role is self.loadgen else CLIENT
