"""Python processes of our own: what lies in the current folder, or on PYTHONPATH, is not loaded."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadgenctl.process import INTERPRETER, Runner, own_environment, own_python
from loadgenctl.records.archive import unpack
from loadgenctl.run.saved_storage import StorageSaver

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "controller" / "loadgenctl"
NAMES = ("json", "typing", "tarfile", "pathlib", "subprocess")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with files of somebody's that have the names of modules; each tells when it runs."""
    folder = tmp_path / "trap"
    (folder / "loadgenctl").mkdir(parents=True)
    for file in (*(f"{name}.py" for name in NAMES), "loadgenctl/__init__.py"):
        (folder / file).write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({file!r})\n")
    return folder


@pytest.fixture
def in_trap(trap: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trap)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([".", str(trap)]))
    return trap


def _uses(tree: ast.AST) -> set[str]:
    """Names of interpreters that a module uses by itself."""
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in {"executable", "_base_executable"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "sys"
        ):
            found.add("sys.executable")
        if isinstance(node, ast.List | ast.Tuple) and any(
            isinstance(item, ast.Constant) and item.value == "-m" for item in node.elts
        ):
            found.add("-m")
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_every_python_of_our_own_is_started_in_one_way(path: Path) -> None:
    found = _uses(ast.parse(path.read_bytes()))
    # program.py starts nothing: it shows the interpreter in a command that a person may type.
    allowed = path.name in {"process.py", "program.py"}
    assert not found or allowed, f"{path} does not go through own_python"


def test_the_check_finds_what_does_not_go_through_it() -> None:
    assert _uses(ast.parse("[sys.executable, '-m', 'pip']")) == {"sys.executable", "-m"}
    assert _uses(ast.parse("own_python('pip')")) == set()


def test_storage_is_packed_whatever_lies_in_the_current_folder(
    in_trap: Path, tmp_path: Path
) -> None:
    copy, archive, again = tmp_path / "copy", tmp_path / "archive.tar.zst", tmp_path / "again"
    copy.mkdir()
    (copy / "file").write_text("kept")
    saver = StorageSaver(Runner())
    saver.pack(copy, archive)
    assert saver.finish() == []
    unpack(archive, again)
    assert (again / "file").read_text() == "kept"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("how", ["run", "stream", "begin", "start"])
def test_whatever_starts_it_nothing_of_others_is_loaded(
    how: str, in_trap: Path, tmp_path: Path
) -> None:
    argv, runner, said = own_python("loadgenctl", "--version"), Runner(), tmp_path / "said"
    if how == "run":
        assert runner.run(argv).exit_code == 0
    elif how == "stream":
        assert runner.stream(argv, lambda line: None) == 0
    elif how == "begin":
        assert runner.begin(argv, said).wait() == 0
    else:
        assert runner.start(argv).finish(60.0) is None
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "program",
    [(str(ROOT / "bin" / "loadgenctl"),), (sys.executable, "-P", "-m", "loadgenctl")],
    ids=["bin/loadgenctl", "python -P -m"],
)
def test_the_program_itself_loads_nothing_of_the_current_folder(
    program: tuple[str, ...], trap: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*program, "run", "--sdk", "sim", "--dry-run"],
        cwd=trap,
        env={**os.environ, "PYTHONPATH": "" if "-P" in program else str(trap)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "executed").exists()


def test_the_folders_of_others_are_searched_last(trap: Path, tmp_path: Path) -> None:
    for name in ("loadgenctl/__init__.py", "pathlib.py"):
        # What Python itself loads before the first line of ours can run.
        (trap / name).unlink()
    (trap / "loadgenctl").rmdir()
    (trap / "only_here.py").write_text("found = True\n")
    program = (
        "import loadgenctl.__main__ as main; main.demote_foreign_folders();"
        " import json, typing, tarfile, subprocess, only_here; print(only_here.found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=trap,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(trap), str(ROOT / "controller")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert not (tmp_path / "executed").exists()


def test_settings_of_python_that_change_what_is_loaded_or_written_are_not_inherited() -> None:
    given = {
        "HOME": "/root",
        "PYTHONPATH": "/elsewhere",
        "PYTHONHOME": "/elsewhere",
        "PYTHONIOENCODING": "ascii",
        "PYTHONSAFEPATH": "1",
        "PYTHONSTARTUP": "/elsewhere/x.py",
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "0",
        "PYTHONUSERBASE": "/base",
    }
    kept = {"HOME": "/root", "PYTHONUTF8": "0", "PYTHONUSERBASE": "/base"}
    assert own_environment(given) == kept


def test_the_folder_that_loadgenctl_is_imported_from_stays_on_the_path() -> None:
    ours = str(ROOT / "controller")
    given = {"PYTHONPATH": os.pathsep.join(["/elsewhere", ours, ""])}
    assert own_environment(given) == {"PYTHONPATH": ours}


def test_programs_of_others_keep_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert Runner().run(["sh", "-c", "echo $PYTHONPATH"]).text() == "/elsewhere"
    ours = Runner().run([INTERPRETER, "-c", "import os; print('PYTHONPATH' in os.environ)"])
    assert ours.text() == "False"
