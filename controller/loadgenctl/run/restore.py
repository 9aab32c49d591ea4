"""Prepare the folders of a run that is resumed: set aside what the last attempt left of the stages
that are run again, and make the state what the first of them starts from.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.monitor.docker_stats import COUNTERS
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.plainfile import NotPlainError, RolePath, require_inside
from loadgenctl.records import schema
from loadgenctl.records.archive import discard, unpack
from loadgenctl.records.raw_parts import LOCK
from loadgenctl.records.reader import RunFolder, last_heard
from loadgenctl.records.status import Status, another
from loadgenctl.records.store import RunStore
from loadgenctl.records.superseded import FIRST
from loadgenctl.run import run_folders
from loadgenctl.run.context import ResolvedSdk, RunContext, Services
from loadgenctl.run.resume import Resumption, examine
from loadgenctl.run.run_folders import StateMark, remove_mark, write_mark
from loadgenctl.run.saved_storage import SavedStorage, copy_folder, saved, unpacked
from loadgenctl.sdks.base import STATE, RoleRecipe
from loadgenctl.slog.follow import SlogFollower
from loadgenctl.sources.locks import exclusive

LEFT = ("{role}-stage-{stage}.slog.*", "{role}-stage-{stage}-*-trace")
"""What an attempt leaves of a stage in the results folder, beside rows and logs."""
ROLES = ("chain", "client", "loadgen")


def open_records(
    resumption: Resumption, sdk: ResolvedSdk, services: Services, held: ExitStack
) -> RunStore:
    """Take over the results folder for another attempt, with the lock of its state in `held`.

    Raises `UsageError` for another SDK, or if another process resumed the run first.
    """
    resumption.require_same_sdk(sdk.resolved, sdk.deviations)
    plan, status = resumption.plan, resumption.status
    held.enter_context(run_folders.state_in_use(plan.state_dir))
    if not resumption.same_start(examine(resumption.folder)):
        raise UsageError(
            f"{resumption.folder} has changed: another process resumed it",
            hint="see its current results: loadgenctl stats",
        )
    started, now = status.started_at or 0.0, services.clock.wall()
    heard = max(started + (resumption.latest or 0.0), last_heard(resumption.folder) or 0.0)
    attempts = another(
        status,
        stage=resumption.stage,
        state=resumption.start.words(resumption.stage),
        options=resumption.options,
        began_at=round(now, 6),
        heard_at=min(heard, now),
    )
    ends = (end for end in status.containers if _before(end, resumption.stage))
    begun = Status(started_at=status.started_at, attempts=attempts, containers=tuple(ends))
    services.progress.note(resumption.words())
    return RunStore.resume(
        resumption.folder, services.clock, begun, latest=resumption.latest or 0.0
    )


def _before(end: Mapping[str, Any], stage: int) -> bool:
    number = end.get("stage")
    return isinstance(number, int) and number < stage


def set_aside(resumption: Resumption, shared: Path, services: Services) -> None:
    """Rename what is left of the stages that are run again, by the attempt that made it.

    A plain slog, which has more than its packed part, is packed now. Then `shared` and the saved
    storage of these stages are removed. If a program that a killed run started still packs
    storage, this waits for it. Raises `OSError`, `Interrupted`.
    """
    for each in unpacked(resumption.folder):

        def report(name: str = each.archive.name) -> None:
            services.progress.step(f"waiting until {name} is packed")

        lock = each.copy.with_name(each.copy.name + LOCK)
        with exclusive(lock, services.clock, on_wait=report, check=services.interrupts.check):
            pass
    counting = RunFolder(resumption.folder).counting()
    # After a power cut there may be something of later ones, too.
    for spec in resumption.left:
        attempt = FIRST if counting is None else counting.attempt(spec.index)
        _set_aside(resumption, spec.index, attempt, shared)
    # What is left of events and slogs would pass for that of this attempt.
    run_folders.remove_path(shared, hint="remove it as its owner, and resume again")


def _set_aside(resumption: Resumption, stage: int, attempt: int, shared: Path) -> None:
    results, codec = resumption.folder, resumption.plan.slog_codec
    for role in ROLES:
        logs = (results / "logs").glob(f"{role}-stage-{stage}.log.gz")
        found = (results.glob(each.format(role=role, stage=stage)) for each in LEFT)
        for path in (*logs, *(path for paths in found for path in paths)):
            path.replace(path.with_name(schema.set_aside(path.name, attempt)))
        plain = RolePath(shared, PurePosixPath(f"{role}-stage-{stage}.slog"))
        name = schema.set_aside(schema.slog_name(role, stage, codec), attempt)
        with contextlib.suppress(NotPlainError):
            # What is not a regular file is not a slog; it is removed with the folder.
            SlogFollower(plain, results / name, codec=codec).close()
        of_stage = saved(results, role, stage)
        of_stage.archive.unlink(missing_ok=True)
        discard(of_stage.copy)


def restore(
    resumption: Resumption,
    chain: RoleRecipe,
    clients: Sequence[RoleRecipe],
    services: Services,
) -> None:
    """Make the state what the stage starts from. Raises `UsageError` if it cannot be used."""
    start, state = resumption.start, resumption.plan.state_dir
    if start.kind == "new":
        return
    if start.kind == "stopped":
        services.progress.warn(
            f"stage {resumption.stage} continues where its interrupted attempt stopped the chain:"
            " the blocks of that attempt are counted in no stage"
        )
    if start.kind == "saved":
        # While it is incomplete, it must not pass for the end of a stage.
        remove_mark(state)
        for role, recipe, stage in (
            ("chain", chain, start.chain),
            *(("client", client, start.client) for client in clients),
        ):
            source = None if stage is None else saved(resumption.folder, role, stage)
            if recipe.storage is not None:
                target = PurePosixPath(recipe.storage).relative_to(STATE)
                _put_back(source, state / target, state, services)
        run_id = str(resumption.document.get("run_id"))
        write_mark(state, StateMark(run_id, resumption.stage - 1, "finished"))
    if chain.state_probe is not None and not _on_host(chain.state_probe, state).exists():
        raise UsageError(
            f"{state} does not hold the chain's state any more", hint="start a new run"
        )


def _on_host(path: str, state: Path) -> RolePath:
    return RolePath(state, PurePosixPath(path).relative_to(STATE))


def _put_back(source: SavedStorage | None, target: Path, state: Path, services: Services) -> None:
    """Replace a role's storage by what was saved; remove it without a source: there was none."""
    # Roles had these folders: a link would be theirs.
    require_inside(target, state)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        run_folders.require_ours(state, target)
    run_folders.remove_path(target, hint="remove it as its owner, and resume again")
    if source is None:
        return
    services.progress.step(f"unpacking {source.archive.name}")
    made = Path(tempfile.mkdtemp(prefix=".restored-", dir=state))
    try:
        if source.archive.exists():
            unpack(source.archive, made)
        else:
            copy_folder(services.processes, source.copy, made)
        _hand_over(made, services.role_user)
        made.rename(target)
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if error.errno is None:
            raise UsageError(str(error), hint="start a new run") from error
        raise OutputFolderError(
            f"{source.archive.name} cannot be unpacked to {target}: {error.strerror}",
            hint="check the space on the disk and the folder's owner, and resume again",
        ) from error


