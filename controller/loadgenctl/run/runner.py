"""A plan, executed: a visible list of steps. Nothing flows back but how it ended."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from loadgenctl.clock import Clock
from loadgenctl.engines.base import EngineInfo
from loadgenctl.errors import (
    DiskFull,
    Interrupted,
    LoadFailed,
    LoadgenError,
    OutputFolderError,
    OutputFolderLost,
    RunError,
)
from loadgenctl.model import ChainNetwork, RunPlan
from loadgenctl.monitor.own import OwnUsage, read_own_usage
from loadgenctl.monitor.readers import ThreadReader
from loadgenctl.monitor.sampler import ReaderFactory, Sampler
from loadgenctl.networks.fetch import HttpFetch
from loadgenctl.networks.origin import Found, OriginReader
from loadgenctl.owner import Owner
from loadgenctl.process import Runner as ProcessRunner
from loadgenctl.records.store import RunStore
from loadgenctl.roles.pod import HOLDER, Pod, PodFolders, PodOptions
from loadgenctl.run import disk, ending, host, networks, restore, storage
from loadgenctl.run.context import StageContext, role_context
from loadgenctl.run.disk import DiskGuard, Disks
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.making import (
    NO_IMAGE,
    ImageRef,
    Makers,
    Wanted,
    make_image,
    make_sdk,
    resolve,
    sweep,
)
from loadgenctl.run.resume import Resumption
from loadgenctl.run.setup import set_up
from loadgenctl.run.stage import Stage
from loadgenctl.run.storage import StorageSaver
from loadgenctl.sdks.base import SdkFamily

T = TypeVar("T")

BUILD_LOG = "build.log"
SHARED = "shared"


def _nobody_waits() -> None:
    """For runs that nobody drives."""


@dataclass(frozen=True, slots=True)
class Services(Makers):
    """What a run is done with; made by the composition root, faked by tests."""

    clock: Clock
    processes: ProcessRunner
    interrupts: Interrupts
    role_user: tuple[int, int]
    """uid and gid of the roles."""
    finish: Callable[[RunStore], None]
    """Called at the very end: the analysis side makes the summary from the folder."""
    site_name: str | None = None
    disks: Disks = field(default_factory=Disks)
    """What is known of disks; tests have their own."""
    make_reader: ReaderFactory = ThreadReader
    """How the sampler reads without waiting; tests read inline."""
    own_usage: OwnUsage = read_own_usage
    """What the controller itself uses."""
    origins: OriginReader = field(default_factory=lambda: OriginReader(HttpFetch()))
    """How networks that others run are looked up."""
    on_ready: Callable[[], None] = _nobody_waits
    """Called when all is up that a person drives by hand, right after a step was told."""


@dataclass(slots=True)
class Walk:
    """What the steps have found out so far."""

    plan: RunPlan
    services: Services
    engine_info: EngineInfo
    wanted: Wanted
    store: RunStore
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    image: ImageRef | None = None
    source_dir: Path | None = None
    pod: Pod | None = None
    answer: Found | RunError | None = None
    """What the origin of a network that others run said, or that it said nothing."""
    held: ExitStack = field(default_factory=ExitStack)
    """What is given back when the run is over."""
    resumption: Resumption | None = None
    """Of a run that is gone on with."""

    @property
    def family(self) -> SdkFamily:
        """What the SDK is."""
        return self.wanted.family

    @property
    def found(self) -> Found | None:
        """The network that others run."""
        return None if isinstance(self.answer, RunError) else self.answer

    @property
    def build_log(self) -> Path:
        """Where what is made tells of it."""
        return self.store.path(BUILD_LOG)


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
            else restore.open_records(resumption, wanted.resolved, services, held),
            answer=answer,
            held=held,
            resumption=resumption,
        )
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
    walk.services.progress.step("removing the containers")
    try:
        walk.pod.close()
    except LoadgenError as trouble:
        if error is None:
            return trouble
        walk.services.progress.warn(f"containers may be left: {trouble}; try loadgenctl clean")
    return error


def _open_records(plan: RunPlan, services: Services) -> RunStore:
    store = RunStore.create(plan.output_dir, services.clock)
    services.progress.note(f"results in {plan.output_dir}")
    return store


def _sweep(walk: Walk) -> None:
    """Remove what dead runs left on the engine."""
    sweep(walk.services)


def _keep_network(walk: Walk) -> None:
    """Keep what the origin of a network said with the results, or fail because it said nothing."""
    if isinstance(walk.answer, RunError):
        walk.store.write_run(_run_document(walk))
        raise walk.answer
    networks.keep(walk.plan, walk.found, walk.store, walk.services.progress)


def _make_image(walk: Walk) -> None:
    """Make or reuse the image; write run.json with what is known by then."""
    resumption = walk.resumption
    try:
        walk.image = make_image(walk.wanted, walk.services, walk.build_log)
    finally:
        if resumption is None:
            walk.store.write_run(_run_document(walk))
    if resumption is not None:
        resumption.require_same_image(None if walk.image is NO_IMAGE else walk.image.tag)


def _build_sdk(walk: Walk) -> None:
    """Build the SDK at this revision or take it from the cache."""
    services = walk.services
    walk.source_dir = make_sdk(walk.plan, walk.wanted, _known(walk.image), services, walk.build_log)
    walk.held.enter_context(services.builder.in_use(walk.source_dir))


def _open_pod(walk: Walk) -> None:
    """Lay out the run's folders and start the holder of the pod's network."""
    plan, services = walk.plan, walk.services
    folders = PodFolders(
        source=_known(walk.source_dir), shared=walk.store.path(SHARED), state=plan.state_dir
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
        recipes = walk.family.chain(roles), walk.family.solo(roles)
        restore.restore(walk.resumption, *recipes, services)
    tools = {**walk.family.tools()}
    bootstrap = {"bootstrap_json": plan.bootstrap}
    host.copy_tools(tools, folders.shared / "tools", sim_toml=plan.sim_config, **bootstrap)
    networks.lay_out(walk.found, folders.shared)
    uid, gid = services.role_user
    options = PodOptions(
        run_id=walk.run_id,
        image=_known(walk.image).tag,
        user=f"{uid}:{gid}",
        owner=Owner.current(),
        results=walk.store.folder,
        limits=plan.limits,
        publish=plan.publish,
        ports=plan.ports,
        network=plan.network,
        uplink=plan.origin is not None,
    )
    walk.pod = Pod(services.engine, options, folders)
    walk.pod.open(_listening(walk))


def _listening(walk: Walk) -> dict[int, str]:
    """The ports that the run's roles will listen at → the role."""
    family, context = walk.family, role_context(walk.plan, 0, _network(walk))
    recipes = [family.chain(context)] if walk.plan.monitor else []
    if any(not stage.chain_only for stage in walk.plan.stages):
        recipes += [family.solo(context), family.loadgen(context)]
    return {port: recipe.role for recipe in recipes for port in recipe.ports}


