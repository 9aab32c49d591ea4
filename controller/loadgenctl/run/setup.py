"""What is made before roles start: the chain's and the client's state, unless they are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadgenctl.model import Command
from loadgenctl.roles.pod import SETUP
from loadgenctl.run.context import StageContext
from loadgenctl.run.provisioning import Provisioning
from loadgenctl.run.statemark import read_mark
from loadgenctl.sdks.base import RoleRecipe, clients


def set_up(ctx: StageContext) -> None:
    """Before the first stage: the chain's state, and a network's clients, which others have to
    provision. Raises `RunError` naming what failed.
    """
    plan = ctx.plan
    of_networks = {} if plan.origin is None else {"testnetOrigin": plan.origin}
    ctx.store.perf("setup-tasks-start", reset=plan.reset, withMonitor=plan.monitor, **of_networks)
    if plan.monitor:
        chain = ctx.family.chain(ctx.role_context(0))
        _tell_kept_limit(ctx, chain)
        prepare(ctx, chain, "setup", SETUP)
    if ctx.network is not None and any(not stage.chain_only for stage in plan.stages):
        for client in clients(ctx.family, ctx.role_context(0)):
            prepare(ctx, client, "setup", SETUP)
            Provisioning(ctx, client, ctx.network).wait()
    ctx.store.perf("setup-tasks-finish")


def _tell_kept_limit(ctx: StageContext, chain: RoleRecipe) -> None:
    """Note that the chain of an earlier run keeps its genesis, and so its limit."""
    mark = read_mark(ctx.pod.folders.state)
    ours = mark is not None and mark.run_id == ctx.pod.options.run_id
    if ctx.plan.compute_limit is None or ours or not _is_there(ctx, chain):
        return
    ctx.progress.note(
        "the chain is there already: it keeps its own limit of computrons, whatever"
        " --chain.compute-limit says"
    )


def _is_there(ctx: StageContext, recipe: RoleRecipe) -> bool:
    return recipe.state_probe is not None and ctx.on_host(recipe.state_probe).exists()


def prepare(
    ctx: StageContext,
    recipe: RoleRecipe,
    step: str,
    log: str,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Make a role's state, unless it is there. See `run_all`."""
    if not _is_there(ctx, recipe):
        run_all(ctx, recipe.prepare, step, log, meanwhile)


def run_all(
    ctx: StageContext,
    commands: Sequence[Command],
    step: str,
    log: str,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Run one-shots in turn, their output kept in logs/LOG.log.gz; `step` says where we are.

    `meanwhile` as in `Pod.run_once`.
    """
    keep = ctx.log_keeper(log)
    for command in commands:
        ctx.progress.step(f"{step}: {command.label}")
        ctx.pod.run_once(SETUP, command, keep, meanwhile=meanwhile)
