"""Before the first stage: the chain's and the client's state are made, unless they are there."""

from __future__ import annotations

from collections.abc import Sequence

from loadgenctl.model import Command
from loadgenctl.roles.pod import SETUP
from loadgenctl.run.context import StageContext


def set_up(ctx: StageContext, *, with_client: bool) -> None:
    """Make fresh state. Raises `RunError` naming the command that failed."""
    ctx.store.perf("setup-tasks-start", reset=ctx.plan.reset, withMonitor=True)
    context = ctx.role_context(0)
    recipes = [ctx.family.chain(context)]
    if with_client:
        recipes.append(ctx.family.solo(context))
    for recipe in recipes:
        if recipe.state_probe is None or not ctx.on_host(recipe.state_probe).exists():
            run_all(ctx, recipe.prepare, "setup", SETUP)
    ctx.store.perf("setup-tasks-finish")


def run_all(ctx: StageContext, commands: Sequence[Command], step: str, log: str) -> None:
    """Run one-shots in turn, their output kept in logs/LOG.log.gz; `step` says where we are."""
    keep = ctx.log_keeper(log)
    for command in commands:
        ctx.progress.step(f"{step}: {command.label}")
        ctx.pod.run_once(SETUP, command, keep)
