"""Whether and how a run that ended before its plan was done can be resumed.

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
from loadgenctl.records.plan_codec import RUN_AGAIN, recorded_plan
from loadgenctl.records.raw_parts import PRUNED
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.status import Status
from loadgenctl.records.superseded import BEGINS
from loadgenctl.roles.load_client import Failures
from loadgenctl.run.run_folders import STATE_PARTS, StateMark, read_mark
from loadgenctl.run.saved_storage import saved
from loadgenctl.sources.fill_folder import is_blank

FINISH = "perf-stage-finish"


@dataclass(frozen=True, slots=True)
class StartState:
    """The state that the chain continues from."""

    kind: Literal["new", "as it is", "saved", "stopped"]
    """`new`: there is no stage before; `as it is`: the state folder holds the end of the stage
    before; `saved`: that is to be unpacked; `stopped`: the state folder holds what the interrupted
    stage had when it was stopped.
    """
    chain: int | None = None
    """The stage at whose end the chain's storage was saved."""
    client: int | None = None
    """The same for the client's; None: there was no client yet, or there is none."""

    def words(self, stage: int) -> str:
        """For messages and status.json; `stage` is the one that is run first."""
        match self.kind:
            case "new":
                return "a new chain"
            case "as it is":
                return f"the chain as stage {stage - 1} left it"
            case "saved":
                return f"the chain as saved at the end of stage {self.chain}"
        return f"the chain where the interrupted stage {stage} stopped it"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A run that can be resumed."""

    folder: Path
    plan: RunPlan
    """As recorded, but at the pinned revision, in the folder as it is now, and with `options`."""
    document: Mapping[str, Any]
    """run.json."""
    status: Status
    """As it was found."""
    attempt: int
    """The number of the new one."""
    stage: int
    """The first to be run; the number of stages if only the end was missing."""
    start: StartState
    latest: float | None
    """The newest timestamp of perf.jsonl, s since the run's start; None if it has none."""
    failed: Mapping[int, Failures] = field(default_factory=dict)
    """Failures of the load, by finished stage."""
    last_error: str | None = None
    """Of one of them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options given with `--resume`."""

    @property
    def left(self) -> tuple[StageSpec, ...]:
        """The stages that are still to be run."""
        return self.plan.stages[self.stage :]

    def words(self) -> str:
        """What is kept and what is done, for a message."""
        kept = _stages_words(range(self.stage))
        if not self.left:
            return f"all stages are finished and are kept (attempt {self.attempt})"
        begin = f"resuming at stage {self.stage} (attempt {self.attempt}) with"
        begin = f"{begin} {self.start.words(self.stage)}"
        return f"{begin}; kept: {kept}" if self.stage else f"{begin}; no stage was finished"

    def same_start(self, other: Resumption) -> bool:
        """False if the folder has changed between two calls of `examine` in a way that matters."""
        mine, its = (
            (each.attempt, each.stage, each.start, each.status.owner) for each in (self, other)
        )
        return mine == its

    def require_same_sdk(self, resolved: ResolvedRevision, deviations: Sequence[str]) -> None:
        """Raise `UsageError` unless the finished stages ran the same SDK with the same build."""
        recorded = self.document.get("sdk")
        recorded = recorded if isinstance(recorded, Mapping) else {}
        if self.plan.checkout:
            return
        for name, now in (
            ("commit", resolved.commit),
            # The content id of a folder that a run has filled is not that of the revision.
            *([] if self._filled else [("content_id", resolved.content_id)]),
        ):
            if recorded.get(name) != now:
                raise UsageError(
                    f"{self.folder} cannot be resumed: its SDK was"
                    f" {recorded.get(name)!s:.17}, and is now {now!s:.17}",
                    hint=f"restore the SDK as it was, or {RUN_AGAIN}",
                )

        before = recorded.get("deviations", list(deviations))
        if before != list(deviations):
            raise UsageError(
                f"{self.folder} cannot be resumed: its SDK was built with other overrides of the"
                " site than those that are set now",
                hint=f"set [site.npm] and [site.go] as they were, or {RUN_AGAIN}",
            )

    @property
    def _filled(self) -> bool:
        plan = self.document["plan"]
        return isinstance(plan, Mapping) and plan.get("checkout") is True

    def require_same_image(self, tag: str | None) -> None:
        """Raise `UsageError` unless the finished stages ran in the same image."""
        recorded = self.document.get("image")
        before = recorded.get("tag") if isinstance(recorded, Mapping) else None
        if self.stage and before != tag:
            raise UsageError(
                f"{self.folder} cannot be resumed: its stages ran in the image {before}, and this"
                f" loadgenctl makes {tag}",
                hint=f"resume it with the loadgenctl that started it, or {RUN_AGAIN}",
            )


def resumable(folder: Path) -> bool:
    """True for the folder of a run that `examine` accepts."""
    try:
        examine(folder)
    except (LoadgenError, OSError):
        return False
    return True


