"""A plan, executed: a visible list of steps. Nothing flows back but how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadgenctl.errors import (
    DiskFull,
    LoadgenError,
    OutputFolderError,
    RunError,
)
from loadgenctl.model import RunPlan
from loadgenctl.owner import Owner
from loadgenctl.program import program_name
from loadgenctl.records.log import RunLog
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import Pod, PodFolders, PodOptions
from loadgenctl.run import disk, ending, host, messages, networks, restore, storage
from loadgenctl.run.context import role_context
from loadgenctl.run.document import run_document
from loadgenctl.run.making import (
    NO_IMAGE,
    make_image,
    make_sdk,
    resolve,
    sweep,
)
from loadgenctl.run.resume import Resumption, resumable
from loadgenctl.run.stages import run_stages
from loadgenctl.run.walk import Services, Walk, known
from loadgenctl.sdks.base import clients

SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    folder: Path
    error: LoadgenError | None

    @property
    def exit_code(self) -> int:
        """The exit code that tells of it."""
        return 0 if self.error is None else self.error.exit_code


def execute(plan: RunPlan, services: Services, resumption: Resumption | None = None) -> Ending:
    """Do what the plan says; with a `resumption`, whose plan it is, only what is left of it.

    Before there is a results folder, and before the one of a resumed run is changed, errors are
    raised: `UsageError`, `EngineUnavailable`. After that they are in the ending and in the folder's
    status.json.
    """
    engine_info = services.engine.info()
    wanted = resolve(plan, services)
    networks.require_features(plan, wanted.family)
    messages.require_place(plan)
    left = plan if resumption is None else replace(plan, stages=resumption.left)
    needs = disk.needs(left, simulated=wanted.family.simulated)
    disk.preflight(plan, needs, services.disks, services.progress.warn)
    contained = services.engine.own_network
    answer = networks.read(plan, services.origins, services.progress.step, contained=contained)
    with ExitStack() as held:
        walk = Walk(
            plan,
            services,
            engine_info,
            wanted,
            _open_records(plan, services)
            if resumption is None
            else restore.open_records(resumption, wanted, services, held),
            answer=answer,
            held=held,
            resumption=resumption,
        )
        services.progress.keep_in(RunLog(walk.store.folder, services.clock).write)
        if resumption is not None:
            walk.run_id = str(resumption.document["run_id"])
        with walk.store:
            error = _walk(walk)
            with services.interrupts.held():
                error = _write_ending(walk, error)
            error = _finish(walk, error)
    return Ending(plan.output_dir, error)


def _finish(walk: Walk, error: LoadgenError | None) -> LoadgenError | None:
    """The summary, by the analysis side; that it cannot be made or written hides nothing else."""
    try:
        walk.services.finish(walk.store)
    except Exception as caught:  # noqa: BLE001 - reports are still to be made of what is there
        trouble = host.as_error(caught, walk.store.folder)
        walk.services.progress.warn(f"no summary was written: {trouble}")
        if error is None:
            return _set_status(walk, trouble, **ending.failure(trouble))
    return error


def _set_status(walk: Walk, error: LoadgenError | None, **changes: Any) -> LoadgenError | None:
    """The run's last word and its error, which is that the folder takes none if it has no other."""
    try:
        walk.store.set_status(**changes)
    except OutputFolderError as trouble:
        return error or trouble
    return error


def _walk(walk: Walk) -> LoadgenError | None:
    """All steps; whatever happens, nothing is left running."""
    error: LoadgenError | None = None
    try:
        for name, step in STEPS:
            walk.store.set_status(step=name)
            step(walk)
    except Exception as caught:  # noqa: BLE001 - whatever it is, the folder must tell of it
        error = host.as_error(caught, walk.store.folder)
    finally:
        with walk.services.interrupts.held():
            error = _close_pod(walk, error)
            walk.held.close()
    return error


def _close_pod(walk: Walk, error: LoadgenError | None) -> LoadgenError | None:
    """Remove the containers; what goes wrong with that is the run's error if it has no other."""
    if walk.pod is None:
        return error
    contained = walk.services.engine.own_network
    walk.services.progress.step("removing the containers" if contained else "ending the processes")
    try:
        walk.pod.close()
    except LoadgenError as trouble:
        if error is None:
            return trouble
        what = "containers" if contained else "processes"
        walk.services.progress.warn(f"{what} may be left: {trouble}; run {program_name()} clean")
    return error


