"""`loadgenctl up`: chain, client and load generator for a person to drive, until Ctrl-C."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from loadgenctl.building.site import SiteSettings
from loadgenctl.cli.reporting import ReportFiles
from loadgenctl.cli.run import run_plan
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


def bring_up(plan: RunPlan, site: SiteSettings, *, quiet: bool, unnamed: bool = False) -> int:
    """Bring up what the plan says, tell when it is ready, wait for Ctrl-C; the exit code.

    `unnamed`: see `run_plan`.
    """
    return run_plan(
        plan, site, files=ReportFiles(), quiet=quiet, on_ready=next_steps, unnamed=unnamed
    )


def next_steps(plan: RunPlan) -> str:
    """What a person may do now, ready to be pasted into another shell."""
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
