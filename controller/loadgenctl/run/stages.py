"""The step of a run that measures: every stage in its turn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from loadgenctl.errors import Interrupted, LoadFailed, LoadgenError, OutputFolderLost
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.roles.pod import HOLDER
from loadgenctl.run import networks, restore
from loadgenctl.run.context import StageContext
from loadgenctl.run.disk import DiskGuard
from loadgenctl.run.resume import Resumption
from loadgenctl.run.setup import set_up
from loadgenctl.run.stage import Stage
from loadgenctl.run.storage import StorageSaver
from loadgenctl.run.walk import Walk, known


def run_stages(walk: Walk) -> None:
    """Every stage in its turn; storage is packed behind them."""
    services, plan = walk.services, walk.plan
    saver = StorageSaver(services.processes)
    names: dict[str, str | None] = {}
    sampler = Sampler(
        services.engine,
        services.clock,
        walk.store,
        interval=plan.light_interval,
        names=names,
        source=walk.engine_info.kind,
        make_reader=services.make_reader,
        own_usage=services.own_usage,
    )
    ctx = StageContext(
        plan=plan,
        engine=services.engine,
        clock=services.clock,
        store=walk.store,
        pod=known(walk.pod),
        family=walk.family,
        progress=services.progress,
        interrupts=services.interrupts,
        saver=saver,
        sampler=sampler,
        disk=DiskGuard(plan, services.disks, services.clock, walk.store.check),
        vat_names=names,
        on_ready=services.on_ready,
        processes=services.processes,
        network=walk.network,
    )
    if plan.publish or plan.network or plan.origin:
        # Without published ports the pod has only loopback, of which Docker keeps no count.
        sampler.watch(HOLDER, known(walk.pod).holder, owns_network=True)
    if walk.resumption is None:
        walk.store.perf_start()
    else:
        restore.go_on(walk.resumption, ctx)
    try:
        try:
            failed, last_error = _each_stage(ctx, walk.resumption)
        except LoadgenError:
            _pack_all_the_same(walk, saver)
            raise
        _finish_packing(walk, saver)
    finally:
        with services.interrupts.held():
            sampler.close()
            for name in saver.abandon():
                services.progress.warn(f"{name} is not there: its packing was ended")
    _check_cycles(failed, last_error)


def _each_stage(
    ctx: StageContext, resumption: Resumption | None
) -> tuple[dict[int, int], str | None]:
    """How many cycles failed in each stage, and why the last one did."""
    stages, failed, last_error = ctx.plan.stages, dict[int, int](), None
    if resumption is not None:
        stages, last_error = resumption.left, resumption.last_error
        failed |= resumption.failed
    set_up(ctx)
    networks.offer(ctx)
    with ctx.interrupts.graceful():
        for spec in stages:
            stage = Stage(ctx, spec)
            stage.run()
            failed[spec.index] = stage.load.events.failed
            last_error = stage.load.events.last_error or last_error
    return failed, last_error


def _check_cycles(failed: Mapping[int, int], last_error: str | None) -> None:
    """Failed cycles fail the run, however well all else went. `failed` by stage."""
    where = {stage: count for stage, count in failed.items() if count}
    if not where:
        return
    if len(where) == 1:
        stages = f"in stage {min(where)}"
    else:
        stages = "in stages " + ", ".join(f"{stage} ({count})" for stage, count in where.items())
    raise LoadFailed(
        f"{sum(where.values())} load cycles failed {stages}",
        role="loadgen",
        step="load",
        stage=min(where),
        hint="their errors stand in cycles.jsonl; this is the last one",
        detail=last_error,
    )


def _finish_packing(walk: Walk, saver: StorageSaver) -> None:
    if saver.pending:
        # It may take long, and nobody who asks for an end waits for it.
        walk.services.interrupts.check()
        walk.services.progress.step("packing the saved storage")
    for problem in saver.finish():
        raise OutputFolderLost(f"storage was not saved: {problem}", hint="is there space left?")


def _pack_all_the_same(walk: Walk, saver: StorageSaver) -> None:
    """Storage that earlier stages saved is worth as much in a run that has failed, or that was
    asked to end; one more request ends this, too. The run's error stays what it is.
    """
    interrupts, progress = walk.services.interrupts, walk.services.progress
    if interrupts.at_once:
        return
    if saver.pending:
        progress.step("packing the saved storage; Ctrl-C ends that")
    with suppress(Interrupted):
        for problem in saver.finish():
            progress.warn(f"storage was not saved: {problem}")
