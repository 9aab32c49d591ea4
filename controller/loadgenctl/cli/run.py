"""`loadgenctl run`: options to a plan, the plan to a run, the run to a summary."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from loadgenctl.cli.console import ConsoleProgress, clean, show_error
from loadgenctl.cli.wiring import Wiring
from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.options import OPTIONS, Option
from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import CONFIG_VARIABLE, Settings, load_file, load_toml, merge
from loadgenctl.reports.text import print_summary
from loadgenctl.roles.loadclient import validate_config
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.runner import Ending, execute

CONFIG_NAMES = (Path("loadgenctl.toml"), Path("~/.config/loadgenctl/loadgenctl.toml"))


class RunCommand(TyperCommand):
    """Adds the table of options, which typer does not know, to the help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then the table."""
        super().format_help(ctx, formatter)
        console = Console()
        group = ""
        for option in OPTIONS:
            if option.group != group:
                group = option.group
                table = Table(title=group, title_justify="left", box=None, show_header=False)
                table.add_column(no_wrap=True)
                table.add_column()
            table.add_row(f"  {_flag(option)}", _about(option))
            if option is OPTIONS[-1] or OPTIONS[OPTIONS.index(option) + 1].group != group:
                console.print(table)
                console.print()


def _flag(option: Option) -> str:
    key = option.key
    if key.startswith("stage.*."):
        key = key.replace("*", "N", 1)
    elif ".*" in key and option.kind != "tree":
        key = key.replace("*", "ROLE", 1)
    kinds = {"bool": "", "int": " N", "number": " X", "bytes": " SIZE", "path": " PATH"}
    if option.kind == "text":
        return f"--{key} {'|'.join(option.choices) or 'TEXT'}"
    return f"--{key}{kinds.get(option.kind, ' VALUE')}"


def _about(option: Option) -> str:
    if option.default is None or (option.kind == "bool" and not option.default):
        return option.help
    default = "on" if option.default is True else option.default
    return f"{option.help} [dim](default {default})[/dim]"


def run_command(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and do nothing.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the plan or the summary as JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="Options and site settings; ./loadgenctl.toml if it is there."),
    ] = None,
) -> None:
    """Measure one SDK revision under load.

    Builds the revision in a Debian image (cached), then runs stages: chain node, client and load
    generator in separate containers, the chain restarted between stages. Ctrl-C once ends the stage
    and still writes the summary; twice stops at once.

    Exit codes: 0 passed, 2 bad usage, 3 build failed, 4 the run failed, 130 interrupted.
    """
    tables, config_file = find_config(config, os.environ)
    settings = merge(ctx.args, os.environ, tables.get("run"), str(config_file))
    plan = make_plan(settings, now=time.time(), cwd=Path.cwd())
    _check(plan, settings)
    if dry_run:
        _print_plan(plan, as_json=json_output)
        return
    site = Wiring.site(tables, config_file)
    raise typer.Exit(_run(plan, site, quiet=quiet, json_output=json_output))


def _check(plan: RunPlan, settings: Settings) -> None:
    """What the planner does not know about: loads and files. Raises `UsageError`."""
    shared = {**(settings.tree("stage.loadgen") or {})}
    shared.pop("cycles", None)
    for load in (shared, *(stage.load or {} for stage in plan.stages)):
        validate_config(load)
    if plan.sim_config is not None:
        load_toml(plan.sim_config, hint="--sim-config names a TOML file, see docs/simulated-sdk.md")
    if shared and not settings.get("chain-only") and all(s.chain_only for s in plan.stages):
        note = Text("warning: no stage runs the load; the first and the last one run the chain")
        note.append(" alone unless they have a load config, e.g. --stage.0.loadgen.faucet.interval")
        Console(stderr=True).print(note, style="yellow", soft_wrap=True)


def find_config(
    given: Path | None, environment: Mapping[str, str], names: Sequence[Path] = CONFIG_NAMES
) -> tuple[dict[str, Any], Path | None]:
    """The options file's tables and the file: the one asked for, else the first of `names`.

    Raises `UsageError` for one that is asked for and not there, or that cannot be read.
    """
    named = given or (Path(text) if (text := environment.get(CONFIG_VARIABLE)) else None)
    if named is not None:
        if not named.is_file():
            raise UsageError(f"no such file: {named}", hint="--config names a TOML file")
        return load_file(named), named
    for candidate in names:
        path = candidate.expanduser()
        if path.is_file():
            return load_file(path), path
    return {}, None


def _run(plan: RunPlan, site: Any, *, quiet: bool, json_output: bool) -> int:
    stderr, stdout = Console(stderr=True), Console()
    progress = ConsoleProgress(stderr, quiet=quiet)
    interrupts = Interrupts()
    with interrupts.installed(), Wiring(site, progress, interrupts) as wiring:
        try:
            ending = execute(plan, wiring.services(plan))
        finally:
            progress.close()
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


def _print_plan(plan: RunPlan, *, as_json: bool) -> None:
    if as_json:
        json.dump(asdict(plan), sys.stdout, indent=1, default=str)
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
