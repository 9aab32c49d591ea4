"""`loadgenctl compose`: a folder with the roles of a run, to be driven with a compose tool."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from loadgenctl.cli.parameters import Config, OptionsCommand, Quiet
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import OutputFolderError

if TYPE_CHECKING:
    from loadgenctl.model import RunPlan
    from loadgenctl.run.context import Services

FILE: Final = "compose.yaml"
MARKER: Final = ".loadgenctl-compose"
"""A file that marks a folder made here, which may be written again."""
STAGE: Final = 0
"""The stage number in the names of slogs and events: there are no stages by hand."""
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


class ByHandCommand(OptionsCommand):
    """Takes the options that have a meaning for roles driven by hand."""

    purpose = "by hand"


class LaidOut(NamedTuple):
    """The contents of the folder."""

    file: Path
    """For the compose tool."""
    events: Path
    """The load service's; missing until its first start."""
    state: Path


def compose_command(
    ctx: typer.Context,
    into: Annotated[
        Path,
        typer.Option(
            "--into", metavar="DIR", help="Folder for the compose file, the tools and the state."
        ),
    ],
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make a compose file of the roles, to drive them by hand with `docker compose`.

    Builds the revision as a run would, or uses the cached build, and starts nothing. Images,
    commands and limits are those of a run. Ports 26657, 8000 and 3352 are published on 127.0.0.1.
    Running it again on the same folder keeps the state of chain and client.

    Exit codes: 0 made, 2 bad usage, 3 build failed, 130 interrupted.
    """
    from loadgenctl.cli.merged_options import read_by_hand
    from loadgenctl.cli.wiring import at_work
    from loadgenctl.file_errors import resolved

    keep_going()
    given = read_by_hand(ctx.args, config)
    plan = given.plan(only_build=True)
    folder = resolved(Path.cwd() / into.expanduser())
    with at_work(given.site(), quiet=quiet) as wiring:
        services = wiring.services(plan)
        made = lay_out(plan, folder, services, services.role_user)
    sys.stdout.write(next_steps(made))


def lay_out(plan: RunPlan, into: Path, services: Services, user: tuple[int, int]) -> LaidOut:
    """Build image and SDK (or find them built), make the folder and its compose file.

    A folder made before keeps its state. `user` is uid and gid of the roles. Raises
    `EngineUnavailable`, `UsageError`, `BuildError`, `OutputFolderError`.
    """
    import hashlib

    from loadgenctl.records.atomic import replace_file
    from loadgenctl.roles.pod import PodFolders, PodOptions
    from loadgenctl.run import compose_file, run_folders
    from loadgenctl.run.context import role_context
    from loadgenctl.run.network_setup import require_features
    from loadgenctl.run.sdk_build import make_image, make_sdk, resolve, sweep
    from loadgenctl.sdks.base import OUT, clients, events_path

    services.engine.info()
    sdk = resolve(plan, services)
    family, context = sdk.family, role_context(plan, STAGE)
    require_features(plan, family)
    _claim(into)
    sweep(services)
    log = into / "build.log"
    image = make_image(sdk, services, log)
    source = make_sdk(plan, sdk, image, services, log)
    folders = PodFolders(source=source, shared=into / "shared", state=into / "state")
    run_folders.make_folders(folders, user)
    run_folders.copy_tools(family.tools(), folders.shared / "tools", sim_toml=plan.sim_config)
    options = PodOptions(
        # The same every time, so that compose does not recreate containers for a changed label.
        run_id=hashlib.sha256(os.fsencode(into)).hexdigest()[:10],
        image=image.tag,
        user=f"{user[0]}:{user[1]}",
        owner=None,
        limits=plan.limits,
        publish=True,
        with_client=bool(clients(family, context)),
    )
    pod = compose_file.services(family, context, options, folders, plan.timeouts_s)
    text = compose_file.compose_file(pod, sdk.resolved, family)
    events = folders.shared / PurePosixPath(events_path(STAGE)).relative_to(OUT)
    try:
        replace_file(into / FILE, text.encode())
    except OSError as error:
        raise _cannot(into / FILE, error) from error
    return LaidOut(into / FILE, events, folders.state)


def _claim(into: Path) -> None:
    """Make the folder, or take one that was made here before. Raises `OutputFolderError`."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        if not (into / MARKER).exists() and any(into.iterdir()):
            raise OutputFolderError(
                f"{into} is not empty, and was not made by loadgenctl compose",
                hint="name a new folder with --into",
            )
        (into / MARKER).touch()
    except OSError as error:
        raise _cannot(into, error) from error


def _cannot(path: Path, error: OSError) -> OutputFolderError:
    return OutputFolderError(
        f"cannot make {path}: {error.strerror}", hint="name another folder with --into"
    )


def next_steps(made: LaidOut) -> str:
    """The commands to try next, ready to be pasted into a shell."""
    from loadgenctl.model import Ports

    return NEXT.format(
        file=made.file,
        compose=f"docker compose -f {shlex.quote(str(made.file))}",
        url=f"http://127.0.0.1:{Ports().loadgen}/config",
        events=shlex.quote(str(made.events)),
        state=made.state,
    )
