"""What a run has to do with networks: read one that others run, offer its own chain to others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import RELAYED, RunPlan, TrustPoint
from loadgenctl.networks.document import CONFIG, GENESIS, require_reachable
from loadgenctl.networks.offer import network_config, node_id, read_of_chain, trusted_block
from loadgenctl.networks.origin import GENESIS_LIMIT, Found, OriginReader
from loadgenctl.plainfile import require_inside, write_plain
from loadgenctl.records.files import replace_file
from loadgenctl.records.store import RunStore
from loadgenctl.run.context import StageContext
from loadgenctl.run.progress import Progress
from loadgenctl.sdks.base import NETWORK, OUT, SdkFamily

ORIGIN = "origin"
"""Folder of the results that tells other runs how to follow the chain."""


def require_features(plan: RunPlan, family: SdkFamily) -> None:
    """Raise `UsageError` for what is asked of a revision that does not have it."""
    wanted = {name: f"--trace {name}" for name in plan.traces}
    if plan.bootstrap is not None:
        wanted["bootstrap"] = "--custom-bootstrap"
    if plan.state_sync or plan.snapshot_interval is not None:
        wanted["state-sync"] = (
            "--use-state-sync" if plan.state_sync else "--chain.snapshot-interval"
        )
    if plan.client == "wallet":
        wanted["wallet"] = "--client wallet"
    if plan.compute_limit is not None:
        wanted["compute-limit"] = "--chain.compute-limit"
    for feature, option in wanted.items():
        why = family.lacks(feature)
        if why is not None:
            raise UsageError(f"{option} cannot be had here: {why}", hint="leave it out")


def read(
    plan: RunPlan, origins: OriginReader, say: Callable[[str], None], *, contained: bool
) -> Found | RunError | None:
    """What the plan's origin says of its network; None without an origin.

    `contained`: roles run in containers. Raises `UsageError` for an origin that is not right: of
    such a run there is nothing to keep. That nobody answers is a failure of the run, and returned.
    """
    if plan.origin is None:
        return None
    try:
        found = origins.read(plan.origin, state_sync=plan.state_sync, say=say)
    except RunError as error:
        return error
    require_reachable(found.network, monitor=plan.monitor, contained=contained)
    return found


def keep(plan: RunPlan, found: Found | None, store: RunStore, progress: Progress) -> None:
    """Put what was read of a network beside the results."""
    if found is None:
        return
    _write(store.path(CONFIG), found.config)
    if not plan.monitor:
        progress.note(
            "no chain node runs: the records will have no blocks, no chain's slog, log, storage"
            " and samples"
        )


def lay_out(found: Found | None, shared: Path) -> None:
    """Put what roles need of a network where they find it."""
    if found is None:
        return
    into = shared / NETWORK.removeprefix(f"{OUT}/")
    into.mkdir()
    _write(into / GENESIS, found.genesis)


def offer(ctx: StageContext) -> None:
    """Write the origin by which runs on the same Docker network can follow this one's chain.

    Raises `RunError` for a chain that cannot be followed.
    """
    if not _offers(ctx.plan):
        return
    folder = _describe(ctx)
    ctx.progress.note(
        f"others follow this chain by --profile testnet --testnet-origin {folder}"
        f" --network {ctx.plan.network} {_beginning(ctx.plan)}"
    )


def _beginning(plan: RunPlan) -> str:
    """The options by which another run's node gets to the state of this plan's chain."""
    if plan.snapshot_interval is not None:
        return "--use-state-sync"
    if plan.client == "wallet":
        return "--use-state-sync, if this run gets --chain.snapshot-interval"
    return f"--custom-bootstrap {plan.bootstrap or ''}".rstrip()


def offer_trust(ctx: StageContext, rpc: Callable[[str], dict[str, object] | None]) -> None:
    """Add a block of the running chain to the origin, by which nodes begin with `--use-state-sync`.

    `rpc` asks the chain's node. Without snapshots there is nothing to begin with.
    """
    if not _offers(ctx.plan) or ctx.plan.snapshot_interval is None:
        return
    trust = trusted_block(rpc("status"))
    if trust is None:
        ctx.progress.warn("the chain's node names no block: others cannot use --use-state-sync")
        return
    _describe(ctx, trust)


def _offers(plan: RunPlan) -> bool:
    return plan.network is not None and plan.origin is None


def _describe(ctx: StageContext, trust: TrustPoint | None = None) -> Path:
    """Write the two documents of an origin; the folder of it. Raises as `offer` does."""
    plan, recipe = ctx.plan, ctx.family.chain(ctx.role_context(0))
    if recipe.genesis is None or recipe.node_key is None:
        raise RunError("this SDK's chain cannot be followed", role="chain", step=ORIGIN)
    genesis = read_of_chain(ctx.on_host(recipe.genesis), GENESIS_LIMIT.size)
    node = node_id(ctx.on_host(recipe.node_key))
    folder = ctx.store.path(ORIGIN)
    folder.mkdir(exist_ok=True)
    require_inside(folder, ctx.store.folder)
    rpc_port = plan.ports.chain + RELAYED
    config = network_config(genesis, node, ctx.pod.holder.name, rpc_port, trust)
    # Others read them at any time: never half of one.
    replace_file(folder / GENESIS, genesis)
    replace_file(folder / CONFIG, config)
    return folder


def _write(path: Path, content: bytes) -> None:
    with write_plain(path) as stream:
        stream.write(content)