def examine(folder: Path) -> Resumption:
    """How the run can be resumed. Raises `UsageError` with the reason why it cannot."""
    records = RunFolder(folder.resolve())
    if records.original:
        raise _cannot(folder, "it is of the original load generator", hint=RUN_AGAIN)
    status = _ended(records, folder)
    if (folder / PRUNED).exists():
        raise _cannot(folder, f"its raw data was removed to free space ({PRUNED})", hint=RUN_AGAIN)
    document = records.run
    plan = _plan(records, folder, document)
    _require_same_machine(folder, document, status)
    stage, latest = _progress(records, plan)
    mark = read_mark(plan.state_dir)
    ours = mark if mark is not None and mark.run_id == document.get("run_id") else None
    start = _start_state(folder, plan, stage, ours)
    failed, last_error = _failed(records, stage)
    if stage == len(plan.stages):
        _require_end(folder, plan, failed)
    return Resumption(
        folder=records.path,
        # A resumed stage must not reset the state of the stages before it.
        plan=plan if stage == 0 else replace(plan, reset=False),
        document=document,
        status=status,
        attempt=status.attempt + 1,
        stage=stage,
        start=start,
        latest=latest,
        failed=failed,
        last_error=last_error,
    )


def _ended(records: RunFolder, folder: Path) -> Status:
    written = records.status
    if written is None:
        raise _cannot(folder, "its status.json is missing or damaged", hint=RUN_AGAIN)
    status = written.as_found()
    if status.outcome == "passed":
        raise _cannot(folder, "it passed: nothing is left to do", hint=f"loadgenctl stats {folder}")
    if status.finished:
        return status
    if status.owner is not None and status.owner.alive() is True:
        raise _cannot(
            folder,
            f"it is still running (process {status.owner.pid})",
            hint=f"watch it with loadgenctl top {folder}, or stop it with Ctrl-C first",
        )
    raise _cannot(
        folder,
        "it is recorded as running, and this machine cannot check that",
        hint="resume it on the machine where it ran",
    )


def _plan(records: RunFolder, folder: Path, document: Mapping[str, Any]) -> RunPlan:
    if not document:
        raise _cannot(folder, "it ended before run.json was written", hint=RUN_AGAIN)
    try:
        plan = recorded_plan(document)
    except UsageError as error:
        raise _cannot(folder, error.message, hint=error.hint) from error
    run_id = document.get("run_id")
    if not (isinstance(run_id, str) and run_id.isalnum()):
        raise _cannot(folder, "its run.json has no run_id", hint=RUN_AGAIN)
    if plan.by_hand:
        raise _cannot(folder, "it was driven by hand", hint="start it again: loadgenctl up")
    if plan.origin is not None:
        why = "its chain belongs to a network that others run, which has made blocks since"
        raise _cannot(folder, why, hint=RUN_AGAIN)
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
            hint=RUN_AGAIN,
        )


def _progress(records: RunFolder, plan: RunPlan) -> tuple[int, float | None]:
    """The first stage that is not finished, and the newest timestamp."""
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
        success = finished.get(spec.index, False)
        # Older records have no `success`: there, only a stage that passed has another after it.
        if success is False or (success is None and spec.index + 1 not in begun):
            return spec.index, latest
    return len(plan.stages), latest


def _start_state(folder: Path, plan: RunPlan, stage: int, mark: StateMark | None) -> StartState:
    if stage == 0:
        if not plan.reset and mark is not None:
            why = "stage 0 began with the state of an earlier run (--no-reset) and changed it"
            raise _cannot(
                folder, why, hint=f"restore that state in {plan.state_dir}, and {RUN_AGAIN}"
            )
        return StartState("new")
    if not all((plan.state_dir / name).is_dir() for name in STATE_PARTS):
        mark = None
    standing = None if mark is None else (mark.stage, mark.standing)
    if standing == (stage - 1, "finished"):
        return StartState("as it is")
    chain = stage - 1
    with_client = [
        spec.index
        for spec in plan.stages[:stage]
        if plan.client == "solo" and (spec.prepare or not spec.chain_only)
    ]
    client = with_client[-1] if with_client else None
    needed = [saved(folder, "chain", chain)]
    if client is not None:
        needed.append(saved(folder, "client", client))
    missing = [each.archive.name for each in needed if not each.exists]
    if not missing:
        return StartState("saved", chain, client)
    if standing == (stage, "stopped"):
        return StartState("stopped")
    names = " and ".join(missing)
    why = f"stage {stage} has nothing to start from: {names} {_are(missing)} missing"
    if mark is None:
        why += f", and {plan.state_dir} does not hold the chain of this run"
    else:
        why += f", and in stage {mark.stage} the chain was not stopped cleanly"
    hint = f"{RUN_AGAIN}; with --stage.save-storage every stage can be resumed"
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
    """All stages are finished: raise `UsageError` if the run cannot pass any more."""
    if failed:
        cycles = sum(each.cycles for each in failed.values())
        unprepared = sum(each.preparations for each in failed.values())
        what = f"{cycles} load cycles" if cycles else f"{unprepared} preparations of the load"
        why = f"all its stages are finished, and it failed because {what} failed"
        raise _cannot(folder, why, hint=RUN_AGAIN)
    for spec in plan.stages:
        if spec.save_storage and not saved(folder, "chain", spec.index).exists:
            why = f"all its stages are finished, and the storage of stage {spec.index} is lost"
            raise _cannot(folder, why, hint=f"loadgenctl stats {folder} shows what it measured")


def _cannot(folder: Path, why: str, *, hint: str | None) -> UsageError:
    return UsageError(f"{folder} cannot be resumed: {why}", hint=hint)


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _stages_words(stages: range) -> str:
    if len(stages) > 2:
        return f"stages {stages[0]} to {stages[-1]}"
    return f"stage{'s' * (len(stages) - 1)} {' and '.join(map(str, stages))}"
