"""Making a run's folders ready for another attempt: what the last one left of the stage that is
run anew is set aside, and the state becomes what that stage begins with.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from loadgenctl.clock import Clock
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.monitor.docker_stats import COUNTERS
from loadgenctl.plainfile import NotPlainError, RolePath, require_inside
from loadgenctl.process import Runner
from loadgenctl.records import schema
from loadgenctl.records.archive import discard, unpack
from loadgenctl.records.counting import FIRST
from loadgenctl.records.raw import LOCK
from loadgenctl.records.reader import RunFolder, last_heard
from loadgenctl.records.status import Status, another
from loadgenctl.records.store import RunStore
from loadgenctl.run import host
from loadgenctl.run.context import StageContext
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.making import Wanted
from loadgenctl.run.progress import Progress
from loadgenctl.run.resume import Resumption, examine
from loadgenctl.run.statemark import StateMark, remove_mark, write_mark
from loadgenctl.run.storage import Saved, copy_folder, saved, unpacked
from loadgenctl.sdks.base import STATE, RoleRecipe
from loadgenctl.slog.follow import SlogFollower
from loadgenctl.sources.locks import exclusive

LEFT = ("{role}-stage-{stage}.slog.*", "{role}-stage-{stage}-*-trace")
"""What an attempt leaves of a stage in the results folder, beside rows and logs."""
ROLES = ("chain", "client", "loadgen")


class Hands(Protocol):
    """What of a run's services is needed here."""

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def processes(self) -> Runner:
        """Starts programs."""
        ...

    @property
    def progress(self) -> Progress:
        """Where it is told."""
        ...

    @property
    def interrupts(self) -> Interrupts:
        """Requests to stop."""
        ...

    @property
    def role_user(self) -> tuple[int, int]:
        """uid and gid of the roles."""
        ...


def open_records(resumption: Resumption, wanted: Wanted, hands: Hands, held: ExitStack) -> RunStore:
    """Take the folder over for another attempt, with the lock of its state in `held`.

    Raises `UsageError` for another SDK, or if somebody else was faster.
    """
    resumption.require_same_sdk(wanted.resolved, wanted.deviations)
    plan, status = resumption.plan, resumption.status
    held.enter_context(host.state_in_use(plan.state_dir))
    if not resumption.same_ground(examine(resumption.folder)):
        raise UsageError(
            f"{resumption.folder} has changed meanwhile: somebody else resumed it",
            hint="see how it stands: loadgenctl stats",
        )
    started, now = status.started_at or 0.0, hands.clock.wall()
    heard = max(started + (resumption.latest or 0.0), last_heard(resumption.folder) or 0.0)
    attempts = another(
        status,
        stage=resumption.stage,
        state=resumption.basis.words(resumption.stage),
        options=resumption.options,
        began_at=round(now, 6),
        heard_at=min(heard, now),
    )
    ends = (end for end in status.containers if _before(end, resumption.stage))
    begun = Status(started_at=status.started_at, attempts=attempts, containers=tuple(ends))
    hands.progress.note(resumption.words())
    return RunStore.resume(resumption.folder, hands.clock, begun, latest=resumption.latest or 0.0)


def _before(end: Mapping[str, Any], stage: int) -> bool:
    number = end.get("stage")
    return isinstance(number, int) and number < stage


def set_aside(resumption: Resumption, shared: Path, hands: Hands) -> None:
    """Rename what was left of the stages that are run anew, by the attempt that made it.

    A plain slog, which says more than what was packed of it by then, is packed now. Then `shared`
    and what was saved of these stages go. What a killed run began to pack, and still does, is
    waited for. Raises `OSError`, `Interrupted`.
    """
    for each in unpacked(resumption.folder):

        def tell(name: str = each.archive.name) -> None:
            hands.progress.step(f"waiting until {name} is packed")

        lock = each.copy.with_name(each.copy.name + LOCK)
        with exclusive(lock, hands.clock, on_wait=tell, check=hands.interrupts.check):
            pass
    counting = RunFolder(resumption.folder).counting()
    # After a power cut there may be something of later ones, too.
    for spec in resumption.left:
        attempt = FIRST if counting is None else counting.attempt(spec.index)
        _set_aside(resumption, spec.index, attempt, shared)
    # Events and slogs that stayed would be taken for those of this attempt.
    host.remove_whole(shared, hint="remove it as its owner, and resume again")


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
            # What is no file is no slog; it goes with the folder.
            SlogFollower(plain, results / name, codec=codec).close()
        of_stage = saved(results, role, stage)
        of_stage.archive.unlink(missing_ok=True)
        discard(of_stage.copy)


