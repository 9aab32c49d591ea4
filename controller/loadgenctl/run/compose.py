"""A plan as a folder to be driven by hand with a compose tool: made like a run, but not started."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loadgenctl.errors import OutputFolderError
from loadgenctl.model import RunPlan
from loadgenctl.roles.byhand import Recipes, services
from loadgenctl.roles.pod import PodFolders, PodOptions
from loadgenctl.run import host
from loadgenctl.run.composefile import render
from loadgenctl.run.context import Services, role_context
from loadgenctl.run.making import make_image, make_sdk, resolve, sweep
from loadgenctl.run.networks import require_features
from loadgenctl.sdks.base import OUT, clients, events_path

FILE = "compose.yaml"
SHARED, STATE = "shared", "state"
BUILD_LOG = "build.log"
MARKER = ".loadgenctl-compose"
"""A file in a folder that was laid out here, and so may be laid out again."""
STAGE = 0
"""The number that slogs and events carry in their names: there are no stages by hand."""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What stands where in the folder."""

    file: Path
    """For the compose tool."""
    events: Path
    """The load service's, not there before its first start."""
    state: Path


def lay_out(plan: RunPlan, into: Path, makers: Services, user: tuple[int, int]) -> LaidOut:
    """Make image and SDK (or find them), the folder and its compose file.

    A folder that was laid out before keeps its state. `user` is uid and gid of the roles. Raises
    `EngineUnavailable`, `UsageError`, `BuildError`, `OutputFolderError`.
    """
    makers.engine.info()
    wanted = resolve(plan, makers)
    require_features(plan, wanted.family)
    _claim(into)
    sweep(makers)
    log = into / BUILD_LOG
    image = make_image(wanted, makers, log)
    source = make_sdk(plan, wanted, image, makers, log)
    folders = PodFolders(source=source, shared=into / SHARED, state=into / STATE)
    host.make_folders(folders, user)
    host.copy_tools(wanted.family.tools(), folders.shared / "tools", sim_toml=plan.sim_config)
    options = PodOptions(
        # The same every time, so that nothing is made anew for the label's sake.
        run_id=hashlib.sha256(os.fsencode(into)).hexdigest()[:10],
        image=image.tag,
        user=f"{user[0]}:{user[1]}",
        owner=None,
        limits=plan.limits,
        publish=True,
        with_client=bool(clients(wanted.family, role_context(plan, STAGE))),
    )
    context = role_context(plan, STAGE)
    family = wanted.family
    recipes = Recipes(family.chain(context), clients(family, context), family.loadgen(context))
    text = render(services(options, folders, recipes, plan.timeouts), wanted.resolved, family)
    events = folders.shared / PurePosixPath(events_path(STAGE)).relative_to(OUT)
    return LaidOut(_write(into / FILE, text), events, folders.state)


def _claim(into: Path) -> None:
    """Make the folder, or take one that was laid out here before; leave everybody else's alone."""
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


def _write(file: Path, text: str) -> Path:
    draft = file.with_name(f"{file.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise _cannot(file, error) from error
    return file


def _cannot(path: Path, error: OSError) -> OutputFolderError:
    return OutputFolderError(
        f"cannot make {path}: {error.strerror}", hint="name another folder with --into"
    )
