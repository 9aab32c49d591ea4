"""What `daily` and `queue` refuse before they do anything, as a person types it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.fakes import FakeClock
from tests.unit.shell import Shell

from loadgenctl.cli.daily import run_options
from loadgenctl.cli.merged_options import Inputs
from loadgenctl.daily.lock import LOCK, sole_instance
from loadgenctl.plan.accepted_options import ONE_RUN_KEYS
from loadgenctl.plan.settings import merge

SIM = ("--sdk", "sim", "--sdk-repo", ".")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--revision abc", "--revision sets the revision of one run"),
        ("--src .", "--src sets the src of one run"),
        ("--output-dir x", "--output-dir sets the output-dir of one run"),
        ("--engine local", "--engine: revisions are built and run in containers here"),
        ("--stges 3", "unknown option --stges"),
        ("--stages 3 extra", "unexpected argument 'extra'"),
        ("--branch a..b", "'a..b' is not a commit id, tag or branch"),
        ("--poll 0", "--poll takes minutes"),
        ("--poll nan", "--poll takes minutes"),
        ("--retry-after inf", "--retry-after takes minutes"),
        ("--max-disk lots", "--max-disk takes a size"),
        ("--sdk-repo /no/such/repository", "there is no repository at /no/such/repository"),
        ("--sdk-repo ftp://x.test/y", "is not an address of a git repository"),
        ("--sdk sim", "the bundled simulated SDK has no branches"),
        ("--stage.loadgen.fauset.interval 1", "fauset"),
    ],
)
def test_options_that_the_service_cannot_follow_with(shell: Shell, options: str, why: str) -> None:
    said = shell.run("daily", *options.split())
    assert said.exit_code == 2
    assert why in said.stderr
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize("options", ["--attempts 0", "--keep -1", "--poll soon"])
def test_numbers_are_checked(shell: Shell, options: str) -> None:
    assert shell.run("daily", *options.split()).exit_code == 2


@pytest.mark.parametrize("command", [("daily",), ("queue", "list")])
def test_not_even_the_file_names_one_run_s_revision(shell: Shell, command: tuple[str]) -> None:
    (shell.folder / "list").write_text("v1\n")
    (shell.folder / "loadgenctl.toml").write_text('[run]\nrevision = "v1"\n')
    said = shell.run(*command, "--config", "loadgenctl.toml")
    assert said.exit_code == 2
    assert "loadgenctl.toml sets the revision of one run" in said.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the list holds no revision"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"v1 --stges 3\n", "line 1: unknown option --stges (did you mean --stages?)"),
        (b"v1\nv2 --revision v3\n", "line 2: --revision sets the revision of one run"),
        (b"v1\nHEAD~3\n", "line 2: 'HEAD~3' is not a commit id, tag or branch"),
        (b"v1 --stage.loadgen.fauset.interval 1", "fauset"),
        (b"v1 --sdk-repo -x", "line 1: --sdk-repo needs a value"),
        (b"v1\n" * 400_000, "is longer than 1 MiB"),
    ],
)
def test_lists_that_cannot_be_run(shell: Shell, content: bytes, why: str) -> None:
    (shell.folder / "list").write_bytes(content)
    said = shell.run("queue", "list", *SIM)
    assert said.exit_code == 2
    assert why in said.stderr
    assert {path.name for path in shell.folder.iterdir()} <= {"list", LOCK}


def test_a_list_that_is_not_there(shell: Shell) -> None:
    said = shell.run("queue", "missing", *SIM)
    assert said.exit_code == 2
    assert "cannot read the list missing: No such file" in said.stderr


def test_the_list_comes_first(shell: Shell) -> None:
    said = shell.run("queue", "--stages", "3", "list", *SIM)
    assert said.exit_code == 2
    assert "the list comes before --stages" in said.stderr


@pytest.mark.parametrize("command", [("daily",), ("queue", "list")])
def test_a_second_instance_is_refused(shell: Shell, command: tuple[str]) -> None:
    (shell.folder / "list").write_text("v1\n")
    with sole_instance(shell.folder, "daily", FakeClock(), print):
        said = shell.run(*command, *SIM)
    assert said.exit_code == 2
    assert f"in use by loadgenctl daily: process {os.getpid()}, since" in said.stderr


def test_help_leaves_out_what_belongs_to_one_run(shell: Shell) -> None:
    for command in ("daily", "queue"):
        said = shell.run(command, "--help")
        assert said.exit_code == 0
        assert "--stage.loadgen.*" in said.words
        assert not any(f"--{key} " in said.words for key in ONE_RUN_KEYS)


def test_the_kind_of_test_is_recorded_unless_somebody_says_another() -> None:
    def options(*args: str) -> tuple[str, ...]:
        return run_options(Inputs(merge(args, {}, None, ""), {}, None), args, "daily-perf")

    assert options("--stages", "3") == ("--test-data.test-type", "daily-perf", "--stages", "3")
    own = ("--test-data.test-type", "nightly")
    assert options(*own) == own
