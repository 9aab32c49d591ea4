"""`loadgenctl up`: chain, client and load generator for a person to drive, until Ctrl-C."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgenctl.cli.parameters import Config, OptionsCommand, Quiet
from loadgenctl.cli.standard_streams import keep_going

if TYPE_CHECKING:
    from loadgenctl.model import RunPlan

CHAIN = """\
ready
  chain:  http://127.0.0.1:{rpc}
{others}
ask the chain:
  curl http://127.0.0.1:{rpc}/status
"""
CLIENT = """\
  client: http://127.0.0.1:{solo}
"""
OTHERS = """\
{client}  load:   http://127.0.0.1:{load}
"""
LOAD = """\
read and set the load (now: {config}):
  curl http://127.0.0.1:{load}/config
  curl -X PUT --data '{{"faucet":{{"interval":60}}}}' http://127.0.0.1:{load}/config
  curl -X PUT --data '{{}}' http://127.0.0.1:{load}/config
  curl http://127.0.0.1:{load}/status
"""
RECORDS = """\
watch the blocks and the records in {folder}:
  loadgenctl slog tail {quoted}
"""
CYCLES = """\
  tail -F {cycles}
"""
END = """\
press Ctrl-C to end it and see the summary; press it twice to stop immediately

"""


class UpCommand(OptionsCommand):
    """Takes the options that have a meaning for `up`."""

    purpose = "up"


def up_command(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and do nothing.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Start chain, client and load generator, to drive them by hand until Ctrl-C.

    This is a run with one stage that has no end, and it is recorded like any run. Ports 26657, 8000
    and 3352 are published on 127.0.0.1. The load is off unless you configure one. Change it with
    `curl` or `loadgenctl load`. When everything is ready, it prints addresses and commands to try.
    Press Ctrl-C once to end it and see the summary. Press it twice to stop immediately.

    Exit codes: 0 ended by Ctrl-C, 2 bad usage, 3 build failed, 4 a role died or a cycle failed, 130
    interrupted before it was ready, or twice.
    """
    from loadgenctl.cli.merged_options import read_for_up

    if not dry_run:
        keep_going(code_stays=True)
    given = read_for_up(ctx.args, config)
    plan = given.plan_by_hand()
    if dry_run:
        from loadgenctl.cli.dryrun import foresee, print_plan

        sdk = foresee(plan, given.site().rewrite_git)
        print_plan(plan, as_json=False, sdk=sdk, variables=given.settings.variables())
        return
    from loadgenctl.cli.report_files import ReportFiles
    from loadgenctl.cli.run import run_plan

    files, unnamed = ReportFiles(), given.unnamed
    site = given.site()
    raise typer.Exit(
        run_plan(plan, site, files=files, quiet=quiet, on_ready=next_steps, unnamed=unnamed)
    )


def next_steps(plan: RunPlan) -> str:
    """The commands to try next, ready to be pasted into another shell."""
    (stage,), folder = plan.stages, plan.output_dir
    records = RECORDS.format(folder=folder, quoted=shlex.quote(str(folder)))
    ports = plan.ports
    if stage.chain_only:
        return CHAIN.format(rpc=ports.chain, others="") + records + END
    client = CLIENT.format(solo=ports.solo) if plan.client == "solo" else ""
    others = OTHERS.format(client=client, load=ports.loadgen)
    chain = CHAIN.format(rpc=ports.chain, others=others)
    load = LOAD.format(load=ports.loadgen, config=_shown(stage.load or {}))
    cycles = CYCLES.format(cycles=shlex.quote(str(folder / "cycles.jsonl")))
    return chain + load + records + cycles + END


def _shown(load: Mapping[str, Any]) -> str:
    return json.dumps(load, separators=(",", ":")) if load else "off"
