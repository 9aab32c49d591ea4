"""A git repository of the simulated SDK whose build does not end by itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from loadgenctl import resources
from loadgenctl.process import Runner

_SLOW = 'import time\nprint("still thinking", flush=True)\ntime.sleep(600)\n'


def slow_repository(folder: Path) -> Path:
    """One in `folder`; its only revision is `slow`."""
    repository = folder / "repo"
    shutil.copytree(
        resources.images("sim"), repository, ignore=shutil.ignore_patterns("__pycache__")
    )
    (repository / "bin" / "sim-chain").write_text(_SLOW)
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("commit", "-q", "-m", "slow"),
        ("tag", "slow"),
    ):
        done = Runner().run(["git", *who, *words], cwd=repository, env=nobody)
        assert done.exit_code == 0, done.last_lines()
    return repository
