"""One stage: chain up, clients and load up, hold, wind down, chain down, storage saved.

The stage's duration counts from its start, so slow readiness eats into the load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from loadgenctl.errors import Interrupted, LoadFailed, LoadgenError, OutputFolderError
from loadgenctl.model import StageSpec
from loadgenctl.monitor.agentclient import AgentClient, AgentSpec
from loadgenctl.plainfile import NotPlainError
from loadgenctl.records.raw import COPIES
from loadgenctl.run import host, messages, networks
from loadgenctl.run.absent import AbsentChain
from loadgenctl.run.chain import ChainSide
from loadgenctl.run.context import StageContext
from loadgenctl.run.load import CLIENT, LoadSide
from loadgenctl.run.progress import Live
from loadgenctl.run.statemark import Standing, StateMark, write_mark
from loadgenctl.run.storage import saved
from loadgenctl.run.watch import CALM, Watch
from loadgenctl.sdks.base import STATE

FOREVER = float("inf")
ACTS_THROUGH: Mapping[str, str] = {"solo": "client", "wallet": "wallets"}
"""A run's client → what the load acts through, in words."""


class Stage:
    """Runs one stage; `run` is its story from top to bottom."""

    def __init__(self, ctx: StageContext, spec: StageSpec) -> None:
        """Nothing is started yet."""
        self._ctx = ctx
        self._spec = spec
        self._has_load = bool(spec.prepare) or not spec.chain_only
        self._watch = Watch(ctx.clock, ctx.interrupts)
        self._began = ctx.clock.monotonic()
        self._doing = "starting the chain"
        self._told = 0.0
        self._interrupted = False
        side = ChainSide if ctx.plan.monitor else AbsentChain
        self.chain = side(ctx, self._watch, spec.index)
        self.load = LoadSide(
            ctx,
            self._watch,
            spec.index,
            on_progress=self.chain.count_anew,
            diagnose=self._diagnose,
            height=self.chain.height_now,
        )
        self._too_little: LoadFailed | None = None

    def run(self) -> None:
        """The whole stage. Raises what went wrong, with everything stopped and kept by then."""
        store = self._ctx.store
        store.begin_stage(self._spec.index)
        store.set_status(step=f"stage {self._spec.index}")
        store.perf("stage-start")
        self._watch.pollers += [self._tell, self._ctx.disk.poll]
        trouble: LoadgenError | None = None
        done = False
        try:
            self._story()
            done = not self._interrupted and self._too_little is None
        except Exception as caught:
            # Now, not later: closing makes room, and a full disk would be told as its consequence.
            error = host.as_error(caught, store.folder)
            self._tell_failure(error)
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
        if self._too_little is not None:
            raise self._too_little

    def _tell_failure(self, error: LoadgenError) -> None:
        """Say it when it is known: to stop what still runs may take a minute."""
        if isinstance(error, Interrupted):
            return
        self._ctx.progress.warn(f"stage {self._spec.index}: {error.message}; ending the run")
        self._ctx.store.set_status(reason=error.message, role=getattr(error, "role", None))

    def _story(self) -> None:
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
        self._hold()
        self._ctx.store.perf("stage-shutdown")
        self.chain.shutdown_begins()
        self._stop_roles()
        if spec.save_storage and not self._interrupted:
            self._save_storage()

    def _start_chain(self) -> None:
        if not self._ctx.plan.monitor:
            self._watch.pollers.append(self._ctx.sampler.poll)
            return
        self._do("starting the chain")
        self._mark("begun")
        self.chain.start()
        self._ctx.sampler.watch("chain", self.chain.role.handle)
        self._watch.pollers.append(self._ctx.sampler.poll)
        self._start_agent()
        self._do("waiting for the chain's first block")
        self.chain.wait_ready()
        networks.offer_trust(self._ctx, self.chain.rpc)
        messages.tell_ready(self._ctx.plan, self._spec.index)

    def _mark(self, standing: Standing) -> None:
        """Tell in the state folder what it holds, for whoever resumes the run."""
        pod = self._ctx.pod
        write_mark(pod.folders.state, StateMark(pod.options.run_id, self._spec.index, standing))

    def _mark_finished(self) -> None:
        try:
            self._mark("finished")
        except OSError as error:
            # The run goes on without; only resuming it will need the saved storage.
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
            shared=ctx.pod.folders.shared,
            stage=self._spec.index,
        )
        ctx.sampler.start_agent(agent)

    def _start_load(self) -> None:
        for client in self.load.clients:
            self._do("starting the client")
            self.load.start_client(client)
            self._ctx.sampler.watch(client.name, client.handle)
        self._do("preparing the load")
        self.load.start_load()
        self._ctx.sampler.watch(self.load.loadgen.name, self.load.loadgen.handle)

    def _prepare_load(self, tasks: Sequence[str]) -> None:
        """A client's first start and the load's preparation take long and cost the chain work.

        Done here once, they leave the stages with load alike. Then the chain is alone again.
        """
        self.load.prepare(tasks)
        self._unwatch(self._load_roles)
        troubles = self.load.stop()
        self.load.close()
        self._require_orderly(troubles)

    def _hold(self) -> None:
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
                self._ctx.progress.note("ending as asked; once more stops at once")
            else:
                self._interrupted = True
                self._ctx.progress.warn("interrupted: ending the stage; once more stops at once")
            if not spec.chain_only:
                self._wind_down(interrupted=True)

    def _wind_down(self, *, interrupted: bool) -> None:
        self._do("winding down")
        stalled = self.load.wind_down(interrupted=interrupted)
        if self._ctx.plan.by_hand:
            return
        # While all roles still live to tell why.
        self._too_little = stalled or self._load_check()
        if self._too_little is not None and not interrupted:
            self._tell_failure(self._too_little)

    def _left(self) -> float:
        """Seconds until the hold is over, by the stage's duration or that of its load."""
        spec = self._spec
        if spec.load_duration_s is not None and self.load.load_began is not None:
            return self.load.load_began + spec.load_duration_s - self._ctx.clock.monotonic()
        return FOREVER if spec.duration_s < 0 else spec.duration_s - self._elapsed()

    def _enough(self) -> bool:
        spec = self._spec
        if messages.asked_to_stop(self._ctx.plan, spec.index):
            return True
        cycles = spec.cycles
        return cycles is not None and self.load.events.finished >= cycles

    def _stop_roles(self) -> None:
        self._do("stopping")
        # Who is gone by now has ended by itself: that is told, and not taken for a stop.
        self._watch.turn()
        self._ctx.sampler.snapshot_now()
        self._leave_all()
        troubles = [] if self._spec.chain_only else self.load.stop()
        troubles += self.chain.stop()
        if not troubles and self._ctx.plan.monitor:
            self._mark("stopped")
        self._require_orderly(troubles)

    def _require_orderly(self, troubles: Sequence[LoadgenError]) -> None:
        """Raise the first of what was wrong with how roles stopped, and warn of the others.

        Where a run was interrupted, that stays the reason: all of it is warned of.
        """
        told = troubles if self._interrupted else troubles[1:]
        for trouble in told:
            self._ctx.progress.warn(f"stage {self._spec.index}: {trouble.message}")
        if troubles and not self._interrupted:
            raise troubles[0]

    def _leave_all(self) -> None:
        self._ctx.sampler.stop_agent()
        self._unwatch((*self._load_roles, "chain"))

    @property
    def _load_roles(self) -> tuple[str, ...]:
        return tuple(role.name for role in self.load.roles)

    def _unwatch(self, roles: Sequence[str]) -> None:
        for role in roles:
            self._ctx.sampler.unwatch(role)

    def _save_storage(self) -> None:
        ctx = self._ctx
        wanted = [("chain", self.chain.recipe.storage)] if ctx.plan.monitor else []
        if self._has_load:
            wanted += [(CLIENT, client.recipe.storage) for client in self.load.clients]
        for role, path in wanted:
            if path is not None:
                to = saved(ctx.store.folder, role, self._spec.index)
                ctx.saver.save(ctx.on_host(path), to.archive, ctx.store.path(COPIES, to.copy.name))

    def _close(self) -> LoadgenError | None:
        """Stop and keep whatever is still there; the first trouble, which must not lose the rest.

        A results folder that cannot be written is raised: it is why anything else failed, too.
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
            except Exception as error:  # noqa: BLE001 - every step must have its turn
                troubles.append(host.as_error(error, self._ctx.store.folder))
        # One cause may meet several steps.
        for trouble in {str(trouble): trouble for trouble in troubles}.values():
            self._ctx.progress.warn(f"stage {self._spec.index}: while closing: {trouble}")
            if isinstance(trouble, OutputFolderError):
                raise trouble
        return troubles[0] if troubles else None

    def _keep_traces(self) -> None:
        """Move what roles traced to where it stays."""
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
                        f"{left.name}: {len(removed)} links, pipes or devices are left out,"
                        f" {removed[0]} among them"
                    )
        if refused:
            raise refused[0]

    def _load_check(self) -> LoadFailed | None:
        """A stage that was meant to load must have loaded; what to say of it if it has not."""
        events, wanted = self.load.events, self._spec.cycles
        index = self._spec.index
        if events.finished == 0:
            what = f"stage {index} was meant to load but finished no cycle"
            why = [events.last_error] if events.last_error else []
        elif wanted is not None and events.finished < wanted:
            what = f"stage {index} finished {events.finished} of {wanted} cycles"
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
        self._told = 0.0

    def _tell(self) -> None:
        now = self._ctx.clock.monotonic()
        if now - self._told < CALM:
            return
        self._told = now
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
