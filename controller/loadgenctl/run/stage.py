"""One stage: start the chain, the clients and the load, keep them running, wind the load down, stop
all of them, save the storage.

The stage's duration counts from its start: a slow start leaves less time for the load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from loadgenctl.errors import Interrupted, LoadFailed, LoadgenError, OutputFolderError
from loadgenctl.model import StageSpec
from loadgenctl.monitor.chain_agent import AgentClient, AgentSpec
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.plainfile import NotPlainError
from loadgenctl.records.raw_parts import COPIES
from loadgenctl.run import network_setup
from loadgenctl.run.chain_side import ChainSide, NoChain
from loadgenctl.run.context import RunContext
from loadgenctl.run.failure import as_error
from loadgenctl.run.load_side import CLIENT, LoadSide
from loadgenctl.run.progress import Live
from loadgenctl.run.run_folders import Standing, StateMark, write_mark
from loadgenctl.run.saved_storage import saved
from loadgenctl.run.watch import CALM, Watch
from loadgenctl.sdks.base import STATE

FOREVER = float("inf")
ACTS_THROUGH: Mapping[str, str] = {"solo": "client", "wallet": "wallets"}
"""A run's client → what the load acts through, for messages."""


class Stage:
    """Runs one stage; `_steps` has what it does from top to bottom."""

    def __init__(self, ctx: RunContext, sampler: Sampler, spec: StageSpec) -> None:
        """Nothing is started yet."""
        self._ctx = ctx
        self._sampler = sampler
        self._spec = spec
        self._has_load = bool(spec.prepare) or not spec.chain_only
        self._watch = Watch(ctx.clock, ctx.interrupts)
        self._began = ctx.clock.monotonic()
        self._doing = "starting the chain"
        self._shown_at = 0.0
        self._interrupted = False
        side = ChainSide if ctx.plan.monitor else NoChain
        self.chain = side(ctx, self._watch, spec.index)
        self.load = LoadSide(
            ctx,
            self._watch,
            spec.index,
            on_progress=self.chain.reset_counts,
            diagnose=self._diagnose,
            height=self.chain.height_now,
        )
        self._load_failure: LoadFailed | None = None

    def run(self) -> None:
        """Run the stage. Errors are raised after everything is stopped and its files are kept."""
        store = self._ctx.store
        store.begin_stage(self._spec.index)
        store.set_status(step=f"stage {self._spec.index}")
        store.perf("stage-start")
        self._watch.pollers += [self._show_progress, self._ctx.disk.poll]
        trouble: LoadgenError | None = None
        done = False
        try:
            self._steps()
            done = not self._interrupted and self._load_failure is None
        except Exception as caught:
            # Before closing, which frees space: a full disk must be reported as the cause.
            error = as_error(caught, store.folder)
            self._report_failure(error)
            self._do("stopping what still runs")
            raise error from caught
        finally:
            with self._ctx.interrupts.held():
                trouble = self._close()
                success = done and trouble is None
                if success:
                    self._mark_finished()
                store.perf("stage-finish", success=success)
                store.end_stage()
        if self._interrupted:
            raise self._ctx.interrupts.error()
        if trouble is not None:
            raise trouble
        if self._load_failure is not None:
            raise self._load_failure

    def _report_failure(self, error: LoadgenError) -> None:
        """Report it at once: it may take a minute to stop what still runs."""
        if isinstance(error, Interrupted):
            return
        self._ctx.progress.warn(f"stage {self._spec.index}: {error.message}; ending the run")
        self._ctx.store.set_status(reason=error.message, role=getattr(error, "role", None))

    def _steps(self) -> None:
        spec = self._spec
        self._ctx.disk.check()
        self._start_chain()
        self.chain.wait_first_blocks()
        if self._has_load:
            if self._ctx.network is None and self.load.provisions:
                self._do(f"creating and funding the {ACTS_THROUGH[self._ctx.plan.client]}")
                self.load.provision()
            self._start_load()
        if spec.prepare:
            self._prepare_load(spec.prepare)
        if not spec.chain_only:
            self.load.begin(spec.load or {})
        self._ctx.store.perf("stage-ready")
        self._keep_running()
        self._ctx.store.perf("stage-shutdown")
        self.chain.shutdown_begins()
        self._stop_roles()
        if spec.save_storage and not self._interrupted:
            self._save_storage()

    def _start_chain(self) -> None:
        if not self._ctx.plan.monitor:
            self._watch.pollers.append(self._sampler.poll)
            return
        self._do("starting the chain")
        self._mark("begun")
        self.chain.start()
        self._sampler.watch("chain", self.chain.role.handle)
        self._watch.pollers.append(self._sampler.poll)
        self._start_agent()
        self._do("waiting for the chain's first block")
        self.chain.wait_ready()
        network_setup.publish_trust(self._ctx, self.chain.rpc)
        network_setup.write_ready(self._ctx.plan, self._spec.index)

    def _mark(self, standing: Standing) -> None:
        """Record in the state folder what it holds, for a later `--resume`."""
        ctx = self._ctx
        write_mark(ctx.plan.state_dir, StateMark(ctx.run_id, self._spec.index, standing))

    def _mark_finished(self) -> None:
        try:
            self._mark("finished")
        except OSError as error:
            # The run does not need the mark; without it a resumed run needs the saved storage.
            self._ctx.progress.warn(f"stage {self._spec.index}: cannot mark the state: {error}")

    def _start_agent(self) -> None:
        ctx, storage = self._ctx, self.chain.recipe.storage
        agent = AgentClient(
            ctx.engine,
            self.chain.role.handle,
            ctx.clock,
            AgentSpec(
                light=ctx.plan.light_interval_s,
                full=ctx.plan.monitor_interval_s,
                storage=None if storage is None else str(PurePosixPath(storage).relative_to(STATE)),
                root_pid=ctx.engine.root_pid(self.chain.role.handle),
            ),
            shared=ctx.shared,
            stage=self._spec.index,
        )
        self._sampler.start_agent(agent)

    def _start_load(self) -> None:
        for client in self.load.clients:
            self._do("starting the client")
            self.load.start_client(client)
            self._sampler.watch(client.name, client.handle)
        self._do("preparing the load")
        self.load.start_load()
        self._sampler.watch(self.load.loadgen.name, self.load.loadgen.handle)

    def _prepare_load(self, tasks: Sequence[str]) -> None:
        """Prepare the load, then stop it and the clients: a first start takes long and costs the
        chain work. Done once here, it leaves the stages with load alike.
        """
        self.load.prepare(tasks)
        self._unwatch(self._load_roles)
        troubles = self.load.stop()
        self.load.close()
        self._require_orderly(troubles)

    def _keep_running(self) -> None:
        spec, by_hand = self._spec, self._ctx.plan.by_hand
        if by_hand:
            self._do("by hand, until Ctrl-C")
            self._ctx.on_ready()
        else:
            self._do("under load" if not spec.chain_only else "chain alone")
        left = self._left()
        try:
            if left > 0:
                self._watch.reached(self._enough, timeout=left, pace=CALM)
            if not spec.chain_only:
                self._wind_down(interrupted=False)
        except Interrupted:
            if self._ctx.interrupts.at_once:
                raise
            self._watch.heed_interrupts = False
            if by_hand:
                self._ctx.progress.note("stopping; press Ctrl-C again to stop immediately")
            else:
                self._interrupted = True
                self._ctx.progress.warn(
                    "interrupted: stopping the stage; press Ctrl-C again to stop immediately"
                )
            if not spec.chain_only:
                self._wind_down(interrupted=True)

    def _wind_down(self, *, interrupted: bool) -> None:
        self._do("winding down")
        stalled = self.load.wind_down(interrupted=interrupted)
        if self._ctx.plan.by_hand:
            return
        # Before the roles are stopped, so that a diagnosis can query them.
        self._load_failure = stalled or self._load_check()
        if self._load_failure is not None and not interrupted:
            self._report_failure(self._load_failure)

    def _left(self) -> float:
        """Seconds until the roles are stopped, by the stage's duration or that of its load."""
        spec = self._spec
        if spec.load_duration_s is not None and self.load.load_began is not None:
            return self.load.load_began + spec.load_duration_s - self._ctx.clock.monotonic()
        return FOREVER if spec.duration_s < 0 else spec.duration_s - self._elapsed()

    def _enough(self) -> bool:
        spec = self._spec
        if network_setup.stop_requested(self._ctx.plan, spec.index):
            return True
        cycles = spec.cycles
        return cycles is not None and self.load.events.finished >= cycles

    def _stop_roles(self) -> None:
        self._do("stopping")
        # Raises if a role has ended by itself, which must not pass for a stop.
        self._watch.turn()
        self._sampler.snapshot_now()
        self._leave_all()
        troubles = [] if self._spec.chain_only else self.load.stop()
        troubles += self.chain.stop()
        if not troubles and self._ctx.plan.monitor:
            self._mark("stopped")
        self._require_orderly(troubles)

    def _require_orderly(self, troubles: Sequence[LoadgenError]) -> None:
        """Raise the first error of roles that did not stop cleanly, and warn of the others.

        An interrupted run keeps that as its reason: all of them are warnings.
        """
        for trouble in troubles if self._interrupted else troubles[1:]:
            self._ctx.progress.warn(f"stage {self._spec.index}: {trouble.message}")
        if troubles and not self._interrupted:
            raise troubles[0]

    def _leave_all(self) -> None:
        self._sampler.stop_agent()
        self._unwatch((*self._load_roles, "chain"))

    @property
    def _load_roles(self) -> tuple[str, ...]:
        return tuple(role.name for role in self.load.roles)

    def _unwatch(self, roles: Sequence[str]) -> None:
        for role in roles:
            self._sampler.unwatch(role)

    def _save_storage(self) -> None:
        ctx = self._ctx
        storages = [("chain", self.chain.recipe.storage)] if ctx.plan.monitor else []
        if self._has_load:
            storages += [(CLIENT, client.recipe.storage) for client in self.load.clients]
        for role, path in storages:
            if path is not None:
                to = saved(ctx.store.folder, role, self._spec.index)
                ctx.saver.save(ctx.on_host(path), to.archive, ctx.store.path(COPIES, to.copy.name))

    def _close(self) -> LoadgenError | None:
        """Stop what still runs and keep its files; the first error, after all steps were tried.

        A results folder that cannot be written is raised: it is the cause of the other errors.
        """
        troubles: list[LoadgenError] = []
        steps: tuple[Callable[[], None], ...] = (
            self._leave_all,
            self.load.close,
            self.chain.close,
            self._keep_traces,
        )
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the other steps must run, too
                troubles.append(as_error(error, self._ctx.store.folder))
        # Several steps may fail for one cause.
        for trouble in {str(trouble): trouble for trouble in troubles}.values():
            self._ctx.progress.warn(f"stage {self._spec.index}: while closing: {trouble}")
            if isinstance(trouble, OutputFolderError):
                raise trouble
        return troubles[0] if troubles else None

    def _keep_traces(self) -> None:
        """Move the traces that roles wrote to the results folder."""
        refused: list[NotPlainError] = []
        for recipe in (self.chain.recipe, *(role.recipe for role in self.load.roles)):
            for path in recipe.traces.values():
                left = self._ctx.on_host(path)
                try:
                    removed = left.move(self._ctx.store.path(left.name))
                except FileNotFoundError:
                    continue
                except NotPlainError as error:
                    refused.append(error)
                    continue
                if removed:
                    self._ctx.progress.warn(
                        f"{left.name}: {len(removed)} links, pipes or devices were left out,"
                        f" e.g. {removed[0]}"
                    )
        if refused:
            raise refused[0]

    def _load_check(self) -> LoadFailed | None:
        """The error of a stage with load that finished no cycle, or too few; None if it did."""
        events, required = self.load.events, self._spec.cycles
        index = self._spec.index
        if events.finished == 0:
            what = f"stage {index} was meant to load but finished no cycle"
            why = [events.last_error] if events.last_error else []
        elif required is not None and events.finished < required:
            what = f"stage {index} finished {events.finished} of {required} cycles"
            why = []
        else:
            return None
        return LoadFailed(
            what,
            role="loadgen",
            step="load check",
            hint=f"give the stage more time, or see logs/loadgen-stage-{index}.log.gz",
            detail="\n".join([*why, self._diagnose()]),
        )

    def _diagnose(self) -> str:
        return f"{self.load.diagnosis()}\n{self.chain.diagnosis()}"

    def _elapsed(self) -> float:
        return self._ctx.clock.monotonic() - self._began

    def _do(self, what: str) -> None:
        self._doing = what
        self._ctx.progress.step(f"stage {self._spec.index}: {what}")
        self._shown_at = 0.0

    def _show_progress(self) -> None:
        now = self._ctx.clock.monotonic()
        if now - self._shown_at < CALM:
            return
        self._shown_at = now
        spec, elapsed, left = self._spec, self._elapsed(), self._left()
        held = self._doing in {"under load", "chain alone"} and left < FOREVER
        self._ctx.progress.live(
            Live(
                stage=spec.index,
                stages=len(self._ctx.plan.stages),
                doing=self.chain.starting() or self._doing,
                elapsed=elapsed,
                remaining=max(0.0, left) if held else None,
                block=self.chain.height,
                cycles=self.load.events.counts(),
            )
        )
