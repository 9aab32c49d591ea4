"""Git repositories of the simulated SDK."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from loadgenctl import resources
from loadgenctl.process import Runner

_SLOW = 'import time\nprint("still thinking", flush=True)\ntime.sleep(600)\n'


def sim_repository(repository: Path, tag: str, changes: Mapping[str, str] | None = None) -> Path:
    """One with a single revision, `tag`; `changes`: path → another content."""
    shutil.copytree(
        resources.images("sim"), repository, ignore=shutil.ignore_patterns("__pycache__")
    )
    for path, text in (changes or {}).items():
        (repository / path).write_text(text)
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


def slow_repository(folder: Path) -> Path:
    """One in `folder` whose build does not end by itself; its only revision is `slow`."""
    return sim_repository(folder / "repo", "slow", {"bin/sim-chain": _SLOW})
