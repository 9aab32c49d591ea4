"""One run done: inside this process or as a child, its folder, and how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.soak.cases import Action, Case
from tests.soak.engine import Hand, hand

from loadgenctl.cli.merged_options import read
from loadgenctl.cli.report_files import ReportFiles
from loadgenctl.cli.run import run_plan
from loadgenctl.owner import Owner, host_id, process_start

LOOK: Final = 0.1
PATIENCE: Final = 240.0
"""Seconds a run may take at most."""
STOPPING: Final = 60.0
"""Seconds a run that is asked to end has for its cleaning up."""
HELD: Final = 3.0
"""Seconds of a pause that ends."""
PROGRAM: Final = (sys.executable, "-m", "loadgenctl")


class SoakError(Exception):
    """The soak itself cannot go on."""


@dataclass(frozen=True, slots=True)
class Done:
    """A run that has ended."""

    exit_code: int
    folder: Path
    said: str
    """All it printed."""
    seconds: float
    acted: bool
    """False if the action came too late: then the run has to pass."""
    owner: Owner

    @property
    def status(self) -> dict[str, Any]:
        """status.json; empty if there is none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found


def words(case: Case, work: Path, folder: Path) -> list[str]:
    """The options of the run."""
    settings = work / "sim.toml"
    settings.write_text(case.settings, encoding="utf-8")
    return [
        "--sdk",
        "sim",
        *case.options,
        "--sim-config",
        str(settings),
        "--output-dir",
        str(folder),
    ]


def inside(case: Case, work: Path) -> Done:
    """Run in this process, by the function that the command line calls."""
    folder, said = work / f"run-{case.number}", io.StringIO()
    owner, began = Owner.current(), time.monotonic()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        given = read(words(case, work, folder), None)
        with _acting(case.action, owner) as acted:
            code = run_plan(given.plan(), given.site(), files=ReportFiles(), quiet=True)
    return Done(code, folder, said.getvalue(), time.monotonic() - began, acted(), owner)


@contextlib.contextmanager
def _acting(action: Action | None, owner: Owner) -> Iterator[Callable[[], bool]]:
    """Do the action meanwhile, in a thread that is gone at the end."""
    if action is None:
        yield lambda: True
        return
    over, did = threading.Event(), threading.Event()

    def act() -> None:
        with hand(owner) as ours:
            container = _await_role(ours, action, over.wait)
            if container is not None and _do(ours, action, container, over.wait):
                did.set()

    thread = threading.Thread(target=act, name="soak-action")
    thread.start()
    try:
        yield did.is_set
    finally:
        over.set()
        thread.join()


def _await_role(ours: Hand, action: Action, wait: Callable[[float], object]) -> str | None:
    """The role's container when the moment has come; None if the run was over before."""
    while (container := ours.running(action.role)) is None:
        if wait(LOOK):
            return None
    return None if wait(action.delay) else container


def _do(ours: Hand, action: Action, container: str, wait: Callable[[float], object]) -> bool:
    if action.what == "kill":
        return ours.kill(container)
    if action.what == "agent":
        return ours.kill_agent(container)
    done = ours.pause(container)
    if action.what == "hold" and done:
        wait(HELD)
        ours.unpause(container)
    return done


def start(folder: Path, output: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], Owner]:
    """A command as a child in a session of its own; what it says goes to `output`."""
    folder.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        child = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=folder,
            env={**os.environ, "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return child, Owner(child.pid, process_start(child.pid) or "", host_id())


@contextlib.contextmanager
def stopped(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever is raised inside, the child ends: asked first, as it may hold containers."""
    try:
        yield
    except BaseException:
        try:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOPPING)
        finally:
            child.kill()
            child.wait()
        raise


def finish(child: subprocess.Popen[bytes], timeout: float = PATIENCE) -> int:
    """Wait for its end. Raises `SoakError` if it does not come in time."""
    with stopped(child):
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise SoakError(f"a command did not end within {timeout:.0f} s") from error


def as_child(case: Case, work: Path) -> Done:
    """Run as a process of its own that gets the signal."""
    action = case.action
    assert action is not None
    folder, output = work / f"run-{case.number}", work / f"child-{case.number}.txt"
    began = time.monotonic()
    child, owner = start(work, output, "run", "--quiet", *words(case, work, folder))
    acted = False

    def wait(seconds: float) -> bool:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    with stopped(child), hand(owner) as ours:
        if _await_role(ours, action, wait) is not None:
            child.send_signal(signal.Signals[action.signal])
            acted = True
    code = finish(child)
    said = output.read_text(encoding="utf-8", errors="replace")
    return Done(code, folder, said, time.monotonic() - began, acted, owner)


def command(work: Path, *arguments: str) -> tuple[int, str]:
    """A command to its end: exit code and what it said."""
    output = work / "command.txt"
    child, _ = start(work, output, *arguments)
    code = finish(child)
    return code, output.read_text(encoding="utf-8", errors="replace")
