"""Execute a plan: one step after the other, each in a line. The run's files are its only output
beside its result.
"""

from __future__ import annotations

import os
import platform
import shlex
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from loadgenctl.errors import DiskFull, LoadgenError, OutputFolderError, RunError
from loadgenctl.images import ImageRef
from loadgenctl.model import RunPlan
from loadgenctl.owner import Owner
from loadgenctl.program import program_name
from loadgenctl.records.plan_codec import plan_document
from loadgenctl.records.run_log import RunLog
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import Pod, PodFolders, PodOptions
from loadgenctl.run import disk_space, failure, network_setup, restore, run_folders, saved_storage
from loadgenctl.run.context import RunContext, Services, role_context
from loadgenctl.run.resume import Resumption, resumable
from loadgenctl.run.sdk_build import NO_IMAGE, make_image, make_sdk, resolve, sweep
from loadgenctl.run.stages import run_stages
from loadgenctl.sdks.base import clients

BUILD_LOG = "build.log"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    folder: Path
    error: LoadgenError | None
    summary: dict[str, Any] | None = None
    """None if it could not be made or written."""

    @property
    def exit_code(self) -> int:
        """0, or the error's exit code."""
        return 0 if self.error is None else self.error.exit_code


def execute(plan: RunPlan, services: Services, resumption: Resumption | None = None) -> RunResult:
    """Do what the plan says; with a `resumption`, whose plan it is, only what is left of it.

    Until there is a results folder, and until the folder of a resumed run is changed, errors are
    raised: `UsageError`, `EngineUnavailable`. After that they are in the result and in the
    folder's status.json.
    """
    engine_info = services.engine.info()
    sdk = resolve(plan, services)
    network_setup.require_features(plan, sdk.family)
    network_setup.require_message_folder(plan)
    left = plan if resumption is None else replace(plan, stages=resumption.left)
    needs = disk_space.needs(left, simulated=sdk.family.simulated)
    disk_space.preflight(plan, needs, services.disks, services.progress.warn)
    contained = services.engine.own_network
    origin = network_setup.read(plan, services.origins, services.progress.step, contained=contained)
    with ExitStack() as held:
        if resumption is None:
            store, run_id = _open_records(plan, services), uuid.uuid4().hex[:10]
        else:
            store = restore.open_records(resumption, sdk, services, held)
            run_id = str(resumption.document["run_id"])
        services.progress.keep_in(RunLog(store.folder, services.clock).write)
        ctx = RunContext.of(
            services,
            plan=plan,
            engine_info=engine_info,
            sdk=sdk,
            store=store,
            disk=disk_space.DiskGuard(plan, services.disks, services.clock, store.check),
            saver=saved_storage.StorageSaver(services.processes),
            origin=origin,
            resumption=resumption,
            run_id=run_id,
            held=held,
        )
        with store:
            error = _run_steps(ctx)
            with services.interrupts.held():
                error = _write_ending(ctx, error)
            summary, error = _summarize(ctx, error)
    return RunResult(plan.output_dir, error, summary)


def _run_steps(ctx: RunContext) -> LoadgenError | None:
    """All steps; whatever happens, no role is left running."""
    error: LoadgenError | None = None
    pod: Pod | None = None
    try:
        _begin(ctx, "sweep leftovers of dead runs")
        sweep(ctx)
        _begin(ctx, "read the network's origin")
        _keep_network(ctx)
        _begin(ctx, "make the image")
        image = _make_image(ctx)
        _begin(ctx, "build the SDK")
        source_dir = _build_sdk(ctx, image)
        _begin(ctx, "open the pod")
        pod = _make_pod(ctx, image, source_dir)
        pod.open(_listening(ctx))
        _begin(ctx, "run the stages")
        run_stages(replace(ctx, opened=pod))
    except Exception as caught:  # noqa: BLE001 - the folder must record any failure
        error = failure.as_error(caught, ctx.store.folder)
    finally:
        with ctx.interrupts.held():
            error = _close_pod(ctx, pod, error)
            ctx.held.close()
    return error


def _begin(ctx: RunContext, step: str) -> None:
    ctx.store.set_status(step=step)


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


def _keep_network(ctx: RunContext) -> None:
    """Keep the description of a network with the results, or fail because there is none."""
    if isinstance(ctx.origin, RunError):
        ctx.store.write_run(_run_document(ctx, None))
        raise ctx.origin
    network_setup.keep(ctx.plan, ctx.found, ctx.store, ctx.progress)


def _make_image(ctx: RunContext) -> ImageRef:
    """Make or reuse the image; write run.json with what is known by then."""
    image: ImageRef | None = None
    try:
        image = make_image(ctx.sdk, ctx, ctx.store.path(BUILD_LOG))
    finally:
        if ctx.resumption is None:
            ctx.store.write_run(_run_document(ctx, image))
    if ctx.resumption is not None:
        ctx.resumption.require_same_image(None if image is NO_IMAGE else image.tag)
    return image


def _build_sdk(ctx: RunContext, image: ImageRef) -> Path:
    """Build the SDK at this revision or take it from the cache."""
    built = make_sdk(ctx.plan, ctx.sdk, image, ctx, ctx.store.path(BUILD_LOG))
    ctx.held.enter_context(ctx.builder.in_use(built))
    return built


