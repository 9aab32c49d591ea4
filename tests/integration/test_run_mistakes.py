"""What a person may ask wrongly of a run, and revisions that cannot be had or built."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.loadgenctl_process import (
    PROMPT,
    SIM,
    Desk,
    Loadgenctl,
)

from loadgenctl import resources
from loadgenctl.process import Runner

pytestmark = pytest.mark.docker


def _blocked(folder: Path) -> str:
    """A results folder that nobody can make, not even root."""
    (folder / "file").write_text("")
    return str(folder / "file" / "out")


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        ("--stage.duraton 1", {}, "did you mean --stage.duration?"),
        ("--revision abc", {}, "has no revisions"),
        ("--src /nonexistent/sdk", {}, "there is no folder /nonexistent/sdk"),
        ("--sdk-repo /nonexistent/repo", {}, "/nonexistent/repo"),
        ("--stage.0.loadgen.faucett.interval 3", {}, "did you mean 'faucet'?"),
        ("--sim-config /nonexistent.toml", {}, "cannot read /nonexistent.toml"),
        ("", {"DOCKER_HOST": "unix:///nonexistent"}, "no Docker engine answers"),
        ("", {"DOCKER_HOST": "tcp://127.0.0.1:1"}, "no Docker engine answers"),
        ("", {"LOADGENCTL_STAGS": "3"}, "unknown environment variable LOADGENCTL_STAGS"),
    ],
)
def test_a_mistake_is_told_at_once_and_leaves_nothing(
    desk: Desk, tmp_path: Path, words: str, env: dict[str, str], says: str
) -> None:
    cache = tmp_path / "cache"
    more = {"NO_PROXY": "127.0.0.1", "LOADGENCTL_CACHE": str(cache), "TMPDIR": str(tmp_path)}
    ended, records = desk.do(*SIM, "--stages", "1", *words.split(), **more, **env)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert ended.exit_code == 2, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not records.folder.exists()
    assert ended.seconds < PROMPT
    assert [path for path in written if cache not in path.parents] == []


def test_an_output_folder_that_cannot_be_made(desk: Desk, tmp_path: Path) -> None:
    blocked = _blocked(tmp_path)
    with Loadgenctl(tmp_path / "c", *SIM, "--stages", "1", "--output-dir", blocked) as command:
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 2
    assert f"the results folder {blocked} cannot be used" in ended.stderr
    assert "hint: give another --output-dir" in ended.stderr
    assert desk.engine.left(command.pid) == []


BROKEN = """\
import sys
print("the chain is broken at this commit", file=sys.stderr)
sys.exit(9)
"""
SLOW = """\
import time
print("still thinking", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class Revisions:
    """A git repository of the simulated SDK with the tags `good`, `broken` and `slow`."""

    folder: Path
    cache: Path

    def options(self, revision: str) -> tuple[str, ...]:
        """What runs the chain of a revision alone, for a moment."""
        one = ("--stages", "1", "--chain-only")
        return *SIM, *one, "--sdk-repo", str(self.folder), "--revision", revision

    @property
    def env(self) -> dict[str, str]:
        """Names a cache of the test's own."""
        return {"LOADGENCTL_CACHE": str(self.cache)}

    def trees(self) -> list[str]:
        """What is in the cache of built SDKs."""
        sdk = self.cache / "sdk"
        entries = sdk.iterdir() if sdk.is_dir() else ()
        return sorted(entry.name for entry in entries if entry.name != ".locks")


def _git(folder: Path, *arguments: str) -> None:
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    done = Runner().run(["git", *who, *arguments], cwd=folder, env=nobody)
    assert done.exit_code == 0, done.last_lines()


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Revisions:
    folder = tmp_path_factory.mktemp("revisions")
    made = Revisions(folder / "repo", folder / "cache")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(resources.images("sim"), made.folder, ignore=ignored)
    _git(made.folder, "init", "-q", "-b", "main")
    for tag, content in (("good", None), ("broken", BROKEN), ("slow", SLOW)):
        if content is not None:
            (made.folder / "bin" / "sim-chain").write_text(content)
        _git(made.folder, "add", "-A")
        _git(made.folder, "commit", "-q", "-m", tag)
        _git(made.folder, "tag", tag)
    return made


def test_a_second_run_of_a_revision_finds_it_built(desk: Desk, revisions: Revisions) -> None:
    options = (*revisions.options("good"), *desk.settings())
    first, _ = desk.do(*options, **revisions.env)
    assert first.exit_code == 0, first.stderr
    assert "check sim-chain" in first.stderr
    command, records = desk.start(*options, **revisions.env)
    with command:
        command.until(
            lambda: desk.engine.owned(command.pid).get("chain") == "running",
            "the chain's container has started",
            timeout=15,
        )
        second = command.end()
    assert second.exit_code == 0, second.stderr
    assert "check sim-chain" not in second.stderr
    assert "cloning" not in second.stderr
    sdk = records.document("run.json")["sdk"]
    assert len(sdk["commit"]) == 40
    assert sdk["requested"] == "good"


def test_a_revision_that_does_not_build(desk: Desk, revisions: Revisions) -> None:
    options = (*revisions.options("broken"), *desk.settings())
    before = revisions.trees()
    ended, records = desk.do(*options, **revisions.env)
    assert ended.exit_code == 3
    assert "the build step 'check sim-chain' failed with exit code 9" in ended.stderr
    assert "| the chain is broken at this commit" in ended.stderr
    assert str(records.folder / "build.log") in ended.stderr
    assert records.status["outcome"] == "failed"
    assert records.status["last_lines"] == ["the chain is broken at this commit"]
    assert revisions.trees() == before


def test_a_revision_that_does_not_exist(desk: Desk, revisions: Revisions) -> None:
    ended, records = desk.do(*revisions.options("nope"), *desk.settings(), **revisions.env)
    assert ended.exit_code == 2
    assert "no commit, tag or branch 'nope'" in ended.stderr
    assert not records.folder.exists()
    assert ended.seconds < PROMPT


def test_ctrl_c_stops_a_build_at_once(desk: Desk, revisions: Revisions) -> None:
    before = revisions.trees()
    command, records = desk.start(*revisions.options("slow"), *desk.settings(), **revisions.env)
    with command:
        command.until(
            lambda: desk.engine.owned(command.pid).get("builder") == "running", "the build runs"
        )
        command.ctrl_c()
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []
    assert revisions.trees() == before


def test_a_folder_is_used_as_it_is(desk: Desk, revisions: Revisions, tmp_path: Path) -> None:
    folder = tmp_path / "sdk"
    ignored = shutil.ignore_patterns("__pycache__", ".git")
    shutil.copytree(resources.images("sim"), folder, ignore=ignored)
    before = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    one = ("--stages", "1", "--chain-only", "--src", str(folder))
    ended, records = desk.do(*SIM, *one, *desk.settings())
    assert ended.exit_code == 0, ended.stderr
    assert {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))} == before
    assert records.document("run.json")["sdk"]["commit"] is None
