"""Going on with a run that ended before its plan was done: what there is to go on with, or why not.

Reads the results folder and the state folder, and changes nothing; `run.restore` does.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision, RunPlan, StageSpec
from loadgenctl.owner import host_id
from loadgenctl.records.counting import BEGINS
from loadgenctl.records.raw import PRUNED
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.recorded import ANEW, recorded_plan
from loadgenctl.records.status import Status
from loadgenctl.roles.loadclient import Failures
from loadgenctl.run.host import STATE_PARTS
from loadgenctl.run.statemark import StateMark, read_mark
from loadgenctl.run.storage import saved
from loadgenctl.sources.inplace import is_blank

FINISH = "perf-stage-finish"


@dataclass(frozen=True, slots=True)
class Basis:
    """What the chain goes on with."""

    kind: Literal["anew", "as it is", "saved", "stopped"]
    """`anew`: there is no stage before; `as it is`: the state folder holds the end of the stage
    before; `saved`: it is to be unpacked; `stopped`: the state folder holds what the interrupted
    stage came to.
    """
    chain: int | None = None
    """The stage at whose end the chain's storage was saved."""
    client: int | None = None
    """The same of the client's; None: there was no client, or not yet."""

    def words(self, stage: int) -> str:
        """For a person and status.json; `stage` is the one that is run first."""
        match self.kind:
            case "anew":
                return "a new chain"
            case "as it is":
                return f"the chain as stage {stage - 1} left it"
            case "saved":
                return f"the chain as saved at the end of stage {self.chain}"
        return f"the chain where the interrupted stage {stage} stopped it"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A run that can be gone on with."""

    folder: Path
    plan: RunPlan
    """As it was, but at the pinned revision, for a folder that was moved, and with `options`."""
    document: Mapping[str, Any]
    """run.json."""
    status: Status
    """As it was found."""
    attempt: int
    """The number of the coming one."""
    stage: int
    """The first to be run; as many as the plan has if only the end was missing."""
    basis: Basis
    latest: float | None
    """The newest timestamp of perf.jsonl, s since the run's start; None if that was not begun."""
    failed: Mapping[int, Failures] = field(default_factory=dict)
    """What of the load failed, by finished stage."""
    last_error: str | None = None
    """Of one of them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Given beside `--resume`."""

    @property
    def left(self) -> tuple[StageSpec, ...]:
        """The stages that are still to be run."""
        return self.plan.stages[self.stage :]

    def words(self) -> str:
        """What is kept, and what is done."""
        kept = _stages_words(range(self.stage))
        if not self.left:
            return f"all stages were finished and are kept (attempt {self.attempt})"
        begin = f"resuming at stage {self.stage} (attempt {self.attempt}) with"
        begin = f"{begin} {self.basis.words(self.stage)}"
        return f"{begin}; kept: {kept}" if self.stage else f"{begin}; no stage was finished"

    def same_ground(self, other: Resumption) -> bool:
        """False if the folder has changed between two looks in a way that matters."""
        mine, its = (
            (each.attempt, each.stage, each.basis, each.status.owner) for each in (self, other)
        )
        return mine == its

    def require_same_sdk(self, resolved: ResolvedRevision, deviations: Sequence[str]) -> None:
        """Raise `UsageError` unless the finished stages ran the very same SDK, built alike."""
        recorded = self.document.get("sdk")
        recorded = recorded if isinstance(recorded, Mapping) else {}
        if self.plan.checkout:
            return
        for name, now in (
            ("commit", resolved.commit),
            # A folder that a run has filled is not called as the revision was.
            *([] if self._filled else [("content_id", resolved.content_id)]),
        ):
            if recorded.get(name) != now:
                raise UsageError(
                    f"{self.folder} cannot be resumed: its SDK was"
                    f" {recorded.get(name)!s:.17}, and is {now!s:.17} now",
                    hint=f"put the SDK back as it was, or {ANEW}",
                )

        before = recorded.get("deviations", list(deviations))
        if before != list(deviations):
            raise UsageError(
                f"{self.folder} cannot be resumed: its SDK was built with other overrides of the"
                " site than are set now",
                hint=f"set [site.npm] and [site.go] as they were, or {ANEW}",
            )

    @property
    def _filled(self) -> bool:
        plan = self.document["plan"]
        return isinstance(plan, Mapping) and plan.get("checkout") is True

    def require_same_image(self, tag: str | None) -> None:
        """Raise `UsageError` unless the finished stages ran in the very same kind of image."""
        recorded = self.document.get("image")
        before = recorded.get("tag") if isinstance(recorded, Mapping) else None
        if self.stage and before != tag:
            raise UsageError(
                f"{self.folder} cannot be resumed: its stages ran in the image {before}, and this"
                f" loadgenctl makes {tag}",
                hint=f"resume it with the loadgenctl that began it, or {ANEW}",
            )


