"""A person's own SDK folder, and the simulated SDK that comes with the package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.process import Runner
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.bundled import BundledSource
from loadgenctl.sources.directory import DirectorySource


def git(folder: Path, *args: str) -> str:
    env = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_COMMITTER_DATE": "1600000000 +0000",
    }
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    done = Runner().run(["git", *who, *args], cwd=folder, env=env)
    assert done.exit_code == 0, done.last_lines()
    return done.text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "sdk"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "package.json").write_text("{}")
    (folder / ".gitignore").write_text("node_modules\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def resolve(folder: Path) -> ResolvedRevision:
    return DirectorySource(Runner()).resolve(SourceRequest("agoric", directory=folder))


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "https://me:secret@example.test/sdk.git")
    (checkout / "node_modules").mkdir()
    (checkout / "node_modules" / "built").write_text("x")
    found = resolve(checkout)
    assert found.commit == found.content_id == git(checkout, "rev-parse", "HEAD")
    assert found.commit_time == 1600000000
    assert not found.dirty
    assert found.repository == "https://example.test/sdk.git"


def test_changes_are_told_and_each_has_its_own_id(checkout: Path) -> None:
    (checkout / "package.json").write_text('{"changed": 1}')
    first = resolve(checkout)
    assert first.dirty
    assert resolve(checkout).content_id == first.content_id
    (checkout / "new.js").write_text("1")
    second = resolve(checkout)
    assert second.commit == first.commit
    assert len({second.content_id, first.content_id, first.commit}) == 3


def test_nothing_in_the_folder_is_written(checkout: Path) -> None:
    (checkout / "package.json").touch()  # a stale index, which git would like to refresh
    before = {path: path.stat().st_mtime_ns for path in checkout.rglob("*")}
    resolve(checkout)
    assert {path: path.stat().st_mtime_ns for path in checkout.rglob("*")} == before


def test_a_folder_without_history(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    found = resolve(tmp_path)
    assert found.commit is None
    assert found.content_id.startswith("tree-")
    assert found.repository == str(tmp_path)
    (tmp_path / "file").write_text("22")
    assert resolve(tmp_path).content_id != found.content_id


def test_a_folder_below_another_checkout_is_not_that_checkout(checkout: Path) -> None:
    (checkout / "inner").mkdir()
    assert resolve(checkout / "inner").commit is None


def test_what_the_checkouts_settings_name_is_not_run(checkout: Path, tmp_path: Path) -> None:
    trap = f"touch {tmp_path}/sprung;cat"
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.process", "diff.external"):
        git(checkout, "config", key, trap)
    git(checkout, "config", "core.hooksPath", str(tmp_path))
    (checkout / ".gitattributes").write_text("* filter=x\n")
    (checkout / "package.json").write_text("{ }")
    assert resolve(checkout).dirty
    assert not (tmp_path / "sprung").exists()


def test_the_tree_is_the_folder_as_it_is(checkout: Path, tmp_path: Path) -> None:
    source = DirectorySource(Runner())
    found = resolve(checkout)
    (checkout / "package.json").write_text("changed")
    (tmp_path / "outside").write_text("secret")
    (checkout / "link").symlink_to(tmp_path / "outside")
    tree = source.tree(found)
    assert tree.read("package.json") == b"changed"
    assert tree.read("nope") is None
    assert tree.read("link") is None
    assert tree.read("../outside") is None
    assert found.commit is not None
    assert tree.contains(found.commit) is True
    assert tree.contains("1" * 40) is None
    with pytest.raises(LoadgenError, match="in place"):
        source.materialize(found, BuildRecipe(()), tmp_path / "out")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        resolve(tmp_path / "nope")


def test_the_bundled_sdk_is_known_by_its_files(tmp_path: Path) -> None:
    root = tmp_path / "sim"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "chain").write_text("#!/bin/sh\n")
    (root / "bin" / "chain").chmod(0o755)
    source = BundledSource(root)
    request = SourceRequest("sim")
    found = source.resolve(request)
    assert found.commit is None
    (root / "bin" / "__pycache__").mkdir()
    (root / "bin" / "__pycache__" / "x.pyc").write_text("junk")
    assert source.resolve(request).content_id == found.content_id

    source.materialize(found, BuildRecipe(()), tmp_path / "out")
    assert os.access(tmp_path / "out" / "bin" / "chain", os.X_OK)
    assert not (tmp_path / "out" / "bin" / "__pycache__").exists()
    assert BundledSource(tmp_path / "out").resolve(request).content_id == found.content_id
    assert source.tree(found).read("bin/chain") == b"#!/bin/sh\n"
    assert source.tree(found).contains("1" * 40) is None

    (root / "bin" / "chain").chmod(0o644)
    assert source.resolve(request).content_id != found.content_id
    shutil.rmtree(root)


def test_the_bundled_sdk_has_no_revisions() -> None:
    with pytest.raises(UsageError, match="no revisions"):
        BundledSource().resolve(SourceRequest("sim", revision="abc"))
