"""git as a child process, without prompts, hooks or transports that run commands."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.process import Completed, Runner
from loadgenctl.sources.giturl import Repository

PROMISOR = "origin"
"""The remote's name in every mirror; no file contains its address, which may hold credentials."""

OLDEST_GIT = (2, 31)
_ENV_FOUND_NOTHING = 127

_ALWAYS = {
    "advice.detachedHead": "false",
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "submodule.recurse": "false",
}


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git on one repository, independent of the caller's environment."""

    runner: Runner
    git_dir: Path
    work_tree: Path | None = None
    objects: Path | None = None
    """Object store instead of the repository's own."""
    remote: Repository | None = None
    """Where missing objects are fetched from; None: git does not use the network."""

    def run(
        self, *args: str, stdin: bytes | None = None, timeout: float | None = None
    ) -> Completed:
        """Run `git ARGS` to its end, whatever the exit code."""
        # Without a work tree, remove the caller's variable: git also obeys an empty one.
        bare = ("env", "-u", "GIT_WORK_TREE") if self.work_tree is None else ()
        argv = [*bare, "git", *args]
        done = self.runner.run(
            argv, cwd=self.work_tree, env=self.environment(), stdin=stdin, timeout=timeout
        )
        if bare and done.exit_code == _ENV_FOUND_NOTHING:
            raise UsageError("the program git is not installed", hint="install git and try again")
        return done

    def environment(self) -> dict[str, str]:
        """The variables to add to the caller's environment."""
        git_dir = self.git_dir.resolve()
        env = {
            "GIT_DIR": str(git_dir),
            "GIT_COMMON_DIR": str(git_dir),
            "GIT_INDEX_FILE": str(git_dir / "index"),
            "GIT_OBJECT_DIRECTORY": str((self.objects or git_dir / "objects").resolve()),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
            "GIT_NAMESPACE": "",
            **quiet_environment(),
        }
        settings = dict(_ALWAYS)
        if self.work_tree is not None:
            env["GIT_WORK_TREE"] = str(self.work_tree.resolve())
        if self.remote is None:
            env["GIT_NO_LAZY_FETCH"] = "1"
        else:
            env["GIT_NO_LAZY_FETCH"] = "0"
            settings |= _remote_settings(self.remote)
        return env | config_environment(settings)


def require_git(runner: Runner) -> None:
    """Raise `UsageError` unless git is installed and reads settings from the environment."""
    text = runner.run(["git", "version"]).text()
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise UsageError(
            f"{text or 'the program git'} is too old or does not answer",
            hint="install git {}.{} or newer".format(*OLDEST_GIT),
        )


def quiet_environment() -> dict[str, str]:
    """Variables against prompts, pagers, and transports that run commands."""
    return {
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }


def config_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as variables, after the caller's own (argument lists are public)."""
    start = os.environ.get("GIT_CONFIG_COUNT", "0")
    first = int(start) if start.isdigit() else 0
    env = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), first):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def _remote_settings(remote: Repository) -> dict[str, str]:
    settings = {
        f"remote.{PROMISOR}.url": remote.url,
        f"remote.{PROMISOR}.promisor": "true",
        f"remote.{PROMISOR}.partialclonefilter": "blob:none",
    }
    folder = remote.local
    if folder is not None:
        # The other side is a git of this machine, for which git clears the environment's
        # configuration: its command line contains what a server's configuration would.
        serve: Sequence[str] = (
            "git",
            *("-c", "uploadpack.allowFilter=true"),
            *("-c", "uploadpack.allowAnySHA1InWant=true"),
            *("-c", f"safe.directory={folder}"),
            *("-c", f"safe.directory={folder / '.git'}"),
            "upload-pack",
        )
        settings[f"remote.{PROMISOR}.uploadpack"] = shlex.join(serve)
    return settings