def resumable(folder: Path) -> bool:
    """True for the folder of a run that `examine` lets resume."""
    try:
        examine(folder)
    except (LoadgenError, OSError):
        return False
    return True


def examine(folder: Path) -> Resumption:
    """What there is to go on with. Raises `UsageError` that says why nothing can be."""
    records = RunFolder(folder.resolve())
    if records.original:
        raise _cannot(folder, "it is of the original load generator", hint=ANEW)
    status = _ended(records, folder)
    if (folder / PRUNED).exists():
        raise _cannot(folder, f"its raw data was removed to make room ({PRUNED})", hint=ANEW)
    document = records.run
    plan = _plan(records, folder, document)
    _require_same_machine(folder, document, status)
    stage, latest = _progress(records, plan)
    mark = read_mark(plan.state_dir)
    ours = mark if mark is not None and mark.run_id == document.get("run_id") else None
    basis = _basis(folder, plan, stage, ours)
    failed, last_error = _failed(records, stage)
    if stage == len(plan.stages):
        _require_end(folder, plan, failed)
    return Resumption(
        folder=records.path,
        # What was begun is not begun again.
        plan=plan if stage == 0 else replace(plan, reset=False),
        document=document,
        status=status,
        attempt=status.attempt + 1,
        stage=stage,
        basis=basis,
        latest=latest,
        failed=failed,
        last_error=last_error,
    )


def _ended(records: RunFolder, folder: Path) -> Status:
    written = records.status
    if written is None:
        raise _cannot(folder, "its status.json is missing or damaged", hint=ANEW)
    status = written.as_found()
    if status.outcome == "passed":
        raise _cannot(folder, "it passed: nothing is left to do", hint=f"loadgenctl stats {folder}")
    if status.finished:
        return status
    if status.owner is not None and status.owner.alive() is True:
        raise _cannot(
            folder,
            f"it is still running (process {status.owner.pid})",
            hint=f"watch it by loadgenctl top {folder}, or end it by Ctrl-C first",
        )
    raise _cannot(
        folder,
        "it is recorded as running, and this machine cannot tell whether it is",
        hint="resume it on the machine where it ran",
    )


def _plan(records: RunFolder, folder: Path, document: Mapping[str, Any]) -> RunPlan:
    if not document:
        raise _cannot(folder, "it ended before run.json was written", hint=ANEW)
    try:
        plan = recorded_plan(document)
    except UsageError as error:
        raise _cannot(folder, error.message, hint=error.hint) from error
    run_id = document.get("run_id")
    if not (isinstance(run_id, str) and run_id.isalnum()):
        raise _cannot(folder, "its run.json tells no run_id", hint=ANEW)
    if plan.by_hand:
        raise _cannot(folder, "it was driven by hand", hint="begin anew: loadgenctl up")
    if plan.origin is not None:
        why = "its chain is of a network that others run, which has gone on since"
        raise _cannot(folder, why, hint=ANEW)
    sdk = document.get("sdk")
    commit = sdk.get("commit") if isinstance(sdk, Mapping) else None
    if plan.source_dir is None and isinstance(commit, str):
        # A branch may have moved since.
        plan = replace(plan, revision=commit)
    if plan.source_dir is not None and plan.checkout:
        plan = replace(plan, checkout=is_blank(plan.source_dir))
    # A folder may have been moved, and its state with it.
    inside = plan.state_dir == plan.output_dir / "state"
    here = records.path
    return replace(plan, output_dir=here, state_dir=here / "state" if inside else plan.state_dir)


def _require_same_machine(folder: Path, document: Mapping[str, Any], status: Status) -> None:
    if status.owner is None or status.owner.host == host_id():
        return
    host = document.get("host")
    recorded = host if isinstance(host, Mapping) else {}
    here = {"hostname": platform.node(), "machine": platform.machine()}
    if any(recorded.get(name) != value for name, value in here.items()):
        raise _cannot(
            folder,
            f"it ran on another machine ({recorded.get('hostname')}), whose numbers do not compare",
            hint=ANEW,
        )


