"""`loadgenctl run`: the plan to a run, the run to a summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from loadgenctl.cli.console import clean, show_error
from loadgenctl.cli.wiring import at_work
from loadgenctl.model import RunPlan
from loadgenctl.reports.text import print_summary
from loadgenctl.run.runner import Ending, execute
from loadgenctl.site import SiteSettings


def run_plan(
    plan: RunPlan,
    site: SiteSettings,
    *,
    quiet: bool,
    json_output: bool = False,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Do what the plan says, show how it goes and what came out; the exit code.

    `on_ready` is for a plan by hand, see `Services.on_ready`.
    """
    stderr, stdout = Console(stderr=True), Console()
    with at_work(site, quiet=quiet) as wiring:
        services = wiring.services(plan)
        if on_ready is not None:
            services = replace(services, on_ready=on_ready)
        ending = execute(plan, services)
    summary = _summary(ending)
    if summary is None:
        stderr.print("warning: there was no room for a summary", style="yellow")
    elif json_output:
        json.dump(summary, stdout.file, indent=1)
        stdout.file.write("\n")
    else:
        print_summary(stdout, summary)
    if ending.error is not None:
        show_error(stderr, ending.error)
    if ending.error is not None or not quiet:
        stderr.print(Text(f"results in {clean(str(ending.folder))}"), soft_wrap=True)
    return ending.exit_code


def _summary(ending: Ending) -> dict[str, Any] | None:
    """The run's summary as written at its end; None where it could not be written."""
    try:
        found: dict[str, Any] = json.loads((ending.folder / "summary.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found