def _open_records(plan: RunPlan, services: Services) -> RunStore:
    try:
        store = RunStore.create(plan.output_dir, services.clock)
    except OutputFolderError as error:
        if resumable(plan.output_dir):
            folder = shlex.quote(str(plan.output_dir))
            error.hint = f"resume it with --resume {folder}, or {error.hint}"
        raise
    services.progress.note(f"results in {plan.output_dir}")
    return store


def _sweep(walk: Walk) -> None:
    """Remove what dead runs left on the engine."""
    sweep(walk.services)


def _keep_network(walk: Walk) -> None:
    """Keep what the origin of a network said with the results, or fail because it said nothing."""
    if isinstance(walk.answer, RunError):
        walk.store.write_run(run_document(walk))
        raise walk.answer
    networks.keep(walk.plan, walk.found, walk.store, walk.services.progress)


def _make_image(walk: Walk) -> None:
    """Make or reuse the image; write run.json with what is known by then."""
    resumption = walk.resumption
    try:
        walk.image = make_image(walk.wanted, walk.services, walk.build_log)
    finally:
        if resumption is None:
            walk.store.write_run(run_document(walk))
    if resumption is not None:
        resumption.require_same_image(None if walk.image is NO_IMAGE else walk.image.tag)


def _build_sdk(walk: Walk) -> None:
    """Build the SDK at this revision or take it from the cache."""
    services = walk.services
    walk.source_dir = make_sdk(walk.plan, walk.wanted, known(walk.image), services, walk.build_log)
    walk.held.enter_context(services.builder.in_use(walk.source_dir))


def _open_pod(walk: Walk) -> None:
    """Lay out the run's folders and start the holder of the pod's network."""
    plan, services = walk.plan, walk.services
    folders = PodFolders(
        source=known(walk.source_dir), shared=walk.store.path(SHARED), state=plan.state_dir
    )
    if walk.resumption is None:
        walk.held.enter_context(host.state_in_use(folders.state))
    else:
        walk.store.set_status(step="bring back the state")
        restore.set_aside(walk.resumption, folders.shared, services)
    if plan.reset:
        host.reset_state(folders.state)
    host.make_folders(folders, services.role_user)
    if walk.resumption is not None:
        roles = role_context(plan, walk.resumption.stage)
        chain = walk.family.chain(roles)
        restore.restore(walk.resumption, chain, clients(walk.family, roles), services)
    tools = {**walk.family.tools()}
    bootstrap = {"bootstrap_json": plan.bootstrap}
    host.copy_tools(tools, folders.shared / "tools", sim_toml=plan.sim_config, **bootstrap)
    networks.lay_out(walk.found, folders.shared)
    uid, gid = services.role_user
    options = PodOptions(
        run_id=walk.run_id,
        image=known(walk.image).tag,
        user=f"{uid}:{gid}",
        owner=Owner.current(),
        results=walk.store.folder,
        limits=plan.limits,
        publish=plan.publish,
        with_client=bool(clients(walk.family, role_context(plan, 0))),
        ports=plan.ports,
        network=plan.network,
        uplink=plan.origin is not None,
    )
    walk.pod = Pod(services.engine, options, folders, services.clock)
    walk.pod.open(_listening(walk))


def _listening(walk: Walk) -> dict[int, str]:
    """The ports that the run's roles will listen at → the role."""
    family, context = walk.family, role_context(walk.plan, 0, walk.network)
    recipes = [family.chain(context)] if walk.plan.monitor else []
    if any(not stage.chain_only for stage in walk.plan.stages):
        recipes += [*clients(family, context), family.loadgen(context)]
    return {port: recipe.role for recipe in recipes for port in recipe.ports}


STEPS: tuple[tuple[str, Callable[[Walk], None]], ...] = (
    ("sweep leftovers of dead runs", _sweep),
    ("read the network's origin", _keep_network),
    ("make the image", _make_image),
    ("build the SDK", _build_sdk),
    ("open the pod", _open_pod),
    ("run the stages", run_stages),
)


def _write_ending(walk: Walk, error: LoadgenError | None) -> LoadgenError | None:
    """status.json's last word, and the folder without what nobody needs; the run's error."""
    store = walk.store
    # First, so that there is room for what follows if that was the trouble.
    store.remove(SHARED)
    if store.in_place:
        no_room = isinstance(error, DiskFull | OutputFolderError)
        storage.clear(store.folder, keep=error is not None and not no_room)
    if error is None:
        error = _set_status(walk, None, outcome="passed", step=None, exit_code=0)
    else:
        error = _set_status(walk, error, **ending.failure(error))
    state = walk.plan.state_dir
    if error is None and not walk.plan.keep_state and state.parent == store.folder:
        store.remove(state.name)
    return error
