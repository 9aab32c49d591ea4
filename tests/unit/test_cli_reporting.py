"""Where reports are written, and what the exit code is when they are not."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.unit.shell import Shell
from tests.worlds import World

from loadgenctl.cli.report_files import ReportFiles, reports_of_run
from loadgenctl.cli.run import tell
from loadgenctl.errors import BuildError, OutputFolderError, UsageError
from loadgenctl.records.encode import document_bytes
from loadgenctl.reports.facts import read_facts
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.stats.summary import summarize

LOAD = "--stages 2 --stage.1.duration 0.3 --stage.1.loadgen.faucet.interval 5"
DRY = ("run", "--sdk", "sim", "--dry-run")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def ended(world: World, line: str = LOAD) -> RunResult:
    """A run that has ended, with a summary as the composition root makes it."""
    services = replace(world.services(), finish=lambda store: summarize(store.folder))
    return execute(world.plan(line), services)


def red(file: Path) -> int:
    """How many tests of a JUnit file did not pass."""
    suite = ET.parse(file).getroot()[0]
    return int(suite.attrib["failures"]) + int(suite.attrib["errors"])


def told(ending: RunResult, files: ReportFiles) -> int:
    return tell(ending, files=files, quiet=True, json_output=False)


def test_a_run_that_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, step = tmp_path / "m.md", tmp_path / "step.md"
    step.write_text("from a step before")
    files = ReportFiles(tmp_path / "j.xml", page, step)
    files.check()
    assert told(ended(World(tmp_path)), files) == 0
    assert red(tmp_path / "j.xml") == 0
    assert page.read_text().startswith("## ✅ loadgenctl (simulated): passed")
    assert step.read_text() == f"from a step before\n\n{page.read_text()}"
    assert "Stages (times in seconds)" in capsys.readouterr().out


def test_the_summary_that_is_printed_is_the_one_of_the_run_and_equals_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = ended(World(tmp_path))
    assert not (result.folder / "summary.json").exists(), "nothing is read back"
    assert tell(result, files=ReportFiles(), quiet=True, json_output=True) == 0
    printed = capsys.readouterr()
    assert "could not be written" not in printed.err
    assert result.summary is not None
    assert result.summary == json.loads(printed.out)
    assert result.summary == json.loads(document_bytes(result.summary))


def test_a_run_that_failed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cycles_succeed = False
    files = ReportFiles(tmp_path / "j.xml", tmp_path / "m.md")
    assert told(ended(world), files) == 4
    assert red(tmp_path / "j.xml") == 2
    assert "the purse did not move" in (tmp_path / "m.md").read_text()


def test_a_run_whose_build_failed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.builds.error = BuildError("yarn failed", detail="last words")
    files = ReportFiles(tmp_path / "j.xml", tmp_path / "m.md")
    assert told(ended(world), files) == 3
    assert red(tmp_path / "j.xml") == 1
    assert "```text\nlast words\n```" in (tmp_path / "m.md").read_text()


def test_an_interrupted_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.clock.after(18.0, world.interrupts.request)
    files = ReportFiles(tmp_path / "j.xml", tmp_path / "m.md")
    assert told(ended(world), files) == 130
    assert red(tmp_path / "j.xml") == 1
    assert (tmp_path / "m.md").read_text().startswith("## ⚠️ loadgenctl (simulated): interrupted")


def test_the_page_takes_the_place_of_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(ended(World(tmp_path)), ReportFiles(markdown=Path("-"))) == 0
    out = capsys.readouterr().out
    assert out.startswith("## ✅ loadgenctl")
    # The page has the same titles, as headings; a text table is ruled with these.
    assert out.count("Stages (times in seconds)") == 1
    assert "──" not in out


def test_without_a_summary_it_is_computed(tmp_path: Path) -> None:
    ending = World(tmp_path).run(LOAD)
    assert told(ending, ReportFiles(tmp_path / "j.xml")) == 0
    assert red(tmp_path / "j.xml") == 0


def test_a_report_that_cannot_be_written_fails_only_a_run_that_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    files = ReportFiles(tmp_path / "file" / "j.xml", tmp_path / "m.md")
    ending = ended(World(tmp_path))
    assert told(ending, files) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert f"error: --junit: {tmp_path}/file/j.xml cannot be written" in err
    assert "hint: name another file with --junit" in err
    assert (tmp_path / "m.md").exists(), "the others are written all the same"
    failed = RunResult(ending.folder, BuildError("yarn failed"))
    assert told(failed, files) == 3


def test_a_results_folder_that_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = RunResult(tmp_path / "gone", OutputFolderError("removed during the run"))
    assert told(gone, ReportFiles(tmp_path / "j.xml")) == 2
    assert "there is no results folder" in capsys.readouterr().err


def test_what_is_wanted_of_a_run() -> None:
    job_page = {"GITHUB_STEP_SUMMARY": "/step.md"}
    wanted = reports_of_run(None, None, {"GITHUB_STEP_SUMMARY": ""})
    assert wanted == ReportFiles()
    assert wanted.write(lambda: pytest.fail("nothing is read for nothing")) == []
    assert reports_of_run(None, Path("/m.md"), job_page).step_summary == Path("/step.md")
    # The page is not to replace what other steps wrote.
    assert reports_of_run(None, Path("/step.md"), job_page).markdown is None


def test_what_could_not_be_written_is_told_before_the_run(shell: Shell) -> None:
    (shell.folder / "file").touch()
    for option, message in (
        (("--junit", "."), "--junit: . is a folder"),
        (("--junit", ""), "--junit: . is a folder"),
        (("--junit=file/j.xml",), "file is not a folder"),
        (("--markdown", "file/m.md"), "--markdown: file/m.md cannot be made"),
        (("--junit", "new/j.xml"), "--junit: new/j.xml cannot be made: there is no folder"),
        (("--markdown", "new/m.md"), "--markdown: new/m.md cannot be made: there is no folder"),
        (("--output-dir", "out", "--junit", "out/new/j.xml"), "there is no folder"),
        (("--junit", "-"), "--junit takes a file"),
        (("--junit", "x", "--markdown", "x"), "two reports cannot be one file"),
        (("--json", "--markdown", "-"), "--json and --markdown - both print"),
    ):
        said = shell.run(*DRY, *option)
        assert said.exit_code == 2, option
        if "--json" in option:
            assert json.loads(said.stdout)["exit_code"] == 2
        else:
            assert said.stdout == "", option
        assert message in " ".join(said.stderr.split())
    into = ("--output-dir", "out", "--junit", "out/j.xml")
    assert shell.run(*DRY, *into, "--markdown", "-").exit_code == 0
    assert [entry.name for entry in shell.folder.iterdir()] == ["file"]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write everywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_read_only_folder_is_told_before_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with unprivileged(), pytest.raises(UsageError, match="cannot be written"):
        ReportFiles(tmp_path / "new" / "j.xml").check()


@contextmanager
def pipe(path: Path) -> Iterator[int]:
    """A named pipe that somebody reads."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    facts = read_facts(World(tmp_path).run(LOAD).folder)
    target = tmp_path / "pipe"
    with pipe(target) as reader:
        assert ReportFiles(target).write(lambda: [facts]) == []
        assert os.read(reader, 5) == b"<?xml"
    assert stat.S_ISFIFO(target.stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    facts = read_facts(World(tmp_path).run(LOAD).folder)
    link = tmp_path / "link.xml"
    link.symlink_to(tmp_path / "target.xml")
    assert ReportFiles(link).write(lambda: [facts]) == []
    assert link.is_symlink()
    assert red(tmp_path / "target.xml") == 0


def test_stats_writes_reports_of_several_runs(shell: Shell, tmp_path: Path) -> None:
    first, second = World(tmp_path / "1"), World(tmp_path / "2")
    second.cycles_succeed = False
    runs = [str(ended(world).folder) for world in (first, second)]
    said = shell.run("stats", *runs, "--junit", "j.xml", "--markdown", "m.md")
    assert said.exit_code == 0, said.stderr
    assert said.stdout.count("Stages (times in seconds)") == 2
    assert len(ET.parse(tmp_path / "j.xml").getroot()) == 2
    printed = shell.run("stats", *runs, "--markdown", "-")
    assert printed.stdout == (tmp_path / "m.md").read_text()
    assert printed.stdout.count("\n## ❌") == 1
    assert json.loads(shell.run("stats", runs[0], "--json", "--junit", "k.xml").stdout)["run"]
    assert red(tmp_path / "k.xml") == 0
    assert shell.run("stats", runs[0], "--csv", "--markdown", "-").exit_code == 2


def test_stats_tells_a_report_that_cannot_be_written(shell: Shell, tmp_path: Path) -> None:
    folder = str(ended(World(tmp_path)).folder)
    said = shell.run("stats", folder, "--junit", folder)
    assert said.exit_code == 2
    assert "is a folder" in said.stderr
