"""Completion: the script for a shell, and the words that a shell may complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadgenctl.cli.show_options import complete_option

ROOT = Path(__file__).resolve().parents[2]


def words(*args: str, incomplete: str, purpose: str | None = None) -> list[str]:
    return [word for word, _ in complete_option(args, incomplete, purpose)]


def asked(line: str) -> list[str]:
    """What bash is answered for the last word of a line."""
    typed = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-c", "from loadgenctl.cli.app import main; main()"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "controller"),
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(typed) - 1),
            "_LOADGENCTL_COMPLETE": "complete_bash",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_options_of_a_run_are_completed_with_their_help() -> None:
    found = dict(complete_option([], "--stage.d"))
    assert list(found) == ["--stage.duration"]
    assert "Minutes" in found["--stage.duration"]
    assert all("\n" not in about and len(about) <= 60 for _, about in complete_option([], "--"))


def test_a_stage_s_number_is_kept() -> None:
    assert "--stage.3.duration" in words(incomplete="--stage.3.")
    assert not [word for word in words(incomplete="--") if ".N." in word]


def test_a_switch_that_is_on_can_be_turned_off() -> None:
    assert words(incomplete="--no-r") == ["--no-reset"]


@pytest.mark.parametrize(("option", "value"), [("--sdk", "sim"), ("--engine", "local")])
def test_the_values_of_a_choice_are_completed(option: str, value: str) -> None:
    assert value in words(option, incomplete="")
    assert words(option, incomplete=value[0]) == [value]


def test_where_a_value_is_free_nothing_is_suggested() -> None:
    assert words("--src", incomplete="") == []
    assert words("--nonsense", incomplete="") == []
    assert words(incomplete="") == []


def test_a_command_s_purpose_decides_which_options_are_suggested() -> None:
    assert words(incomplete="--stages", purpose="up") == []
    assert words(incomplete="--revision", purpose="many") == []


def test_bash_is_answered_for_commands_own_options_and_a_run_s() -> None:
    assert asked("loadgenctl sta") == ["stats"]
    assert asked("loadgenctl run --dry") == ["--dry-run"]
    assert asked("loadgenctl run --sdk s") == ["sim"]
    assert asked("loadgenctl daily --pol") == ["--poll"]
    assert "--stages" in asked("loadgenctl queue list --sta")
