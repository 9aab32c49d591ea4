"""`loadgenctl run --dry-run`: what a run would do. Needs no engine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from loadgenctl.cli.console import clean
from loadgenctl.model import RunPlan
from loadgenctl.sources.giturl import without_credentials


def print_plan(plan: RunPlan, *, as_json: bool) -> None:
    """The plan, stage by stage."""
    if as_json:
        repository = plan.repository and without_credentials(plan.repository)
        json.dump(asdict(plan) | {"repository": repository}, sys.stdout, indent=1, default=str)
        sys.stdout.write("\n")
        return
    console = Console()
    what = plan.source_dir or plan.revision or ("bundled" if plan.sdk == "sim" else "HEAD")
    head = f"SDK {plan.sdk}, {clean(str(what))}; results in {clean(str(plan.output_dir))}"
    console.print(head, soft_wrap=True, markup=False)
    table = Table("stage", "runs", "minutes", "load", "cycles", "storage saved", box=None)
    for stage in plan.stages:
        minutes = "until interrupted" if stage.duration < 0 else f"{stage.duration / 60:g}"
        table.add_row(
            str(stage.index),
            "chain" if stage.chain_only else "chain, client, load",
            minutes,
            clean(json.dumps(stage.load)) if stage.load else "",
            str(stage.cycles or ""),
            "yes" if stage.save_storage else "no",
        )
    console.print(table)
