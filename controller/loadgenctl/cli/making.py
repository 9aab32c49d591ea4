"""What `sdk build` and `image build` share: make without running, and keep the log of a failure."""

from __future__ import annotations

import os
import time
from pathlib import Path

from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.wiring import at_work, cache_dir
from loadgenctl.errors import BuildError, OutputFolderError
from loadgenctl.run.making import Made, make

KEPT_LOGS = 20


def make_ready(given: Inputs, *, with_sdk: bool, quiet: bool) -> Made:
    """Make what was asked for, showing how it goes. Raises `BuildError`, `Interrupted`."""
    plan = given.plan(only_build=True)
    with at_work(given.site(), quiet=quiet) as wiring:
        services = wiring.services(plan)
        log = new_log(cache_dir() / "logs", f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        try:
            made = make(plan, services, log, with_sdk=with_sdk)
        except BuildError as error:
            if log.exists() and str(log) not in (error.hint or ""):
                services.progress.note(f"the whole output is in {log}")
            raise
        except BaseException:
            log.unlink(missing_ok=True)
            raise
        log.unlink(missing_ok=True)
    return made


def new_log(folder: Path, name: str) -> Path:
    """A file for a build's output, not made yet; only the newest logs beside it stay."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("build-*.log"))[: -KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise OutputFolderError(
            f"the build logs in {folder} cannot be written: {error.strerror}",
            hint="is there space left on the disk, and is the cache yours?",
        ) from error
    return folder / f"build-{name}.log"
