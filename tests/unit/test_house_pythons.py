"""`bin/test-pythons` in a checkout of its own, with stand-ins for the machine's Pythons."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.test_house_setup import Checkout

from loadgenctl.process import Completed

PYTHON = """
case "$*" in
*platform*) printf '{version}\\t{program}\\n' ;;
*"-m venv"*) eval "folder=\\${{$#}}"; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python" ;;
*"-m pip"*) echo "$*" >>{notes} ;;
*"-m pytest"*) echo "tested {version}: $*" >>{notes}; echo "{said}"; exit {code} ;;
esac
"""


class Machine(Checkout):
    """Its Pythons are those that a test puts there; the machine's own are not among them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.notes = folder / "notes"
        self.notes.write_text("")
        (folder / "requirements" / "test.txt").write_text("something==1.0\n")
        for minor in (11, 12, 13, 14):
            self.script(self.stand_ins / f"python3.{minor}", "exit 1")
        self.script(self.stand_ins / "python3", "exit 1")

    def has(self, name: str, version: str, *, said: str = "7 passed", code: int = 0) -> Path:
        """Let there be a Python; its program."""
        path = self.stand_ins / name
        body = PYTHON.format(version=version, program=path, notes=self.notes, said=said, code=code)
        self.script(path, body)
        return path

    def test(self, *options: str) -> Completed:
        script = self.folder / "bin" / "test-pythons"
        # Whatever this machine has there is not the test's.
        script.write_text(script.read_text().replace("python3 /usr/bin/python3", "python3"))
        env = {"PYENV_ROOT": str(self.folder), "PYTHONS": ""}
        return self.bash(" ".join(("bin/test-pythons", *options)), env)

    @property
    def done(self) -> str:
        return self.notes.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "checkout")


def test_each_python_runs_the_tests_and_the_absent_are_named(machine: Machine) -> None:
    machine.has("python3.12", "3.12.9")
    machine.has("python3.13", "3.13.1")
    done = machine.test()
    assert done.exit_code == 0, done.last_lines()
    told = done.stderr.decode()
    assert "not on this machine, so not tested here: Python 3.11 3.14" in told
    for version in ("3.12.9", "3.13.1"):
        assert f"Python {version} " in told
        assert f"tested {version}: -m pytest tests/unit -q" in machine.done
    assert told.count(": 7 passed") == 2


def test_an_environment_is_made_once_and_again_for_another_lock(machine: Machine) -> None:
    machine.has("python3.12", "3.12.9")
    machine.test()
    assert machine.done.count("--require-hashes") == 1
    machine.test()
    assert machine.done.count("--require-hashes") == 1
    assert machine.done.count("tested 3.12.9") == 2
    (machine.folder / "requirements" / "test.txt").write_text("something==2.0\n")
    machine.test()
    assert machine.done.count("--require-hashes") == 2


def test_a_python_that_fails_fails_all_and_shows_what_pytest_said(machine: Machine) -> None:
    machine.has("python3.12", "3.12.9", said="FAILED tests/unit/test_x.py", code=1)
    machine.has("python3.13", "3.13.1")
    done = machine.test()
    assert done.exit_code == 1
    assert "FAILED tests/unit/test_x.py" in done.stdout.decode()
    assert "tested 3.13.1" in machine.done, "the others are tested all the same"


def test_the_same_python_under_two_names_is_tested_once(machine: Machine) -> None:
    machine.has("python3.12", "3.12.9")
    (machine.stand_ins / "python3").unlink()
    (machine.stand_ins / "python3").symlink_to("python3.12")
    machine.test()
    assert machine.done.count("tested 3.12.9") == 1


def test_one_can_be_left_out_or_be_the_only_one(machine: Machine) -> None:
    machine.has("python3.12", "3.12.9")
    machine.has("python3.13", "3.13.1")
    done = machine.test("--except", "python3.12")
    assert "Python 3.11 3.14" in done.stderr.decode(), "it is tested elsewhere, not absent"
    assert "tested 3.12.9" not in machine.done
    machine.notes.write_text("")
    machine.test("--only", "python3.12", "-k", "slog")
    assert "tested 3.12.9: -m pytest tests/unit -q -k slog" in machine.done
    assert "tested 3.13.1" not in machine.done


def test_a_python_that_cannot_serve_is_refused(machine: Machine) -> None:
    done = machine.test("--only", "python3.14")
    assert done.exit_code == 2
    assert "python3.14" in done.last_lines()


def test_an_environment_that_cannot_be_made_shows_why(machine: Machine) -> None:
    body = (
        "case \"$*\" in *platform*) printf '3.12.9\\tx\\n';; *venv*-*) echo no room; exit 1;; esac"
    )
    machine.script(machine.stand_ins / "python3.12", body)
    done = machine.test()
    assert done.exit_code == 1
    assert "no room" in done.stderr.decode()
