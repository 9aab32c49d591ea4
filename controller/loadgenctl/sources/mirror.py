"""One bare, blobless clone per repository: all commits and folders, files as they are needed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.errors import DeadlineExceeded, RevisionNotFound, UsageError
from loadgenctl.process import Completed, Runner
from loadgenctl.sources.gitcli import PROMISOR, Git, require_git
from loadgenctl.sources.giturl import Repository, check_revision
from loadgenctl.sources.locks import exclusive

_FULL = re.compile(r"[0-9a-f]{40}")
_PREFIX = re.compile(r"[0-9a-f]{4,39}")
DEFAULT_BRANCH = (None, "HEAD")
"""Revisions that mean the newest commit of the default branch."""
LOOK_TIMEOUT = 15.0
"""Time limit, in seconds, for a repository to list its branches and tags."""
_OURS = "refs/loadgenctl"
"""Refs that keep commits which no branch or tag of the mirror reaches."""
_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Mirror:
    """The clone of one repository in the cache; created and refreshed only when needed."""

    runner: Runner
    clock: Clock
    path: Path
    origin: Repository
    """The person's address."""
    remote: Repository
    """The address to fetch from, after the site's rewriting."""
    say: Say

    @property
    def offline(self) -> Git:
        """git without the network."""
        return Git(self.runner, self.path)

    @property
    def online(self) -> Git:
        """git that may fetch what is missing."""
        return Git(self.runner, self.path, remote=self.remote)

    @property
    def exists(self) -> bool:
        """True after a first successful fetch: only a complete clone gets its name."""
        return self.path.is_dir()

    def resolve(self, revision: str | None) -> str:
        """The full id of a commit (or its prefix), tag or branch; the default branch for None.

        Commits are searched in the clone first; names are fetched every time, because they move.
        """
        if revision in DEFAULT_BRANCH:
            return self._fetch_one("HEAD", f"{_OURS}/HEAD", None)
        name = check_revision(revision)
        lowered = name.lower()
        if _FULL.fullmatch(lowered):
            return self.ensure(lowered)
        prefix = lowered if _PREFIX.fullmatch(lowered) else None
        if prefix and self.exists and not self._refs(name):
            found = self.commits_by_prefix(prefix)
            if found:
                return self._only(prefix, found)
        if name.startswith("refs/"):
            return self._fetch_one(name, f"{_OURS}/{name.removeprefix('refs/')}", revision)
        self.refresh(None if prefix else name)
        named = self._refs(name)
        if named:
            return self._only_ref(name, named)
        found = self.commits_by_prefix(prefix) if prefix else []
        if not found:
            raise self._not_found(revision)
        return self._only(name, found)

    def look(self, revision: str | None) -> str | None:
        """The commit that `resolve` would find now, without fetching or cloning.

        None for a commit id that only a fetch could find. Raises `RevisionNotFound`, and
        `UsageError` if the repository does not answer within `LOOK_TIMEOUT`.
        """
        if revision in DEFAULT_BRANCH:
            newest = self._listed("HEAD").get("HEAD")
            if newest is None:
                raise self._not_found(None)
            return newest
        name = check_revision(revision)
        prefix = name.lower() if _FULL.fullmatch(name.lower()) else None
        if prefix is None and _PREFIX.fullmatch(name.lower()):
            prefix = name.lower()
        if prefix and (here := self.commits_by_prefix(prefix)):
            return self._only(prefix, here)
        short = [] if name.startswith("refs/") else [f"refs/tags/{name}", f"refs/heads/{name}"]
        refs = self._listed(*(short or [name]))
        if refs:
            return self._only_ref(name, refs)
        if prefix is None:
            raise self._not_found(revision)
        folder = self.remote.local
        if folder is None:
            return None
        git_dir = folder / ".git"
        there = replace(self, path=git_dir if git_dir.is_dir() else folder)
        found = there.commits_by_prefix(prefix)
        if not found:
            raise self._not_found(revision)
        return self._only(prefix, found)

    def ensure(self, commit: str) -> str:
        """Fetch a commit, given by its full id, unless it is here. Raises `RevisionNotFound`."""
        if self.exists and self.has(commit):
            return commit
        if not self.exists:
            self.refresh()
            if self.has(commit):
                return commit
        return self._fetch_one(commit, f"{_OURS}/commits/{commit}", commit)

    def has(self, commit: str) -> bool:
        """True if the commit is here; never uses the network."""
        return commit in self.commits_by_prefix(commit)

    def commits_by_prefix(self, prefix: str) -> list[str]:
        """Commits here whose ids begin with `prefix`, sorted."""
        if not self.exists:
            return []
        listed = self.offline.run("rev-parse", f"--disambiguate={prefix}")
        ids = "".join(f"{line}\n" for line in listed.text().split() if _FULL.fullmatch(line))
        if not ids:
            return []
        kinds = self.offline.run(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=ids.encode()
        )
        rows = (line.split() for line in kinds.text().splitlines())
        return sorted(row[0] for row in rows if row[1:] == ["commit"])

    def commit_time(self, commit: str) -> int:
        """Committer time, seconds since the epoch."""
        done = self.offline.run(
            "show", "--no-patch", "--no-show-signature", "--format=%ct", commit, "--"
        )
        return int(done.text())

    def refresh(self, probe: str | None = None) -> None:
        """Fetch all branches and tags; the first time, create the clone.

        With `probe`, the clone is only created if the remote has a branch or tag of that name.
        """
        with exclusive(
            self.path.with_suffix(".lock"),
            self.clock,
            on_wait=lambda: self.say(f"waiting for another fetch of {self.origin.public}"),
        ):
            if self.exists:
                self.say(f"fetching {self.origin.public}")
                self._fetch(self.online, _BRANCHES_AND_TAGS)
            else:
                self._create(probe)

    def entry(self, commit: str, path: str) -> tuple[str, str, str] | None:
        """Mode, type and id of the entry `path` of a commit; None without one."""
        done = self.offline.run("ls-tree", "-z", "--full-tree", commit, "--", path)
        head, tab, name = done.stdout.rstrip(b"\0").partition(b"\t")
        if done.exit_code or not tab or name != os.fsencode(path):
            return None
        mode, kind, object_id = head.decode().split()
        return mode, kind, object_id

    def read(self, commit: str, path: str) -> bytes | None:
        """A regular file's content at a commit, fetched if missing; None without a file."""
        entry = self.entry(commit, path)
        if entry is None or entry[0] not in {"100644", "100755"}:
            return None
        done = self.online.run("cat-file", "blob", entry[2])
        if done.exit_code:
            raise self.unreachable(f"cannot read {path} of {commit[:12]}", done)
        return done.stdout

    def contains(self, ancestor: str, commit: str) -> bool | None:
        """True if `ancestor` is `commit` or an ancestor of it; None if it is unknown here."""
        if not _FULL.fullmatch(ancestor) or not self.has(ancestor):
            return None
        code = self.offline.run("merge-base", "--is-ancestor", ancestor, commit).exit_code
        return {0: True, 1: False}.get(code)

    def unreachable(self, what: str, done: Completed) -> UsageError:
        """The error for a failed git command that needed the remote."""
        detail = done.last_lines().replace(self.remote.url, self.remote.public)
        where = self.remote.public
        return UsageError(
            f"{what} from {where}",
            hint="check the address, the network and the git mirrors in the site settings"
            if self.remote.local is None
            else "check that the folder is a git repository with these files, which you may read",
            detail=detail.replace(self.origin.url, self.origin.public),
        )

    def _create(self, probe: str | None) -> None:
        require_git(self.runner)
        for left in self.path.parent.glob(f"{self.path.name}.partial-*"):
            shutil.rmtree(left, ignore_errors=True)  # the lock is ours: its maker is dead
        self._check_folder()
        partial = self.path.with_name(f"{self.path.name}.partial-{os.getpid()}")
        git = Git(self.runner, partial, remote=self.remote)
        try:
            init_repository(git, bare=True)
            if probe is not None and not self._remote_has(git, probe):
                raise self._not_found(probe)
            self.say(f"cloning {self.origin.public} (history only; files follow as needed)")
            self._fetch(git, _BRANCHES_AND_TAGS)
            partial.rename(self.path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _check_folder(self) -> None:
        folder = self.remote.local
        if folder is None:
            return
        if not folder.is_dir():
            raise UsageError(
                f"there is no repository at {folder}",
                hint="check --sdk-repo and the site's git mirrors",
            )
        if any((folder / top / "shallow").exists() for top in (".", ".git")):
            # git would endlessly try to complete the history from the clone that lacks it.
            raise UsageError(
                f"{folder} is a shallow clone",
                hint="complete it with `git fetch --unshallow`, or use its files with --src",
            )

    def _remote_has(self, git: Git, name: str) -> bool:
        done = git.run(
            "ls-remote",
            "--quiet",
            "--end-of-options",
            PROMISOR,
            f"refs/heads/{name}",
            f"refs/tags/{name}",
        )
        if done.exit_code:
            raise self.unreachable("cannot list branches and tags", done)
        return bool(done.text())

    def _listed(self, *names: str) -> dict[str, str]:
        """The remote's refs with exactly these names → commit."""
        self._check_folder()
        with tempfile.TemporaryDirectory(prefix="loadgenctl-look-") as folder:
            git = self.online
            if not self.exists:
                git = Git(self.runner, Path(folder) / "look.git", remote=self.remote)
                init_repository(git, bare=True)
            # A tag's own commit is listed below its name.
            wanted = [word for name in names for word in (name, f"{name}^{{}}")]
            arguments = ("ls-remote", "--quiet", "--end-of-options", PROMISOR, *wanted)
            try:
                done = git.run(*arguments, timeout=LOOK_TIMEOUT)
            except DeadlineExceeded as error:
                raise UsageError(
                    f"{self.remote.public} does not answer within {LOOK_TIMEOUT:g} s",
                    hint="check the address, the network and the git mirrors in the site settings",
                ) from error
        if done.exit_code:
            raise self.unreachable("cannot list branches and tags", done)
        found: dict[str, str] = {}
        for line in done.text().splitlines():
            commit, _, ref = line.partition("\t")
            name = ref.removesuffix("^{}")
            if name in names and (name not in found or ref != name):
                found[name] = commit
        return found

    def _fetch(self, git: Git, refspecs: Sequence[str]) -> None:
        done = self._try_fetch(git, refspecs)
        if done.exit_code:
            raise self.unreachable("cannot fetch", done)

    def _try_fetch(self, git: Git, refspecs: Sequence[str]) -> Completed:
        self._check_folder()
        options = ("--quiet", "--no-tags", "--prune", "--filter=blob:none", "--no-write-fetch-head")
        return git.run("fetch", *options, "--end-of-options", PROMISOR, *refspecs)

    def _fetch_one(self, remote_name: str, ref: str, requested: str | None) -> str:
        if not self.exists:
            self.refresh()
        self.say(f"fetching {remote_name} from {self.origin.public}")
        done = self._try_fetch(self.online, [f"+{remote_name}:{ref}"])
        if done.exit_code:
            # Servers report a missing ref in many ways: a query that always succeeds shows whether
            # the server can be reached at all.
            probe = self.online.run("ls-remote", "--quiet", "--heads", "--end-of-options", PROMISOR)
            if probe.exit_code:
                raise self.unreachable("cannot fetch", done)
            raise self._not_found(requested)
        commit = self._peel(ref)
        if commit is None:
            raise self._not_found(requested)
        return commit

    def _refs(self, name: str) -> dict[str, str]:
        """Branches and tags of this name here: full name → commit."""
        found: dict[str, str] = {}
        for ref in (f"refs/tags/{name}", f"refs/heads/{name}"):
            commit = self._peel(ref) if self.exists else None
            if commit:
                found[ref] = commit
        return found

    def _peel(self, ref: str) -> str | None:
        done = self.offline.run(
            "rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}"
        )
        found = _FULL.search(done.text())  # older gits also print --end-of-options
        return found.group() if done.exit_code == 0 and found else None

    def _only_ref(self, name: str, found: dict[str, str]) -> str:
        if len(set(found.values())) > 1:
            raise UsageError(
                f"{name!r} is a tag and a branch, and they differ",
                hint="name one of them: "
                + " or ".join(f"{ref} ({commit[:12]})" for ref, commit in found.items()),
            )
        return next(iter(found.values()))

    def _only(self, prefix: str, found: Sequence[str]) -> str:
        if len(found) > 1:
            raise UsageError(
                f"the revision {prefix!r} is ambiguous: {len(found)} commits begin with it",
                hint="give more digits; candidates: "
                + ", ".join(found[:8])
                + ("…" if found[8:] else ""),
            )
        return found[0]

    def _not_found(self, requested: str | None) -> RevisionNotFound:
        if requested is None:
            return RevisionNotFound(
                f"{self.origin.public} has no default branch",
                hint="if it has no commits yet, make one; else name a branch with --revision"
                " (of daily: --branch)",
            )
        digits = re.fullmatch(r"[0-9a-f]{1,3}", requested.lower()) is not None
        return RevisionNotFound(
            f"no commit, tag or branch {requested!r} in {self.origin.public}",
            hint="give at least the first four digits of a commit id"
            if digits
            else "check the spelling; name another repository with --sdk-repo, and a commit that"
            " no branch or tag reaches by its full id",
        )


def init_repository(git: Git, *, bare: bool) -> None:
    """An empty repository at `git.git_dir`, without hooks or templates."""
    git.git_dir.mkdir(parents=True)
    kind = ("--bare",) if bare else ()
    done = git.run("init", "--quiet", "--template=", *kind)
    if done.exit_code:
        raise UsageError(
            f"cannot make a git repository in {git.git_dir}",
            hint="check the free space, and that you may write to the folder",
            detail=done.last_lines(),
        )
