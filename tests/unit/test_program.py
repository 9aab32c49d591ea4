"""Hints show commands as they are to be typed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.unit.test_house_setup import Checkout

from loadgenctl.cli.app import app
from loadgenctl.errors import UsageError
from loadgenctl.program import COMMANDS, VARIABLE, as_called, program_name


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_every_command_of_the_program_is_known() -> None:
    commands = {command.name for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    assert commands | groups == set(COMMANDS)


def test_the_program_on_the_path_is_called_by_its_name(tmp_path: Path) -> None:
    found = program(tmp_path / "loadgenctl")
    assert program_name(str(found), {"PATH": str(tmp_path)}) == "loadgenctl"
    link = tmp_path / "links" / "loadgenctl"
    link.parent.mkdir()
    link.symlink_to(found)
    assert program_name(str(found), {"PATH": str(link.parent)}) == "loadgenctl"


def test_another_program_on_the_path_is_not_the_one_to_type(tmp_path: Path) -> None:
    called, other = program(tmp_path / "a b" / "loadgenctl"), program(tmp_path / "c" / "loadgenctl")
    assert program_name(str(called), {"PATH": str(other.parent)}) == f"'{called}'"
    assert program_name(str(called), {"PATH": "/none"}) == f"'{called}'"


def test_a_module_is_called_as_one_where_there_is_no_program(tmp_path: Path) -> None:
    module = "/somewhere/loadgenctl/__main__.py"
    assert program_name(module, {"PATH": "/none"}) == f"{sys.executable} -m loadgenctl"
    assert program_name("/somewhere/pytest/__main__.py", {"PATH": "/none"}) == "loadgenctl"
    found = program(tmp_path / "loadgenctl")
    assert program_name(module, {"PATH": str(found.parent)}) == "loadgenctl"


def test_what_a_script_says_goes_first() -> None:
    assert program_name("/venv/bin/loadgenctl", {VARIABLE: "bin/loadgenctl"}) == "bin/loadgenctl"
    assert program_name("/x", {VARIABLE: "my tools/loadgenctl"}) == "'my tools/loadgenctl'"


def test_only_commands_are_changed() -> None:
    name = program_name()
    assert as_called("`loadgenctl clean` does it") == f"`{name} clean` does it"
    for text in (
        "reinstall loadgenctl",
        "loadgenctl cannot",
        "bin/loadgenctl run",
        "runloadgenctl run",
    ):
        assert as_called(text) == text
    assert UsageError("x", hint="see loadgenctl run --help").hint == f"see {name} run --help"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("bin/loadgenctl", "bin/loadgenctl"),
        ("cd bin && ./loadgenctl", "./loadgenctl"),
        ("bin/start.sh", "bin/loadgenctl"),
        ("cd bin && bash demo", "./loadgenctl"),
        ('"$PWD/bin/loadgen-runner"', "{checkout}/bin/loadgenctl"),
        ("mkdir links; ln -s ../bin/loadgenctl links/; links/loadgenctl", "links/loadgenctl"),
        ("PATH=$PWD/bin:$PATH; loadgenctl", "loadgenctl"),
        ("PATH=$PWD/bin:$PATH; run-daily-perf.sh", "loadgenctl"),
    ],
)
def test_the_scripts_of_a_checkout_say_how_they_were_typed(
    tmp_path: Path, typed: str, told: str
) -> None:
    checkout = Checkout(tmp_path / "checkout")
    checkout.with_environment(engine_answers=True)
    checkout.script(checkout.folder / ".venv/bin/loadgenctl", f'echo "${VARIABLE}"')
    checkout.as_user(1000)
    done = checkout.bash(typed)
    assert done.text() == told.format(checkout=checkout.folder), done.last_lines()
