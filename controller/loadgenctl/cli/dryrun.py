"""`loadgenctl run --dry-run`: what a run would do. Needs no engine."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from loadgenctl.cli.console import clean
from loadgenctl.cli.output import print_json
from loadgenctl.cli.tables import print_list, width_for
from loadgenctl.model import RunPlan, StageSpec
from loadgenctl.reports.tables import Column, Table, flowing
from loadgenctl.reports.text import print_lines
from loadgenctl.reports.words import harmless
from loadgenctl.run.resume import Resumption
from loadgenctl.sources.giturl import without_credentials


def print_plan(plan: RunPlan, *, as_json: bool, resumption: Resumption | None = None) -> None:
    """The plan, stage by stage; of a run that is gone on with, what of it is left."""
    if as_json:
        repository = plan.repository and without_credentials(plan.repository)
        document = asdict(plan) | {"repository": repository}
        if resumption is not None:
            document |= {"attempt": resumption.attempt, "resumed_at_stage": resumption.stage}
        print_json(json.loads(json.dumps(document, default=str)))
        return
    console = Console()
    what = plan.source_dir or plan.revision or ("bundled" if plan.sdk == "sim" else "HEAD")
    head = f"SDK {plan.sdk}, {clean(str(what))}; results in {clean(str(plan.output_dir))}"
    console.print(head, soft_wrap=True, markup=False)
    if plan.origin is not None:
        node = "a node follows it" if plan.monitor else "no node runs"
        console.print(
            f"network described at {clean(plan.origin)}; {node}", soft_wrap=True, markup=False
        )
    if resumption is not None:
        console.print(resumption.words(), soft_wrap=True, markup=False)
    _print_stages(plan.stages if resumption is None else resumption.left, plan, console)


def _print_stages(stages: Sequence[StageSpec], plan: RunPlan, console: Console) -> None:
    """A table of the stages, and below it their loads, which are often alike."""
    columns = [Column("stage", "whole"), Column("runs", "whole"), Column("minutes")]
    columns += [Column("cycles"), Column("saved", "whole")]
    rows, loads = [], defaultdict(list)
    for stage in stages:
        minutes = "until interrupted" if stage.duration < 0 else f"{stage.duration / 60:g}"
        saved = "yes" if stage.save_storage else "no"
        runs = _runs(stage, monitor=plan.monitor)
        rows.append((str(stage.index), runs, minutes, str(stage.cycles or "-"), saved))
        loads[harmless(_load(stage))].append(str(stage.index))
    print_list(Table("", columns, rows, rule=False, split=False), console)
    width = width_for(console, None)
    for load, indexes in loads.items():
        if load:
            of = f"stage {indexes[0]}" if len(indexes) == 1 else f"stages {', '.join(indexes)}"
            print_lines(console, flowing(f"load of {of}: {load}".split(", "), width))


def _load(stage: StageSpec) -> str:
    """`faucet interval 10, amm interval 15 limit 2`."""
    tasks = []
    for task, config in (stage.load or {}).items():
        settings = config.items() if isinstance(config, Mapping) else [("", config)]
        tasks.append(" ".join([task, *(f"{name} {value}".strip() for name, value in settings)]))
    return ", ".join(tasks)


def _runs(stage: StageSpec, *, monitor: bool) -> str:
    if not stage.chain_only:
        return "chain, client, load" if monitor else "client, load"
    return "chain, load prepared" if stage.prepare else "chain"