def _run_stages(walk: Walk) -> None:
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
        pod=_known(walk.pod),
        family=walk.family,
        progress=services.progress,
        interrupts=services.interrupts,
        saver=saver,
        sampler=sampler,
        disk=DiskGuard(plan, services.disks, services.clock, walk.store.check),
        vat_names=names,
        on_ready=services.on_ready,
        processes=services.processes,
        network=_network(walk),
    )
    if plan.publish or plan.network or plan.origin:
        # Without published ports the pod has only loopback, of which Docker keeps no count.
        sampler.watch(HOLDER, _known(walk.pod).holder, owns_network=True)
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


def _network(walk: Walk) -> ChainNetwork | None:
    return None if walk.found is None else walk.found.network


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


STEPS: tuple[tuple[str, Callable[[Walk], None]], ...] = (
    ("sweep leftovers of dead runs", _sweep),
    ("read the network's origin", _keep_network),
    ("make the image", _make_image),
    ("build the SDK", _build_sdk),
    ("open the pod", _open_pod),
    ("run the stages", _run_stages),
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


def _run_document(walk: Walk) -> Mapping[str, Any]:
    """run.json: what is run and on what. Units: seconds, bytes."""
    plan, resolved = walk.plan, walk.wanted.resolved
    return {
        "run_id": walk.run_id,
        "sdk": {
            **asdict(resolved),
            "era": walk.family.era,
            "simulated": walk.family.simulated,
        },
        "image": _image(walk.image),
        # The address as typed may hold a password.
        "plan": _plain(
            asdict(plan)
            | {
                "repository": plan.repository and resolved.repository,
                "provision_command": plan.provision_command and "given",
            }
        ),
        "network": None if walk.found is None else asdict(walk.found.network),
        "test_data": dict(plan.test_data),
        "site": walk.services.site_name,
        "engine": asdict(walk.engine_info),
        "host": host.describe(),
        "python": platform.python_version(),
    }


def _image(image: ImageRef | None) -> dict[str, str] | None:
    if image is None or image is NO_IMAGE:
        return None
    return {"tag": image.tag, "id": image.id}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _known(value: T | None) -> T:
    if value is None:
        raise LoadgenError("a step ran before the one it builds on")
    return value
