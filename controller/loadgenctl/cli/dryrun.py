"""`loadgenctl run --dry-run`: what a run would do. Needs no engine, and fetches nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from loadgenctl.cli.foresee import Foreseen
from loadgenctl.cli.output import print_json, print_table, width_for
from loadgenctl.formatting import harmless, harmless_lines, number
from loadgenctl.model import RunPlan, StageSpec
from loadgenctl.plan.times import words
from loadgenctl.reports.tables import flowing, print_lines
from loadgenctl.run.resume import Resumption
from loadgenctl.sources.giturl import without_credentials


def print_plan(
    plan: RunPlan,
    *,
    as_json: bool,
    resumption: Resumption | None = None,
    sdk: Foreseen | None = None,
    variables: Sequence[str] = (),
) -> None:
    """The plan, stage by stage; of a resumed run, the stages that are left.

    `sdk` is what is known of the SDK, `variables` are those of the environment that set options.
    """
    if as_json:
        repository = plan.repository and without_credentials(plan.repository)
        document = asdict(plan) | {"repository": repository}
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
    """A table of the stages, and below it their loads, which are often alike."""
    rows, loads = [], defaultdict(list)
    for stage in stages:
        minutes = "until interrupted" if stage.duration < 0 else f"{stage.duration / 60:g}"
        if stage.load_duration_s is not None:
            minutes = f"{minutes} under load"
        saved = "yes" if stage.save_storage else "no"
        runs = _runs(stage, plan)
        rows.append((str(stage.index), runs, minutes, str(stage.cycles or "-"), saved))
        loads[harmless(_load(stage))].append(str(stage.index))
    heads = ("stage", "runs", "minutes", "cycles", "saved")
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
    """How long the stages take; the build and the starts of the roles come on top."""
    count = f"{len(stages)} stage{'' if len(stages) == 1 else 's'}"
    if any(stage.duration < 0 for stage in stages):
        return f"{count}: until interrupted"
    took = words(sum(stage.duration for stage in stages))
    limit = "at most " if any(stage.cycles for stage in stages) else ""
    return f"{count}: {limit}{took}, and the time for the build and for starts"


def _commands(plan: RunPlan) -> Iterator[str]:
    """What the load acts through, and what would run beside the roles in their containers."""
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
