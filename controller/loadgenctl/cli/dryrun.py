"""`--dry-run`: what a run would do, and with which SDK. Needs no engine and fetches nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from loadgenctl.cli.print_data import print_json, print_table, width_for
from loadgenctl.clock import SystemClock
from loadgenctl.errors import RevisionNotFound, UsageError
from loadgenctl.formatting import harmless, harmless_lines, number
from loadgenctl.model import RunPlan, StageSpec
from loadgenctl.plan.times import words
from loadgenctl.process import Runner
from loadgenctl.records.plan_codec import plan_document
from loadgenctl.reports.table_model import flowing, print_lines
from loadgenctl.resources import cache_dir
from loadgenctl.run.resume import Resumption
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import DEFAULT_REPOSITORY, GitSource
from loadgenctl.sources.giturl import parse_repository, without_credentials


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The SDK that a plan would use."""

    where: str
    """A folder, `bundled`, or a revision and its repository, without credentials."""
    commit: str | None = None
    """Of a repository's revision, if it is known."""
    note: str | None = None
    """Why it is not known."""


def foresee(plan: RunPlan, rewrite: Callable[[str], str]) -> Foreseen:
    """Look the plan's revision up in its repository; `rewrite` is the site's rule for addresses.

    If a remote repository does not answer, the result has a note. Raises `RevisionNotFound`, and
    `UsageError` for an invalid address or a folder that is not a repository.
    """
    if plan.source_dir is not None and not plan.checkout:
        return Foreseen(str(plan.source_dir))
    into = f", to be built in {plan.source_dir}" if plan.checkout else ""
    if plan.sdk == "sim" and plan.repository is None:
        return Foreseen(f"bundled{into}")
    repository = parse_repository(plan.repository or DEFAULT_REPOSITORY)
    where = f"revision {plan.revision or 'HEAD'} of {repository.public}{into}"
    source = GitSource(Runner(), cache_dir(), rewrite, SystemClock())
    try:
        commit = source.look(SourceRequest(plan.sdk, plan.revision, plan.repository))
    except RevisionNotFound:
        raise
    except UsageError as error:
        if repository.local is not None:
            raise
        return Foreseen(where, note=f"the revision was not checked: {error.message}")
    if commit is None:
        return Foreseen(where, note="the run fetches the repository to look for this commit")
    return Foreseen(where, commit)


def print_plan(
    plan: RunPlan,
    *,
    as_json: bool,
    resumption: Resumption | None = None,
    sdk: Foreseen | None = None,
    variables: Sequence[str] = (),
) -> None:
    """Print the plan, stage by stage; for a resumed run, its remaining stages.

    `variables` are the environment variables that set options.
    """
    if as_json:
        repository = plan.repository and without_credentials(plan.repository)
        document = plan_document(plan) | {"repository": repository}
        if sdk is not None:
            document |= {"commit": sdk.commit}
        if resumption is not None:
            document |= {"attempt": resumption.attempt, "resumed_at_stage": resumption.stage}
        print_json(json.loads(json.dumps(document, default=str)))
        return
    console = Console()
    for line in _head(plan, sdk, variables):
        console.print(harmless_lines(line), soft_wrap=True, markup=False, highlight=False)
    if plan.origin is not None:
        node = "a node follows it" if plan.monitor else "no node runs"
        console.print(
            f"network described at {harmless_lines(plan.origin)}; {node}",
            soft_wrap=True,
            markup=False,
        )
    for line in _commands(plan):
        console.print(harmless_lines(line), soft_wrap=True, markup=False)
    if resumption is not None:
        console.print(resumption.words(), soft_wrap=True, markup=False)
    _print_stages(plan.stages if resumption is None else resumption.left, plan, console)


def _print_stages(stages: Sequence[StageSpec], plan: RunPlan, console: Console) -> None:
    """Print a table of the stages, and below it each distinct load once."""
    heads = ("stage", "runs", "minutes", "cycles", "saved")
    rows, loads = [], defaultdict(list)
    for stage in stages:
        minutes = "until interrupted" if stage.duration_s < 0 else f"{stage.duration_s / 60:g}"
        if stage.load_duration_s is not None:
            minutes = f"{minutes} under load"
        saved = "yes" if stage.save_storage else "no"
        runs = _runs(stage, plan)
        rows.append((str(stage.index), runs, minutes, str(stage.cycles or "-"), saved))
        loads[harmless(_load(stage))].append(str(stage.index))
    print_table(heads, rows, right="minutes cycles")
    width = width_for(console, None)
    for load, indexes in loads.items():
        if load:
            of = f"stage {indexes[0]}" if len(indexes) == 1 else f"stages {', '.join(indexes)}"
            print_lines(console, flowing(f"load of {of}: {load}".split(", "), width))
    console.print(_total(stages), soft_wrap=True, markup=False, highlight=False)


def _head(plan: RunPlan, sdk: Foreseen | None, variables: Sequence[str]) -> Iterator[str]:
    bundled = plan.sdk == "sim" and plan.repository is None
    recorded = plan.source_dir or plan.revision or ("bundled" if bundled else "HEAD")
    what = recorded if sdk is None else sdk.where
    yield f"SDK {plan.sdk}, {what}"
    if sdk is not None and sdk.commit is not None:
        yield f"commit {sdk.commit}"
    if sdk is not None and sdk.note is not None:
        yield f"note: {sdk.note}"
    yield f"results in {plan.output_dir}"
    if variables:
        yield f"options from the environment: {', '.join(variables)}"


def _total(stages: Sequence[StageSpec]) -> str:
    """The time of all stages, without the build and the starts of the roles."""
    count = f"{len(stages)} stage{'' if len(stages) == 1 else 's'}"
    if any(stage.duration_s < 0 for stage in stages):
        return f"{count}: until interrupted"
    took = words(sum(stage.duration_s for stage in stages))
    limit = "at most " if any(stage.cycles for stage in stages) else ""
    return f"{count}: {limit}{took}, and the time for the build and for starts"


def _commands(plan: RunPlan) -> Iterator[str]:
    """What the load acts through, and what would run outside the roles' containers."""
    if plan.client == "wallet":
        yield "the load acts through smart wallets, without a client"
    if plan.compute_limit is not None:
        yield f"a block of the chain may use {number(plan.compute_limit)} computrons"
    if plan.provision_command is not None:
        yield f"runs on this machine, by /bin/sh: {plan.provision_command}"
    if plan.engine == "local":
        yield "runs the SDK on this machine, without containers"
    elif plan.source_dir is not None:
        yield f"builds {plan.source_dir} in place, by the SDK's own steps in a container"
    elif plan.sdk != "sim":
        yield "builds the revision, unless it is cached, by the SDK's own steps in a container"


def _load(stage: StageSpec) -> str:
    """`faucet interval 10, amm interval 15 limit 2`."""
    tasks = []
    for task, config in (stage.load or {}).items():
        settings = config.items() if isinstance(config, Mapping) else [("", config)]
        tasks.append(" ".join([task, *(f"{name} {value}".strip() for name, value in settings)]))
    return ", ".join(tasks)


def _runs(stage: StageSpec, plan: RunPlan) -> str:
    if not stage.chain_only:
        chain = ["chain"] if plan.monitor else []
        client = ["client"] if plan.client == "solo" else []
        return ", ".join([*chain, *client, "load"])
    return "chain, load prepared" if stage.prepare else "chain"
