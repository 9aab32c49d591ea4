"""SDK revisions from a git repository."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import BuildError, LoadgenError
from loadgenctl.model import ResolvedRevision
from loadgenctl.process import Completed, Runner
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.gitcli import Git
from loadgenctl.sources.giturl import (
    Repository,
    RewriteGit,
    parse_repository,
    parse_submodule,
    rewritten,
)
from loadgenctl.sources.mirror import Mirror, Say, init_repository

DEFAULT_REPOSITORY = "https://github.com/Agoric/agoric-sdk.git"


def _silent(_text: str) -> None:
    return None


def _unchanged(url: str) -> str:
    return url


@dataclass(slots=True)
class GitSource:
    """Commits, tags and branches of a repository; clones are kept in `cache_dir/git`."""

    runner: Runner
    cache_dir: Path
    rewrite_git: RewriteGit = _unchanged
    clock: Clock = field(default_factory=SystemClock)
    say: Say = _silent
    """Called with what takes time: cloning, fetching, checking out, waiting for another process."""
    _known: dict[str, Repository] = field(default_factory=dict, repr=False)
    """Public address → address with credentials, which no record holds."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        """See `SdkSource.resolve`."""
        repository = parse_repository(request.repository or DEFAULT_REPOSITORY)
        self._known[repository.public] = repository
        mirror = self._mirror(repository)
        commit = mirror.resolve(request.revision)
        return ResolvedRevision(
            family=request.family,
            requested=request.revision or "HEAD",
            commit=commit,
            commit_time=mirror.commit_time(commit),
            content_id=commit,
            repository=repository.public,
        )

    def look(self, request: SourceRequest) -> str | None:
        """The commit of a request without fetching anything; see `Mirror.look`."""
        repository = parse_repository(request.repository or DEFAULT_REPOSITORY)
        return self._mirror(repository).look(request.revision)

    def tree(self, resolved: ResolvedRevision) -> GitTree:
        """See `SdkSource.tree`."""
        return GitTree(self._mirror(self._repository(resolved)), _commit(resolved))

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        """See `SdkSource.materialize`; the result needs neither the cache nor the network."""
        repository, commit = self._repository(resolved), _commit(resolved)
        mirror = self._mirror(repository)
        mirror.ensure(commit)
        check_out(mirror, commit, recipe.sparse, into)
        urls = submodule_urls(mirror, commit) if recipe.submodules else {}
        for path, sparse in recipe.submodules.items():
            entry = mirror.entry(commit, path)
            if entry is None or entry[0] != "160000":
                continue  # a revision from before or after the submodule's time
            if path not in urls:
                raise LoadgenError(
                    f"the SDK's .gitmodules does not say where {path} comes from",
                    hint="the revision is broken; choose another one",
                )
            child = self._mirror(parse_submodule(urls[path], repository))
            pinned = child.ensure(entry[2])
            self.say(f"checking out {path} at {pinned[:12]}")
            check_out(child, pinned, sparse, into / path)

    def _repository(self, resolved: ResolvedRevision) -> Repository:
        return self._known.get(resolved.repository) or parse_repository(resolved.repository)

    def _mirror(self, repository: Repository) -> Mirror:
        return Mirror(
            runner=self.runner,
            clock=self.clock,
            path=self.cache_dir / "git" / f"{repository.slug}.git",
            origin=repository,
            remote=rewritten(repository, self.rewrite_git),
            say=self.say,
        )


@dataclass(frozen=True, slots=True)
class GitTree:
    """See `SourceTree`: one commit of a mirror."""

    mirror: Mirror
    commit: str

    def read(self, path: str) -> bytes | None:
        """See `SourceTree.read`."""
        return self.mirror.read(self.commit, path)

    def contains(self, commit: str) -> bool | None:
        """See `SourceTree.contains`."""
        return self.mirror.contains(commit, self.commit)


def submodule_urls(mirror: Mirror, commit: str) -> dict[str, str]:
    """Path → address, as `.gitmodules` of the commit says."""
    text = mirror.read(commit, ".gitmodules")
    if text is None:
        return {}
    listed = mirror.offline.run("config", "--null", "--file", "-", "--list", stdin=text)
    values: dict[str, dict[str, str]] = {}
    for item in listed.stdout.decode("utf-8", "replace").split("\0"):
        key, _, value = item.partition("\n")
        section, _, name = key.rpartition(".")
        values.setdefault(section, {})[name] = value
    return {v["path"]: v["url"] for v in values.values() if v.get("path") and v.get("url")}


def _commit(resolved: ResolvedRevision) -> str:
    if resolved.commit is None:
        raise LoadgenError(f"{resolved.requested} is not a revision of a git repository")
    return resolved.commit


def check_out(mirror: Mirror, commit: str, sparse: Sequence[str], into: Path) -> None:
    """Check out `commit` into `into`: the paths that `sparse` names, or all if it is empty.

    Missing files are fetched together, into the mirror, for later revisions too. Then the commit,
    its folders and the checked-out files are copied into one pack of the new repository: a shallow
    history of one commit, without a remote, alternates or absolute paths. `git status` and
    `git rev-parse HEAD` work wherever the folder is mounted. Raises `BuildError`.
    """
    into.mkdir(parents=True, exist_ok=True)
    alone = Git(mirror.runner, into / ".git", work_tree=into)
    borrowing = Git(
        mirror.runner,
        into / ".git",
        work_tree=into,
        objects=mirror.path / "objects",
        remote=mirror.remote,
    )
    init_repository(alone, bare=False)
    if sparse:
        _configure_sparse(alone, sparse)
    (into / ".git" / "HEAD").write_text(f"{commit}\n")
    # Written first: otherwise git searches the commit's parents, and fetches missing ones.
    (into / ".git" / "shallow").write_text(f"{commit}\n")
    done = borrowing.run("read-tree", "-m", "-u", "HEAD")
    if done.exit_code:
        error = mirror.unreachable(f"cannot check out {commit[:12]}", done)
        raise BuildError(error.message, hint=error.hint, detail=error.detail)
    _copy_objects(mirror, commit, borrowing, into)
    _check(alone.run("status", "--porcelain"), "read back")


def _configure_sparse(git: Git, patterns: Sequence[str]) -> None:
    for key, value in (("core.sparseCheckout", "true"), ("core.sparseCheckoutCone", "false")):
        _check(git.run("config", key, value), "configure")
    info = git.git_dir / "info"
    info.mkdir(exist_ok=True)
    (info / "sparse-checkout").write_text("".join(f"{line}\n" for line in patterns))


def _copy_objects(mirror: Mirror, commit: str, git: Git, into: Path) -> None:
    folders = git.run("ls-tree", "-d", "-r", "-z", "--full-tree", commit)
    root = git.run("rev-parse", f"{commit}^{{tree}}")
    staged = git.run("ls-files", "-t", "-z", "--stage")
    _check(folders, "list")
    _check(root, "list")
    _check(staged, "list")
    ids = {commit, root.text()}
    for row in folders.stdout.split(b"\0"):
        _mode, _, rest = row.partition(b" ")
        kind, _, rest = rest.partition(b" ")
        if kind == b"tree":
            ids.add(rest.partition(b"\t")[0].decode())
    for row in staged.stdout.split(b"\0"):
        tag, _, rest = row.partition(b" ")
        mode, _, rest = rest.partition(b" ")
        if tag == b"H" and mode != b"160000":
            ids.add(rest.partition(b" ")[0].decode())
    pack = into.resolve() / ".git" / "objects" / "pack"
    pack.mkdir(parents=True, exist_ok=True)
    listed = "".join(f"{object_id}\n" for object_id in sorted(ids)).encode()
    # git writes a pack beside the objects it reads, then renames it: `into` may be another disk.
    with tempfile.TemporaryDirectory(prefix="pack-", dir=mirror.path) as made:
        done = mirror.offline.run(
            "pack-objects", "--quiet", "--window=0", f"{made}/pack", stdin=listed
        )
        _check(done, "pack")
        for file in Path(made).iterdir():
            shutil.move(file, pack / file.name)


def _check(done: Completed, verb: str) -> None:
    if done.exit_code:
        raise BuildError(
            f"cannot {verb} the checkout",
            hint="check the free space of the cache's disk; `loadgenctl sdk list` shows built SDKs",
            detail=done.last_lines(),
        )
