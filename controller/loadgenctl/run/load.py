"""The load's side of a stage: client and load service up, cycles counted, all wound down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from loadgenctl.engines.base import ExecResult
from loadgenctl.errors import STALLED, EngineError, LoadFailed
from loadgenctl.records import schema
from loadgenctl.roles.loadclient import LoadClient, LoadEvents
from loadgenctl.roles.loadconfig import MAX_SECONDS
from loadgenctl.roles.role import Role
from loadgenctl.run import diagnosis
from loadgenctl.run.context import StageContext
from loadgenctl.run.setup import prepare, run_all
from loadgenctl.run.watch import CALM, Watch
from loadgenctl.sdks.base import events_path
from loadgenctl.slog.follow import SlogFollower

STARTED = "started"
CYCLE_STALL = 600.0
"""Seconds under load without a finished cycle, beyond what the schedule itself leaves between two
starts, after which the load is called stalled.
"""
PREPARATION = 600.0
"""Seconds the first preparation of all tasks may take."""
WIND_DOWN_LEAST = 120.0
WIND_DOWN_INTERRUPTED = 20.0


class LoadSide:
    """Starts, watches and stops client and load generator of one stage."""

    def __init__(
        self,
        ctx: StageContext,
        watch: Watch,
        stage: int,
        *,
        on_progress: Callable[[], None],
        diagnose: Callable[[], str],
    ) -> None:
        """Nothing is started yet.

        `on_progress` is called when the load begins and when cycles finished, `diagnose` when it
        is given up.
        """
        self._on_progress = on_progress
        self._diagnose = diagnose
        self._ctx = ctx
        self._watch = watch
        self._stage = stage
        role_context = ctx.role_context(stage)
        self.solo = Role(ctx.pod, ctx.family.solo(role_context), ctx.clock)
        self.loadgen = Role(ctx.pod, ctx.family.loadgen(role_context), ctx.clock)
        self.events = LoadEvents(ctx.on_host(events_path(stage)), stage)
        self._slog: SlogFollower | None = None
        self._loaded_since: float | None = None

    def provision_client(self) -> None:
        """Create the client, fund it and make it known to the running chain, unless that was done.

        The chain runs by now: what a run is about starts as soon as it can.
        """
        name, log = f"stage {self._stage}", f"setup-stage-{self._stage}"
        # The chain is needed all the while, and an end may be asked for.
        prepare(self._ctx, self.solo.recipe, name, log, self._watch.turn)
        run_all(self._ctx, self.solo.recipe.provision, name, log, self._watch.turn)

    def start_client(self) -> None:
        """Start the client and wait until it is ready."""
        ctx, recipe = self._ctx, self.solo.recipe
        if recipe.slog is not None:
            self._slog = SlogFollower(
                ctx.on_host(recipe.slog),
                ctx.packed_slog("client", self._stage),
                codec=ctx.plan.slog_codec,
            )
        self._watch.pollers.append(self.poll)
        began = ctx.clock.monotonic()
        ctx.store.perf("run-client-start")
        self._bring_up(self.solo, "client", STARTED)
        ctx.store.perf("client-ready", duration=round(ctx.clock.monotonic() - began, 6))

    def start_load(self) -> None:
        """Start the load service and wait until its driver is ready."""
        self._ctx.store.perf("run-loadgen-start")
        self._bring_up(self.loadgen, "loadgen", STARTED)
        self._ctx.store.perf("loadgen-ready")

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
        """Make tasks ready without a cycle of theirs. Raises `DeadlineExceeded`.

        One that cannot be prepared is told by the events, as under load.
        """
        # A task is prepared when it is turned on, and waits before its first cycle.
        self._configure({task: {"wait": MAX_SECONDS} for task in tasks})
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

        Raises `LoadFailed` when the service refuses it.
        """
        self._progressed()
        self._configure(config)

    def _configure(self, config: Mapping[str, Any]) -> None:
        poll = Retrying(
            stop=stop_after_attempt(3),
            wait=wait_fixed(1.0),
            retry=retry_if_exception_type(LoadFailed),
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
            # A service that has just ended cannot be asked, and that is what there is to tell.
            self._watch.turn()
            raise

    def poll(self) -> None:
        """Take new load events and slog; see that cycles still finish. Raises `LoadFailed`."""
        if self._slog is not None:
            self._slog.poll()
        cycles_before = self.events.finished
        new = self.events.poll()
        if new:
            store = self._ctx.store
            store.append_many(schema.EVENTS, [{"stage": self._stage, **event} for event in new])
            store.append_many(schema.CYCLES, [dict(row) for row in self.events.take_cycles()])
        if self._loaded_since is None:
            return
        changed = any(event["type"] == "config" for event in new)
        if changed or self.events.finished > cycles_before:
            self._progressed()
        self._check_progress(self._loaded_since)

    def _check_progress(self, since: float) -> None:
        if self._ctx.plan.fail_fast and self.events.failed:
            raise LoadFailed(
                f"a cycle failed: {self.events.last_error or 'no reason given'}",
                role="loadgen",
                step="load",
            )
        pause = self.events.pause
        if pause is None:
            return
        limit = self._ctx.timeout("cycle", CYCLE_STALL) + pause
        silent = self._ctx.clock.monotonic() - since
        if silent > limit:
            raise LoadFailed(
                f"the load is stalled: no cycle finished for {silent:.0f} s",
                role="loadgen",
                step=STALLED,
                hint="slower cycles need a larger --timeout.cycle",
                detail=f"{self.loadgen.last_lines()}\n{self._diagnose()}",
            )

    def diagnosis(self) -> str:
        """The last cycles and those in flight."""
        now, events = self._ctx.clock.wall(), self.events
        lines = diagnosis.cycle_lines(list(events.recent), events.unfinished(), now)
        return diagnosis.section("cycles", lines)

    def wind_down(self, *, interrupted: bool) -> None:
        """Turn the load off and let running cycles finish, up to a deadline."""
        self._configure({})
        self._loaded_since = None
        longest = max(WIND_DOWN_LEAST, 2 * self.events.longest_cycle)
        timeout = WIND_DOWN_INTERRUPTED if interrupted else longest
        if not self._watch.reached(lambda: self.events.active == 0, timeout=timeout, pace=CALM):
            self._ctx.progress.warn(
                f"stage {self._stage}: {self.events.active} cycles did not finish within"
                f" {timeout:.0f} s of the load's end"
            )

    def stop(self) -> None:
        """Stop load generator and client, in that order, as far as they were started."""
        for role, name in ((self.loadgen, "loadgen-stopped"), (self.solo, "client-stopped")):
            self._watch.roles = [other for other in self._watch.roles if other is not role]
            if role.started:
                role.stop()
                self._ctx.store.perf(name)
        self._loaded_since = None
        self.poll()

    def close(self) -> None:
        """Keep logs, finish the slog, remove the containers; works from every state."""
        self._watch.pollers = [poll for poll in self._watch.pollers if poll != self.poll]
        with ExitStack() as whatever_happens:
            if self._slog is not None:
                whatever_happens.callback(self._slog.close, delete_plain=True)
            for role, name in ((self.solo, "client"), (self.loadgen, "loadgen")):
                log = f"{name}-stage-{self._stage}"
                whatever_happens.callback(self._ctx.close_role, role, log)
