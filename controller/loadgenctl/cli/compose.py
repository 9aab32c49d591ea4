"""`loadgenctl compose`: the roles of a run as a compose file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.wiring import at_work
from loadgenctl.filetrouble import resolved
from loadgenctl.model import Ports
from loadgenctl.run.compose import lay_out

NEXT = """\
made {file}

start it and wait until all is ready (the chain's first start takes its time):
  {compose} up --detach
see and set the load, which is off at first:
  curl {url}
  curl -X PUT --data '{{"faucet":{{"interval":10}}}}' {url}
  curl -X PUT --data '{{}}' {url}
watch:
  {compose} logs --follow loadgen
  tail -f {events}
stop it and remove the containers; the state stays in {state}:
  {compose} down
"""


def make_compose(given: Inputs, into: Path, *, quiet: bool) -> None:
    """Make the folder, and print what to do with it. Raises what `lay_out` raises."""
    plan = given.plan(only_build=True)
    folder = resolved(Path.cwd() / into.expanduser())
    with at_work(given.site(), quiet=quiet) as wiring:
        services = wiring.services(plan)
        made = lay_out(plan, folder, services, services.role_user)
    sys.stdout.write(next_steps(made.file, made.events, made.state))


def next_steps(file: Path, events: Path, state: Path) -> str:
    """What a person types next, ready to be pasted into a shell."""
    return NEXT.format(
        file=file,
        compose=f"docker compose -f {shlex.quote(str(file))}",
        url=f"http://127.0.0.1:{Ports().loadgen}/config",
        events=shlex.quote(str(events)),
        state=state,
    )
