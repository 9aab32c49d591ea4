"""`loadgenctl run --dry-run`: what a run would do. Needs no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from loadgenctl.cli.console import clean
from loadgenctl.cli.output import print_json
from loadgenctl.model import RunPlan, StageSpec
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
    table = Table("stage", box=None)
    table.add_column("runs", no_wrap=True)
    for heading in ("minutes", "load", "cycles", "saved"):
        table.add_column(heading)
    for stage in plan.stages if resumption is None else resumption.left:
        minutes = "until interrupted" if stage.duration < 0 else f"{stage.duration / 60:g}"
        if stage.load_duration_s is not None:
            minutes = f"{minutes} under load"
        table.add_row(
            str(stage.index),
            _runs(stage, monitor=plan.monitor),
            minutes,
            clean(_load(stage)),
            str(stage.cycles or ""),
            "yes" if stage.save_storage else "no",
        )
    console.print(table)


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
