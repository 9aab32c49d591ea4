"""Networks: read the description of one that others run, publish that of our own chain, and the
message file of the SDK's acceptance tests (a3p-integration, z:acceptance).

Those tests wait for `ready` in the file, test the chain that this run's node follows, and write
`stop`. Both sides write the file in place: it is mounted into the tests' container. The script that
started the run adds its exit code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import RELAYED, RunPlan, TrustPoint
from loadgenctl.networks.description import CONFIG, GENESIS, require_reachable
from loadgenctl.networks.origin import GENESIS_LIMIT, Found, OriginReader
from loadgenctl.networks.publish import network_config, node_id, read_of_chain, trusted_block
from loadgenctl.plainfile import open_plain, require_inside, write_plain
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.store import RunStore
from loadgenctl.run.context import RunContext
from loadgenctl.run.progress import Progress
from loadgenctl.sdks.base import NETWORK, OUT, SdkFamily

ORIGIN = "origin"
"""Folder of the results that describes the chain to other runs, which follow it."""
READY = b"ready"
STOP = b"stop"
_MESSAGE_BYTES = 4096


def require_features(plan: RunPlan, family: SdkFamily) -> None:
    """Raise `UsageError` for an option that the revision does not support."""
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
            raise UsageError(f"{option} is not supported: {why}", hint="leave it out")


def read(
    plan: RunPlan, origins: OriginReader, say: Callable[[str], None], *, contained: bool
) -> Found | RunError | None:
    """The description of the network at the plan's origin; None without an origin.

    `contained`: roles run in containers. Raises `UsageError` for an invalid description: such a run
    has no results. An origin that does not answer is a failure of the run, and is returned.
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
    """Keep the description of a network with the results."""
    if found is None:
        return
    _write(store.path(CONFIG), found.config)
    if not plan.monitor:
        progress.note(
            "no chain node runs: the results will have no blocks and no slog, log, storage and"
            " samples of the chain"
        )


def lay_out(found: Found | None, shared: Path) -> None:
    """Put what roles need of a network into their shared folder."""
    if found is None:
        return
    into = shared / NETWORK.removeprefix(f"{OUT}/")
    into.mkdir()
    _write(into / GENESIS, found.genesis)


def publish(ctx: RunContext) -> None:
    """Write the origin with which runs on the same Docker network can follow this one's chain.

    Raises `RunError` for a chain that cannot be followed.
    """
    if not _publishes(ctx.plan):
        return
    folder = _describe(ctx)
    ctx.progress.note(
        f"others follow this chain with --profile testnet --testnet-origin {folder}"
        f" --network {ctx.plan.network} {_state_options(ctx.plan)}"
    )


def _state_options(plan: RunPlan) -> str:
    """The options with which another run's node gets the state of this plan's chain."""
    if plan.snapshot_interval is not None:
        return "--use-state-sync"
    if plan.client == "wallet":
        return "--use-state-sync, if this run gets --chain.snapshot-interval"
    return f"--custom-bootstrap {plan.bootstrap or ''}".rstrip()


def publish_trust(ctx: RunContext, rpc: Callable[[str], dict[str, object] | None]) -> None:
    """Add a block of the running chain to the origin, from which nodes start by `--use-state-sync`.

    `rpc` queries the chain's node. Does nothing without snapshots, which nodes would need.
    """
    if not _publishes(ctx.plan) or ctx.plan.snapshot_interval is None:
        return
    trust = trusted_block(rpc("status"))
    if trust is None:
        ctx.progress.warn("the chain's node reports no block: others cannot use --use-state-sync")
        return
    _describe(ctx, trust)


def _publishes(plan: RunPlan) -> bool:
    return plan.network is not None and plan.origin is None


def _describe(ctx: RunContext, trust: TrustPoint | None = None) -> Path:
    """Write the two documents of an origin; their folder. Raises as `publish` does."""
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
    # Others may read them at any time, so each is replaced in one step.
    replace_file(folder / GENESIS, genesis)
    replace_file(folder / CONFIG, config)
    return folder


def _write(path: Path, content: bytes) -> None:
    with write_plain(path) as stream:
        stream.write(content)


def require_message_folder(plan: RunPlan) -> None:
    """Raise `UsageError` if the message file cannot be made."""
    if plan.message_file is not None and not plan.message_file.parent.is_dir():
        raise UsageError(
            f"--acceptance-integration-message-file: there is no folder {plan.message_file.parent}"
        )


def write_ready(plan: RunPlan, stage: int) -> None:
    """Write that the node has caught up, in the last stage but one: the node has been restarted by
    then, and is again while the tests run. A single stage does it, too. Raises `OSError`.
    """
    if plan.message_file is None or stage != max(0, len(plan.stages) - 2):
        return
    with write_plain(plan.message_file) as stream:
        stream.write(READY)


def stop_requested(plan: RunPlan, stage: int) -> bool:
    """True if the tests have ended; only the last stage waits for that. Raises `OSError`."""
    if plan.message_file is None or stage != len(plan.stages) - 1:
        return False
    with open_plain(plan.message_file) as stream:
        return stream.read(_MESSAGE_BYTES).strip() == STOP
