"""What a start of the program loads: help comes at once because it loads next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"docker", "requests", "jinja2", "zstandard", "isal", "ahocorasick_rs", "orjson"}
HEAVY |= {"psutil", "tenacity", "pydantic", "msgspec"}
LOADED = """
import sys
from loadgenctl.cli.app import main
try:
    main(sys.argv[1:])
finally:
    names = {name.partition(".")[0] for name in sys.modules}
    print("loaded", *sorted(names | {n for n in sys.modules if n.startswith("loadgenctl.")}),
          file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """Names of the modules (our own in full, others by their package) that a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        env={"PYTHONPATH": str(ROOT / "controller"), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    last = done.stderr.splitlines()[-1].split()
    assert last[0] == "loaded"
    return set(last[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("slog", "blocks", "--help"),
        ("top", "--help"),
    ],
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    names = loaded(*arguments)
    assert names & HEAVY == set()
    rooms = {name.split(".")[1] for name in names if name.startswith("loadgenctl.")}
    assert rooms <= {"cli", "plan", "errors", "masking", "program", "version"}


@pytest.mark.parametrize("command", ["daily", "queue"])
def test_help_of_what_makes_many_runs_loads_nothing_heavy_either(command: str) -> None:
    assert loaded(command, "--help") & HEAVY == set()


def test_a_dry_run_needs_no_engine() -> None:
    assert "docker" not in loaded("run", "--sdk", "sim", "--dry-run")


def test_the_options_are_shown_without_an_engine() -> None:
    assert "docker" not in loaded("options")
