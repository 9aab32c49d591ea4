"""The step of a run that measures: every stage in its turn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from loadgenctl.errors import Interrupted, LoadFailed, LoadgenError, OutputFolderLost
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.roles.loadclient import Failures
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
        interval=plan.light_interval_s,
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
        make_reader=services.make_reader,
        network=walk.network,
    )
    if services.engine.own_network and (plan.publish or plan.network or plan.origin):
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
    _check_load(failed, last_error)


def _each_stage(
    ctx: StageContext, resumption: Resumption | None
) -> tuple[dict[int, Failures], str | None]:
    """What of the load failed in each stage, and why the last of it did."""
    stages, failed, last_error = ctx.plan.stages, dict[int, Failures](), None
    if resumption is not None:
        stages, last_error = resumption.left, resumption.last_error
        failed |= resumption.failed
    set_up(ctx)
    networks.offer(ctx)
    with ctx.interrupts.graceful():
        for spec in stages:
            stage = Stage(ctx, spec)
            stage.run()
            failed[spec.index] = stage.load.events.failures
            last_error = stage.load.events.last_error or last_error
    return failed, last_error


def _check_load(failed: Mapping[int, Failures], last_error: str | None) -> None:
    """Failed cycles and preparations fail the run, however well all else went; by stage."""
    where = {stage: failures for stage, failures in failed.items() if failures.count}
    if not where:
        return
    cycles = {stage: failures.cycles for stage, failures in where.items() if failures.cycles}
    unprepared = {stage: found.preparations for stage, found in where.items() if found.preparations}
    told = [
        f"{_number(sum(counts.values()), what)} failed {_in_stages(counts)}"
        for what, counts in (("load cycle", cycles), ("preparation", unprepared))
        if counts
    ]
    raise LoadFailed(
        ", and ".join(told),
        role="loadgen",
        step="load",
        stage=min(where),
        hint="their errors are in cycles.jsonl; this is the last one"
        if cycles
        else f"see logs/loadgen-stage-{min(where)}.log.gz; this is the last error",
        detail=last_error,
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _in_stages(counts: Mapping[int, int]) -> str:
    if len(counts) == 1:
        return f"in stage {min(counts)}"
    return "in stages " + ", ".join(f"{stage} ({count})" for stage, count in counts.items())


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
