"""What `sdk build` and `image build` share: make without running, and keep the log of a failure."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.cachedir import cache_dir
from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.wiring import Wiring, at_work
from loadgenctl.errors import BuildError
from loadgenctl.filetrouble import file_error
from loadgenctl.model import RunPlan
from loadgenctl.run.context import Services
from loadgenctl.run.making import BuiltSdk, make

KEPT_LOGS = 20


def make_ready(given: Inputs, *, quiet: bool) -> BuiltSdk:
    """Make image and SDK, showing how it goes. Raises `BuildError`, `Interrupted`."""
    with making(given, quiet=quiet) as work:
        return make(work.plan, work.services, work.log)


@dataclass(frozen=True, slots=True)
class Work:
    """What something is made with and for."""

    plan: RunPlan
    wiring: Wiring
    services: Services
    log: Path
    """For what the making says; kept only where it fails."""


@contextmanager
def making(given: Inputs, *, quiet: bool) -> Iterator[Work]:
    """For the time in which something is made on the Docker engine.

    Raises `EngineUnavailable`, `UsageError`.
    """
    plan = given.plan(only_build=True)
    with at_work(given.site(), quiet=quiet) as wiring:
        services = wiring.services(plan)
        log = new_log(cache_dir() / "logs", f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        try:
            yield Work(plan, wiring, services, log)
        except BuildError as error:
            if log.exists() and str(log) not in (error.hint or ""):
                services.progress.note(f"the whole output is in {log}")
            raise
        except BaseException:
            log.unlink(missing_ok=True)
            raise
        log.unlink(missing_ok=True)


def new_log(folder: Path, name: str) -> Path:
    """A file for a build's output, not made yet; only the newest logs beside it stay."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("build-*.log"))[: -KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise file_error(error) from error
    return folder / f"build-{name}.log"