def _progress(records: RunFolder, plan: RunPlan) -> tuple[int, float | None]:
    """The first stage that was not finished, and the newest timestamp."""
    begun: set[int] = set()
    finished: dict[int, bool | None] = {}
    latest: float | None = None
    for row in records.perf():
        stage, at = row.get("stage"), row.get("timestamp")
        if isinstance(at, int | float):
            latest = max(latest or 0.0, at)
        if not isinstance(stage, int):
            continue
        if row.get("type") == BEGINS:
            begun.add(stage)
        elif row.get("type") == FINISH:
            success = row.get("success")
            finished[stage] = success if isinstance(success, bool) else None
    for spec in plan.stages:
        well = finished.get(spec.index, False)
        # Before it was told, only a stage that went well was followed by another.
        if well is False or (well is None and spec.index + 1 not in begun):
            return spec.index, latest
    return len(plan.stages), latest


def _basis(folder: Path, plan: RunPlan, stage: int, mark: StateMark | None) -> Basis:
    if stage == 0:
        if not plan.reset and mark is not None:
            why = "stage 0 went on with the state of an earlier run (--no-reset) and changed it"
            raise _cannot(
                folder, why, hint=f"bring that state back to {plan.state_dir}, and {ANEW}"
            )
        return Basis("anew")
    if not all((plan.state_dir / name).is_dir() for name in STATE_PARTS):
        mark = None
    standing = None if mark is None else (mark.stage, mark.standing)
    if standing == (stage - 1, "finished"):
        return Basis("as it is")
    chain = stage - 1
    with_client = [
        spec.index
        for spec in plan.stages[:stage]
        if plan.client == "solo" and (spec.prepare or not spec.chain_only)
    ]
    client = with_client[-1] if with_client else None
    wanted = [saved(folder, "chain", chain)]
    if client is not None:
        wanted.append(saved(folder, "client", client))
    missing = [each.archive.name for each in wanted if not each.there]
    if not missing:
        return Basis("saved", chain, client)
    if standing == (stage, "stopped"):
        return Basis("stopped")
    names = " and ".join(missing)
    why = f"stage {stage} has nothing to begin with: {names} {_are(missing)} missing"
    if mark is None:
        why += f", and {plan.state_dir} does not hold the chain of this run"
    else:
        why += f", and in stage {mark.stage} the chain was not stopped as it should be"
    hint = f"{ANEW}; with --stage.save-storage there is something to begin with at every stage"
    raise _cannot(folder, why, hint=hint)


def _failed(records: RunFolder, stage: int) -> tuple[Mapping[int, Failures], str | None]:
    cycles, unprepared = Counter[int](), Counter[int]()
    last_error = None
    for row in records.events():
        number = row.get("stage")
        if row.get("type") != "prepare" or row.get("success") is not False:
            continue
        if isinstance(number, int) and number < stage:
            unprepared[number] += 1
            last_error = f"preparing {row.get('task')}: {row.get('error')}"
    for row in records.cycles():
        number = row.get("stage")
        if row.get("success") is False and isinstance(number, int) and number < stage:
            cycles[number] += 1
            last_error = str(row.get("error"))
    stages = sorted({*cycles, *unprepared})
    return {each: Failures(cycles[each], unprepared[each]) for each in stages}, last_error


def _require_end(folder: Path, plan: RunPlan, failed: Mapping[int, Failures]) -> None:
    """All stages were finished: the run can still pass unless something was wrong with them."""
    if failed:
        cycles = sum(each.cycles for each in failed.values())
        unprepared = sum(each.preparations for each in failed.values())
        told = f"{cycles} load cycles" if cycles else f"{unprepared} preparations of the load"
        why = f"all its stages were finished, and it failed because {told} failed"
        raise _cannot(folder, why, hint=ANEW)
    for spec in plan.stages:
        if spec.save_storage and not saved(folder, "chain", spec.index).there:
            why = f"all its stages were finished, and the storage of stage {spec.index} is lost"
            raise _cannot(folder, why, hint=f"loadgenctl stats {folder} shows what it measured")


def _cannot(folder: Path, why: str, *, hint: str | None) -> UsageError:
    return UsageError(f"{folder} cannot be resumed: {why}", hint=hint)


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _stages_words(stages: range) -> str:
    if len(stages) > 2:
        return f"stages {stages[0]} to {stages[-1]}"
    return f"stage{'s' * (len(stages) - 1)} {' and '.join(map(str, stages))}"
