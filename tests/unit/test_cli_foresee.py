"""A dry run says which SDK would run, how long it takes and what set the options, and refuses what
the run would refuse.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.unit.shell import Shell

SIM = ("run", "--sdk", "sim", "--dry-run")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, `master`, and an annotated tag, `v1`."""
    folder = tmp_path / "sdk"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=master")
    (folder / "file").write_text("content")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "tag", "-a", "-m", "a tag", "v1")
    return folder


@pytest.mark.parametrize("revision", ["HEAD", "master", "v1", "refs/heads/master", None, "id"])
def test_the_revision_is_resolved_and_its_commit_is_told(
    shell: Shell, repository: Path, revision: str | None
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    words = () if revision is None else ("--revision", commit[:8] if revision == "id" else revision)
    said = shell.run(*SIM, "--sdk-repo", str(repository), *words)
    assert said.exit_code == 0, said.stderr
    assert f"commit {commit}" in said.stdout
    assert f"of {repository}" in said.stdout
    assert "bundled" not in said.stdout
    document = json.loads(shell.run(*SIM, "--json", "--sdk-repo", str(repository), *words).stdout)
    assert document["commit"] == commit


@pytest.mark.parametrize("revision", ["nope", "dcd", "0123456789", "refs/heads/x", "HEAD~1"])
def test_a_revision_that_the_run_would_refuse_is_refused(
    shell: Shell, repository: Path, revision: str
) -> None:
    said = shell.run(*SIM, "--sdk-repo", str(repository), "--revision", revision)
    assert said.exit_code == 2
    assert revision in said.stderr
    if revision == "dcd":
        assert "first four digits" in said.stderr


def test_nothing_is_fetched_or_made(shell: Shell, repository: Path, tmp_path: Path) -> None:
    shell.run(*SIM, "--sdk-repo", str(repository))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["sdk"]


def test_a_server_that_does_not_answer_is_a_note(shell: Shell) -> None:
    said = shell.run(*SIM, "--sdk-repo", "https://127.0.0.1:1/sdk")
    assert said.exit_code == 0
    assert "note: the revision was not checked" in said.stdout


def test_an_empty_repository_is_told_as_such(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    said = shell.run(*SIM, "--sdk-repo", "./empty")
    assert said.exit_code == 2
    assert "no default branch" in said.stderr
    assert "no commits yet" in said.stderr


@pytest.mark.parametrize(
    ("words", "total"),
    [
        ((), "6 stages: 24 h,"),
        (("--stages", "2"), "2 stages: 0 s,"),
        (("--stages", "3", "--stage.duration", "90s"), "3 stages: 1 min 30 s,"),
        (("--stages", "3", "--stage.1.duration", "-1"), "3 stages: until interrupted"),
        (("--stages", "3", "--stage.loadgen.cycles", "4"), "3 stages: at most 6 h,"),
    ],
)
def test_the_time_of_all_stages_is_told(shell: Shell, words: tuple[str, ...], total: str) -> None:
    assert total in shell.run(*SIM, *words).stdout


def test_what_the_environment_sets_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADGENCTL_STAGE__DURATION", "5m")
    said = shell.run(*SIM)
    assert "options from the environment: LOADGENCTL_STAGE__DURATION" in said.stdout
    assert "6 stages: 20 min" in said.stdout


def test_a_limit_that_the_engine_would_refuse_is_refused(shell: Shell) -> None:
    said = shell.run(*SIM, "--limit.chain.memory", "10")
    assert said.exit_code == 2
    assert "at least 6m" in said.stderr
