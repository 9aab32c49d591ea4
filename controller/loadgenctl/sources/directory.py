"""A person's own SDK folder: used as it is, never reset, cleaned, locked or written to."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.process import Completed, Runner
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.gitcli import config_environment, quiet_environment
from loadgenctl.sources.giturl import parse_repository
from loadgenctl.sources.tree_hash import cheap_hash, read_inside, stat_line

_FULL = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """`--src DIR`; a git checkout has a commit, and may have changes."""

    runner: Runner

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        """See `SdkSource.resolve`."""
        folder = _folder(request.directory)
        git = _FolderGit(self.runner, folder)
        commit = git.head()
        if request.revision is not None:
            _check_revision(git, folder, commit, request.revision)
        changes = git.changes() if commit else None
        content = commit or f"tree-{cheap_hash(folder)}"
        if commit and changes:
            content = f"dirty-{hashlib.sha256(commit.encode() + changes).hexdigest()}"
        return ResolvedRevision(
            family=request.family,
            requested=str(request.directory),
            commit=commit,
            commit_time=git.commit_time(commit) if commit else None,
            content_id=content,
            repository=(git.origin() if commit else None) or str(folder),
            dirty=bool(changes),
        )

    def tree(self, resolved: ResolvedRevision) -> DirectoryTree:
        """See `SdkSource.tree`."""
        folder = _folder(Path(resolved.requested))
        return DirectoryTree(folder, self.runner, resolved.commit)

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        """Never called: the folder itself is mounted."""
        raise LoadgenError(
            f"{resolved.requested} is used in place, not copied to {into} ({recipe})"
        )


@dataclass(frozen=True, slots=True)
class DirectoryTree:
    """See `SourceTree`: the folder as it is, uncommitted changes included."""

    folder: Path
    runner: Runner
    commit: str | None

    def read(self, path: str) -> bytes | None:
        """See `SourceTree.read`."""
        return read_inside(self.folder, path)

    def contains(self, commit: str) -> bool | None:
        """See `SourceTree.contains`."""
        if self.commit is None or not _FULL.fullmatch(commit):
            return None
        git = _FolderGit(self.runner, self.folder)
        done = git.run("merge-base", "--is-ancestor", commit, self.commit)
        return {0: True, 1: False}.get(done.exit_code)


@dataclass(frozen=True, slots=True)
class _FolderGit:
    """git on a person's checkout: it only reads, and runs no program of the checkout's settings."""

    runner: Runner
    folder: Path

    def run(self, *args: str, silenced: tuple[str, ...] = ()) -> Completed:
        settings = {
            # The person named the folder, so git may read it for any owner; the programs in its
            # settings (monitors, hooks, filters) are switched off.
            "safe.directory": str(self.folder),
            "core.fsmonitor": "false",
            "core.hooksPath": os.devnull,
            **{f"{key}.{verb}": "" for key in silenced for verb in ("clean", "smudge", "process")},
            **{f"{key}.required": "false" for key in silenced},
        }
        env = {
            **quiet_environment(),
            **config_environment(settings),
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_CEILING_DIRECTORIES": str(self.folder.parent),
        }
        inherited = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
        unset = [word for name in inherited for word in ("-u", name)]
        return self.runner.run(["env", *unset, "git", *args], cwd=self.folder, env=env)

    def head(self) -> str | None:
        """The commit checked out; None if this is not the top of a checkout, or has no commit."""
        top = self.run("rev-parse", "--show-toplevel")
        if top.exit_code or Path(top.text()).resolve() != self.folder:
            return None
        done = self.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        return done.text() if done.exit_code == 0 and _FULL.fullmatch(done.text()) else None

    def commit_time(self, commit: str) -> int | None:
        """Seconds since the epoch."""
        done = self.run("show", "--no-patch", "--no-show-signature", "--format=%ct", commit, "--")
        return int(done.text()) if done.exit_code == 0 else None

    def origin(self) -> str | None:
        """The address of its `origin`, without credentials."""
        url = self.run("config", "--get", "remote.origin.url").text()
        try:
            return parse_repository(url).public if url else None
        except UsageError:
            return None

    def changes(self) -> bytes:
        """Bytes that change with every change of the checkout; b"" for a clean one."""
        keys = self.run("config", "--includes", "--name-only", "--get-regexp", r"^filter\..*\.")
        filters = tuple(sorted({key.rpartition(".")[0] for key in keys.text().split("\n") if key}))
        status = self.run(
            *("status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty"),
            silenced=filters,
        )
        if not status.stdout:
            return b""
        paths = [self.folder / os.fsdecode(item[3:]) for item in status.stdout.split(b"\0")]
        return status.stdout + b"".join(stat_line(self.folder, path) for path in paths)


def _check_revision(git: _FolderGit, folder: Path, commit: str | None, revision: str) -> None:
    """Raise `UsageError` unless the folder contains the requested revision."""
    if commit is not None and commit.startswith(revision):
        return
    done = git.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None or done.exit_code != 0 or done.text() != commit:
        there = f"is at {commit[:12]}" if commit else "is not a git checkout"
        raise UsageError(
            f"the SDK in {folder} {there}, but the requested revision is {revision}",
            hint="omit the revision to use the folder as it is, or name an empty folder",
        )


def _folder(directory: Path | None) -> Path:
    if directory is None:
        raise LoadgenError("no folder was given")
    folder = directory.expanduser().resolve()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="check --src")
    return folder
