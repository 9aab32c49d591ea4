"""Naming a run by folder, name or id; the last run; and the list of runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tests.fake_clock import EPOCH
from tests.unit.run_maker import loaded_run
from tests.unit.shell import Shell

from loadgenctl.cli.find_runs import find_run, folders_of_runs, last_run
from loadgenctl.cli.list_runs import listed
from loadgenctl.errors import UsageError
from loadgenctl.owner import Owner


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def make_run(folder: Path, run_id: str, *, started: float, outcome: str = "passed") -> Path:
    """A results folder as a run leaves it, as far as a list needs it."""
    folder.mkdir(parents=True)
    sdk = {"family": "sim", "requested": "v1", "commit": "c" * 40, "simulated": True}
    run = {"schema": 1, "run_id": run_id, "sdk": sdk, "plan": {"stages": [{}, {}, {}]}}
    status = {"outcome": outcome, "started_at": started, "finished_at": started + 90}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "status.json").write_text(json.dumps(status))
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three runs, the last one of them in the middle of the alphabet."""
    folder = tmp_path / "results"
    make_run(folder / "run-1", "0123456789", started=1000)
    make_run(folder / "run-2", "aaaaaaaaaa", started=3000, outcome="failed")
    make_run(folder / "run-3", "bbbbbbbbbb", started=2000)
    return folder


@pytest.mark.parametrize("named", ["run-1", "0123456789", "PATH"])
def test_a_run_is_named_by_folder_name_or_id(results: Path, named: str) -> None:
    text = str(results / "run-1") if named == "PATH" else named
    assert find_run(text, results) == results / "run-1"


def test_a_path_goes_over_a_name_below_results(results: Path, shell: Shell) -> None:
    make_run(shell.folder / "run-1", "cccccccccc", started=1)
    assert find_run(shell.folder / "run-1", results) == shell.folder / "run-1"


def test_a_mistyped_name_is_told_the_nearest_one(results: Path) -> None:
    with pytest.raises(UsageError, match="no results folder run-11") as raised:
        find_run("run-11", results)
    assert str(raised.value.hint) == f"did you mean {results}/run-1?"


@pytest.mark.parametrize(
    "command",
    [
        ("stats", "nope"),
        ("regen", "nope"),
        ("top", "nope"),
        ("slog", "tail", "nope"),
        ("run", "--resume", "nope"),
        ("load", "config", "set", "nope", "{}"),
    ],
    ids=" ".join,
)
def test_every_command_that_takes_a_run_refuses_an_unknown_one_alike(
    shell: Shell, results: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADGENCTL_CACHE", str(shell.folder / "cache"))
    said = shell.run(*command)
    assert results.is_dir()
    assert said.exit_code == 2
    if "load" not in command:  # which asks for an engine first
        assert "there is no results folder nope" in said.stderr
        assert "loadgenctl list" in said.stderr


def test_the_last_run_is_the_one_that_began_last(results: Path, shell: Shell) -> None:
    assert last_run(results) == results / "run-2"
    said = shell.run("stats", "--json")
    assert said.exit_code == 0, said.stderr
    assert "the last run: results/run-2" in said.stderr
    assert json.loads(said.stdout)["run"]["run_id"] == "aaaaaaaaaa"


def test_without_runs_the_last_one_is_refused_with_a_first_thing_to_try(shell: Shell) -> None:
    said = shell.run("stats")
    assert said.exit_code == 2
    assert "there is no run in results/" in said.stderr
    assert "loadgenctl run --sdk sim" in said.stderr


def test_a_stray_file_among_runs_is_left_out_with_a_warning(results: Path, shell: Shell) -> None:
    (results / "notes.txt").touch()
    (results / "folder").mkdir()
    names = [str(entry) for entry in sorted(results.iterdir())]
    said = shell.run("stats", *names, "--csv")
    assert said.exit_code == 0
    assert len(said.stdout.splitlines()) == 1 + 3
    assert "left out" in said.stderr
    assert "notes.txt" in said.stderr
    stray = [str(results / "notes.txt"), str(results / "folder")]
    assert shell.run("stats", *stray, "--csv").exit_code == 2
    assert shell.run("stats", stray[0]).exit_code == 2
    assert shell.run("stats", names[0], str(results / "gone")).exit_code == 2


def test_the_list_is_newest_first_in_every_form(results: Path, shell: Shell) -> None:
    assert results.is_dir()
    said = shell.run("list")
    assert said.exit_code == 0
    rows = [line.split() for line in said.stdout.splitlines()]
    assert [row[0] for row in rows[1:]] == [f"results/run-{name}" for name in (2, 3, 1)]
    assert rows[1][1:4] == ["sim", "c" * 12, "failed"]
    assert "1 min 30 s" in said.stdout
    assert "-/3" in rows[1]
    document = json.loads(shell.run("list", "--json").stdout)
    assert [run["run_id"] for run in document] == ["aaaaaaaaaa", "bbbbbbbbbb", "0123456789"]
    assert document[0]["duration_s"] == 90
    table = list(csv.DictReader(io.StringIO(shell.run("list", "--csv").stdout)))
    assert [row["outcome"] for row in table] == ["failed", "passed", "passed"]


def test_the_list_times_runs_without_an_end_as_top_and_stats_do(shell: Shell) -> None:
    gone = Owner(1, "another-boot-1", Owner.current().host)
    attempts = (
        {"began_at": EPOCH, "ended_at": EPOCH + 20},
        {"began_at": EPOCH + 50, "stage": 1, "state": "kept"},
    )
    for name, owner in (("killed", gone), ("running", Owner.current())):
        run = loaded_run(shell.folder / "results" / name)
        run.status(owner=owner, stage=1, attempts=attempts)
        run.container(96, "chain", 90.0)
    stale = {"schema": 1, "run": {"duration_s": 20.0}}
    (shell.folder / "results" / "killed" / "summary.json").write_text(json.dumps(stale))
    now = EPOCH + 1000
    listing = {name: listed(shell.folder / "results" / name, now) for name in ("killed", "running")}
    assert (listing["running"].outcome, listing["running"].duration_s) == ("running", 1000 - 30)
    assert (listing["killed"].outcome, listing["killed"].duration_s) == ("killed", 96 - 30)
    top = json.loads(shell.run("top", "results/killed", "--json").stdout)
    assert top["run"]["elapsed_s"] == 96 - 30


def test_the_list_takes_folders_and_finds_attempts(shell: Shell, results: Path) -> None:
    make_run(shell.folder / "daily-perf-abc" / "attempt-1", "dddddddddd", started=1)
    assert folders_of_runs(shell.folder) == [shell.folder / "daily-perf-abc" / "attempt-1"]
    said = shell.run("list", ".", str(results))
    assert len(said.stdout.splitlines()) == 1 + 4
    assert "daily-perf-abc/attempt-1" in said.stdout
    assert shell.run("list", "nowhere").exit_code == 2


def test_a_run_that_cannot_be_read_is_left_out_of_the_list(results: Path, shell: Shell) -> None:
    (results / "run-3" / "run.json").write_text('{"schema": 99}')
    said = shell.run("list")
    assert said.exit_code == 0
    assert "run-3" not in said.stdout
    assert "format 99" in said.stderr


def test_a_list_of_nothing_says_so(shell: Shell) -> None:
    said = shell.run("list")
    assert (said.exit_code, said.stdout) == (0, "no runs in results/\n")
