"""The step of a run that measures: one stage after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from loadgenctl.errors import Interrupted, LoadFailed, LoadgenError, OutputFolderLost
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.roles.load_client import Failures
from loadgenctl.roles.pod import HOLDER
from loadgenctl.run import network_setup, restore
from loadgenctl.run.context import RunContext
from loadgenctl.run.stage import Stage
from loadgenctl.run.state_setup import set_up


def run_stages(ctx: RunContext) -> None:
    """Run every stage in its turn; saved storage is packed in the background."""
    sampler = Sampler(
        ctx.engine,
        ctx.clock,
        ctx.store,
        interval=ctx.plan.light_interval_s,
        names=ctx.vat_names,
        source=ctx.engine_info.kind,
        make_reader=ctx.make_reader,
        own_usage=ctx.own_usage,
    )
    if ctx.engine.own_network and (ctx.plan.publish or ctx.plan.network or ctx.plan.origin):
        # Without published ports the pod has only loopback, which Docker does not count.
        sampler.watch(HOLDER, ctx.pod.holder, owns_network=True)
    if ctx.resumption is None:
        ctx.store.perf_start()
    else:
        restore.continue_records(ctx.resumption, ctx, sampler)
    try:
        try:
            failed, last_error = _each_stage(ctx, sampler)
        except LoadgenError:
            _pack_after_failure(ctx)
            raise
        _finish_packing(ctx)
    finally:
        with ctx.interrupts.held():
            sampler.close()
            for name in ctx.saver.abandon():
                ctx.progress.warn(f"{name} was not saved: its packing was stopped")
    _check_load(failed, last_error)


def _each_stage(ctx: RunContext, sampler: Sampler) -> tuple[dict[int, Failures], str | None]:
    """The failures of the load in each stage, and the error of the last one."""
    stages, failed, last_error = ctx.plan.stages, dict[int, Failures](), None
    if ctx.resumption is not None:
        stages, last_error = ctx.resumption.left, ctx.resumption.last_error
        failed |= ctx.resumption.failed
    set_up(ctx)
    network_setup.publish(ctx)
    with ctx.interrupts.graceful():
        for spec in stages:
            stage = Stage(ctx, sampler, spec)
            stage.run()
            failed[spec.index] = stage.load.events.failures
            last_error = stage.load.events.last_error or last_error
    return failed, last_error


def _check_load(failed: Mapping[int, Failures], last_error: str | None) -> None:
    """Failed cycles and preparations fail a run in which nothing else failed; by stage."""
    where = {stage: failures for stage, failures in failed.items() if failures.count}
    if not where:
        return
    cycles = {stage: failures.cycles for stage, failures in where.items() if failures.cycles}
    unprepared = {stage: found.preparations for stage, found in where.items() if found.preparations}
    what_failed = [
        f"{_number(sum(counts.values()), what)} failed {_in_stages(counts)}"
        for what, counts in (("load cycle", cycles), ("preparation", unprepared))
        if counts
    ]
    raise LoadFailed(
        ", and ".join(what_failed),
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


def _finish_packing(ctx: RunContext) -> None:
    if ctx.saver.pending:
        # It may take long: a requested stop does not wait for it.
        ctx.interrupts.check()
        ctx.progress.step("packing the saved storage")
    for problem in ctx.saver.finish():
        raise OutputFolderLost(f"storage was not saved: {problem}", hint="is there space left?")


def _pack_after_failure(ctx: RunContext) -> None:
    """Finish packing what earlier stages saved: it is as useful after a failure or a requested
    stop. A second request to stop ends this, too. The run's error stays what it is.
    """
    if ctx.interrupts.at_once:
        return
    if ctx.saver.pending:
        ctx.progress.step("packing the saved storage; press Ctrl-C to stop that")
    with suppress(Interrupted):
        for problem in ctx.saver.finish():
            ctx.progress.warn(f"storage was not saved: {problem}")