def restore(
    resumption: Resumption,
    chain: RoleRecipe,
    clients: Sequence[RoleRecipe],
    hands: Hands,
) -> None:
    """Make the state what the stage begins with. Raises `UsageError` if it cannot be used."""
    basis, state = resumption.basis, resumption.plan.state_dir
    if basis.kind == "anew":
        return
    if basis.kind == "stopped":
        hands.progress.warn(
            f"stage {resumption.stage} goes on where its interrupted attempt stopped the chain:"
            " the blocks between are counted in no stage"
        )
    if basis.kind == "saved":
        # Until all is there nobody may take it for the end of a stage.
        remove_mark(state)
        for role, recipe, stage in (
            ("chain", chain, basis.chain),
            *(("client", client, basis.client) for client in clients),
        ):
            source = None if stage is None else saved(resumption.folder, role, stage)
            if recipe.storage is not None:
                target = PurePosixPath(recipe.storage).relative_to(STATE)
                _put_back(source, state / target, state, hands)
        run_id = str(resumption.document.get("run_id"))
        write_mark(state, StateMark(run_id, resumption.stage - 1, "finished"))
    if chain.state_probe is not None and not _on_host(chain.state_probe, state).exists():
        raise UsageError(f"{state} does not hold the chain's state any more", hint="run anew")


def _on_host(path: str, state: Path) -> RolePath:
    return RolePath(state, PurePosixPath(path).relative_to(STATE))


def _put_back(source: Saved | None, target: Path, state: Path, hands: Hands) -> None:
    """Replace a role's storage by what was saved; without a source there was none yet."""
    # Roles had these folders: a link would be theirs.
    require_inside(target, state)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        host.require_ours(state, target)
    host.remove_whole(target, hint="remove it as its owner, and resume again")
    if source is None:
        return
    hands.progress.step(f"unpacking {source.archive.name}")
    made = Path(tempfile.mkdtemp(prefix=".restored-", dir=state))
    try:
        if source.archive.exists():
            unpack(source.archive, made)
        else:
            copy_folder(hands.processes, source.copy, made)
        _hand_over(made, hands.role_user)
        made.rename(target)
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if error.errno is None:
            raise UsageError(str(error), hint="run anew") from error
        raise OutputFolderError(
            f"{source.archive.name} cannot be unpacked to {target}: {error.strerror}",
            hint="check the room on the disk and the folder's owner, and resume again",
        ) from error


def _hand_over(folder: Path, user: tuple[int, int]) -> None:
    """Give all of it to the roles' user, where that is somebody else."""
    folder.chmod(0o755)
    if os.getuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *user, follow_symlinks=False)


def go_on(resumption: Resumption, ctx: StageContext) -> None:
    """Go on with what earlier attempts counted, named and did not pack; tell the records."""
    store = ctx.store
    if resumption.latest is None:
        store.perf_start()
    words = resumption.basis.words(resumption.stage)
    store.perf("run-resumed", atStage=resumption.stage, state=words)
    for each in unpacked(store.folder):
        if each.archive.exists():
            discard(each.copy)
        else:
            ctx.saver.pack(each.copy, each.archive)
    ctx.sampler.go_on(counted(store.folder, resumption.stage))
    ctx.vat_names.update(vat_names(store.folder))


def counted(results: Path, stages: int) -> Mapping[str, dict[str, Any]]:
    """Role → the last values of its container's counters, and epoch, in the first `stages`."""
    found: dict[str, dict[str, Any]] = {}
    for row in RunFolder(results).samples():
        role, stage = row.get("role"), row.get("stage")
        if row.get("kind") != "container" or not isinstance(role, str):
            continue
        if isinstance(stage, int) and stage < stages:
            told = {name: row.get(name) for name in ("epoch", *COUNTERS)}
            known = {name: value for name, value in told.items() if isinstance(value, int | float)}
            found.setdefault(role, {}).update(known)
    return found


def vat_names(results: Path) -> dict[str, str | None]:
    """Vat id → name, as the samples so far tell."""
    named = (
        (row.get("subject"), row.get("name"))
        for row in RunFolder(results).samples()
        if row.get("kind") == "process"
    )
    return {str(vat): name for vat, name in named if isinstance(name, str)}