def _make_pod(ctx: RunContext, image: ImageRef, source_dir: Path) -> Pod:
    """Lay out the run's folders; the pod over them, which is not open yet."""
    plan = ctx.plan
    folders = PodFolders(source=source_dir, shared=ctx.shared, state=plan.state_dir)
    if ctx.resumption is None:
        ctx.held.enter_context(run_folders.state_in_use(folders.state))
    else:
        _begin(ctx, "bring back the state")
        restore.set_aside(ctx.resumption, folders.shared, ctx)
    if plan.reset:
        run_folders.reset_state(folders.state)
    run_folders.make_folders(folders, ctx.role_user)
    if ctx.resumption is not None:
        roles = role_context(plan, ctx.resumption.stage)
        chain = ctx.family.chain(roles)
        restore.restore(ctx.resumption, chain, clients(ctx.family, roles), ctx)
    bootstrap = {"bootstrap_json": plan.bootstrap}
    tools = folders.shared / "tools"
    run_folders.copy_tools(ctx.family.tools(), tools, sim_toml=plan.sim_config, **bootstrap)
    network_setup.lay_out(ctx.found, folders.shared)
    uid, gid = ctx.role_user
    options = PodOptions(
        run_id=ctx.run_id,
        image=image.tag,
        user=f"{uid}:{gid}",
        owner=Owner.current(),
        results=ctx.store.folder,
        limits=plan.limits,
        publish=plan.publish,
        with_client=bool(clients(ctx.family, role_context(plan, 0))),
        ports=plan.ports,
        network=plan.network,
        uplink=plan.origin is not None,
    )
    return Pod(ctx.engine, options, folders, ctx.clock)


def _listening(ctx: RunContext) -> dict[int, str]:
    """The ports that the run's roles will listen on → the role."""
    family, context = ctx.family, ctx.role_context(0)
    recipes = [family.chain(context)] if ctx.plan.monitor else []
    if any(not stage.chain_only for stage in ctx.plan.stages):
        recipes += [*clients(family, context), family.loadgen(context)]
    return {port: recipe.role for recipe in recipes for port in recipe.ports}


def _close_pod(ctx: RunContext, pod: Pod | None, error: LoadgenError | None) -> LoadgenError | None:
    """Remove the containers; a failure of that is the run's error if it has no other."""
    if pod is None:
        return error
    contained = ctx.engine.own_network
    ctx.progress.step("removing the containers" if contained else "ending the processes")
    try:
        pod.close()
    except LoadgenError as trouble:
        if error is None:
            return trouble
        what = "containers" if contained else "processes"
        ctx.progress.warn(f"{what} may be left: {trouble}; run {program_name()} clean")
    return error


def _write_ending(ctx: RunContext, error: LoadgenError | None) -> LoadgenError | None:
    """Write the final status and remove what is not needed any more; the run's error."""
    store = ctx.store
    # First, to free space for what follows if the disk is full.
    store.remove(ctx.shared.name)
    if store.in_place:
        full = isinstance(error, DiskFull | OutputFolderError)
        saved_storage.clear(store.folder, keep=error is not None and not full)
    if error is None:
        error = _set_status(ctx, None, outcome="passed", step=None, exit_code=0)
    else:
        error = _set_status(ctx, error, **failure.failure(error))
    state = ctx.plan.state_dir
    if error is None and not ctx.plan.keep_state and state.parent == store.folder:
        store.remove(state.name)
    return error


def _summarize(
    ctx: RunContext, error: LoadgenError | None
) -> tuple[dict[str, Any] | None, LoadgenError | None]:
    """The summary, by the analysis side, and the run's error: a failure of this if no other."""
    try:
        return ctx.finish(ctx.store), error
    except Exception as caught:  # noqa: BLE001 - reports are still made of what there is
        trouble = failure.as_error(caught, ctx.store.folder)
        ctx.progress.warn(f"no summary was written: {trouble}")
        if error is None:
            error = _set_status(ctx, trouble, **failure.failure(trouble))
        return None, error


def _set_status(ctx: RunContext, error: LoadgenError | None, **changes: Any) -> LoadgenError | None:
    """Write the final status. If the folder cannot be written, that is the error of a run that has
    no other.
    """
    try:
        ctx.store.set_status(**changes)
    except OutputFolderError as trouble:
        return error or trouble
    return error


def _run_document(ctx: RunContext, image: ImageRef | None) -> Mapping[str, Any]:
    """run.json: what is run and on what. Units: seconds, bytes."""
    plan, resolved = ctx.plan, ctx.sdk.resolved
    made = None if image is NO_IMAGE else image
    return {
        "run_id": ctx.run_id,
        "sdk": {
            **asdict(resolved),
            "era": ctx.family.era,
            "deviations": list(ctx.sdk.deviations),
            "simulated": ctx.family.simulated,
        },
        "image": made and {"tag": made.tag, "id": made.id},
        # The address as typed may hold a password.
        "plan": _plain(
            plan_document(plan)
            | {
                "repository": plan.repository and resolved.repository,
                "provision_command": plan.provision_command and "given",
            }
        ),
        "network": None if ctx.found is None else asdict(ctx.found.network),
        "test_data": dict(plan.test_data),
        "site": ctx.site_name,
        "engine": asdict(ctx.engine_info),
        "host": {
            "hostname": platform.node(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "cpu": _cpu_model(),
            "cpus": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "python": platform.python_version(),
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