def _hand_over(folder: Path, user: tuple[int, int]) -> None:
    """Make the roles' user the owner of a folder and all that is in it, if the caller is root."""
    folder.chmod(0o755)
    if os.getuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *user, follow_symlinks=False)


def continue_records(resumption: Resumption, ctx: RunContext, sampler: Sampler) -> None:
    """Record that the run is resumed; continue with what earlier attempts counted, named and did
    not pack.
    """
    store = ctx.store
    if resumption.latest is None:
        store.perf_start()
    words = resumption.start.words(resumption.stage)
    store.perf("run-resumed", atStage=resumption.stage, state=words)
    for each in unpacked(store.folder):
        if each.archive.exists():
            discard(each.copy)
        else:
            ctx.saver.pack(each.copy, each.archive)
    sampler.go_on(counted(store.folder, resumption.stage))
    ctx.vat_names.update(vat_names(store.folder))


def counted(results: Path, stages: int) -> Mapping[str, dict[str, Any]]:
    """Role → last values of its container's counters, and epoch, in the first `stages` stages."""
    found: dict[str, dict[str, Any]] = {}
    for row in RunFolder(results).samples():
        role, stage = row.get("role"), row.get("stage")
        if row.get("kind") != "container" or not isinstance(role, str):
            continue
        if isinstance(stage, int) and stage < stages:
            values = {name: row.get(name) for name in ("epoch", *COUNTERS)}
            found.setdefault(role, {}).update(
                {name: value for name, value in values.items() if isinstance(value, int | float)}
            )
    return found


def vat_names(results: Path) -> dict[str, str | None]:
    """Vat id → name, as in the samples so far."""
    named = (
        (row.get("subject"), row.get("name"))
        for row in RunFolder(results).samples()
        if row.get("kind") == "process"
    )
    return {str(vat): name for vat, name in named if isinstance(name, str)}
