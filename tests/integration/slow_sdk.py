"""Git repositories of the simulated SDK whose build is not as it should be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from loadgenctl import resources
from loadgenctl.process import Runner

_SLOW = 'import time\nprint("still thinking", flush=True)\ntime.sleep(600)\n'


def slow_repository(folder: Path) -> Path:
    """One in `folder` whose build does not end by itself; its only revision is `slow`."""
    return changed_repository(folder / "repo", _SLOW, "slow")


def changed_repository(repository: Path, chain: str, tag: str) -> Path:
    """One with another chain program; its only revision is `tag`."""
    shutil.copytree(
        resources.images("sim"), repository, ignore=shutil.ignore_patterns("__pycache__")
    )
    (repository / "bin" / "sim-chain").write_text(chain)
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("commit", "-q", "-m", tag),
        ("tag", tag),
    ):
        done = Runner().run(["git", *who, *words], cwd=repository, env=nobody)
        assert done.exit_code == 0, done.last_lines()
    return repository
