"""From a mirror to a folder: a sparse checkout that is a complete little repository of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loadgenctl.errors import BuildError
from loadgenctl.process import Completed
from loadgenctl.sources.gitcli import Git
from loadgenctl.sources.mirror import Mirror, init_repository


def check_out(mirror: Mirror, commit: str, sparse: Sequence[str], into: Path) -> None:
    """Check `commit` out into `into`, only what the patterns name (`sparse` empty: everything).

    Missing files are fetched in one go, into the mirror, so that the next revision need not. Then
    the commit, its folders and the checked-out files are copied into one pack of the new
    repository: a shallow history of one commit, without a remote, alternates or absolute paths.
    `git status` and `git rev-parse HEAD` work wherever the folder is mounted. Raises `BuildError`.
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
    # From the beginning: git would look for the commit's parents, and fetch what is not there.
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
    # git begins a pack beside the objects it reads, then renames it: `into` may be another disk.
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
            hint="is the disk of the cache full? `loadgenctl sdk list` shows what is kept",
            detail=done.last_lines(),
        )
