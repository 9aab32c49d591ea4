"""`bin/setup` in a checkout of its own, with stand-ins for what it would ask of the machine."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadgenctl.process import Completed, Runner

ROOT = Path(__file__).resolve().parents[2]


class Checkout:
    """A folder with the scripts, a lock, and an environment whose Python does as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stand_ins = folder / "stand-ins"
        shutil.copytree(ROOT / "bin", folder / "bin")
        (folder / "requirements").mkdir()
        for name in ("checkout.txt", "dev.txt"):
            (folder / "requirements" / name).write_text("something==1.0\n")
        (folder / "pyproject.toml").write_text("[project]\n")

    def script(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def with_environment(self, *, engine_answers: bool, kind: str = "dev") -> None:
        """As `bin/setup` leaves it; the engine is only ever asked through this Python."""
        self.script(self.folder / ".venv/bin/python", f"exit {0 if engine_answers else 1}")
        done = self.bash(f'. bin/lib.sh; echo "{kind} $(fingerprint {kind})" >"$STAMP"')
        assert done.exit_code == 0, done.last_lines()

    def current(self, kind: str) -> bool:
        """Whether the environment is complete for a `program` or a `dev`elopers' use."""
        return self.bash(f". bin/lib.sh; environment_is_current {kind}").exit_code == 0

    def with_pip(self) -> Path:
        """Let its Python note what it is asked to install; the file with these notes."""
        notes = self.folder / "installed"
        self.script(
            self.folder / ".venv/bin/python",
            f'case "$*" in *--version*) exit 0;; *install*) echo "$*" >>{notes};; esac',
        )
        # The environment's own commands name its Python, as pip writes them.
        self.script(self.folder / ".venv/bin/pip", f"{self.folder}/.venv/bin/python")
        return notes

    def as_user(self, uid: int) -> None:
        self.script(self.stand_ins / "id", f'[ "$1" = -u ] && echo {uid} || echo somebody')

    def bash(self, command: str, env: Mapping[str, str] | None = None) -> Completed:
        return Runner().run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={
                "PATH": f"{self.stand_ins}:{os.environ['PATH']}",
                "DOCKER_HOST": "",
                **(env or {}),
            },
            timeout=60,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_does_nothing_when_there_is_nothing_to_do(checkout: Checkout) -> None:
    checkout.with_environment(engine_answers=True)
    checkout.as_user(1000)
    done = checkout.bash("bin/setup --engine")
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"", b"")


def test_a_script_linked_from_elsewhere_finds_its_checkout(checkout: Checkout) -> None:
    checkout.with_environment(engine_answers=True)
    checkout.script(checkout.folder / ".venv/bin/loadgenctl", 'echo "given: $*"')
    (checkout.folder / "link").symlink_to(checkout.folder / "bin" / "loadgenctl")
    done = checkout.bash('cd /; "$OLDPWD/link" run --help')
    assert done.text() == "given: run --help"
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("changed", "program", "tools"),
    [
        ("requirements/dev.txt", True, False),
        ("requirements/checkout.txt", False, False),
        ("pyproject.toml", False, False),
    ],
)
def test_a_changed_lock_or_project_makes_the_environments_stale_that_are_made_from_it(
    checkout: Checkout, changed: str, program: bool, tools: bool
) -> None:
    for kind, current in (("program", program), ("dev", tools)):
        checkout.with_environment(engine_answers=True, kind=kind)
        assert checkout.current(kind)
        text = (checkout.folder / changed).read_text()
        (checkout.folder / changed).write_text(f"{text}# changed\n")
        assert checkout.current(kind) is current
        (checkout.folder / changed).write_text(text)


def test_the_tools_environment_serves_the_program_and_not_the_other_way_round(
    checkout: Checkout,
) -> None:
    checkout.with_environment(engine_answers=True, kind="dev")
    assert checkout.current("program")
    checkout.with_environment(engine_answers=True, kind="program")
    assert not checkout.current("dev")


def test_the_program_alone_needs_no_development_tools(checkout: Checkout) -> None:
    notes = checkout.with_pip()
    done = checkout.bash("bin/setup --program")
    assert done.exit_code == 0, done.last_lines()
    assert "checkout.txt" in notes.read_text()
    assert "dev.txt" not in notes.read_text()
    assert checkout.current("program")
    assert not checkout.current("dev")
    assert checkout.bash("bin/setup").exit_code == 0
    assert "dev.txt" in notes.read_text()
    assert checkout.current("dev")


def test_tools_that_are_installed_are_kept_when_the_program_is_set_up_again(
    checkout: Checkout,
) -> None:
    checkout.with_environment(engine_answers=True, kind="dev")
    notes = checkout.with_pip()
    (checkout.folder / "requirements" / "checkout.txt").write_text("something==2.0\n")
    assert checkout.bash("bin/setup --program").exit_code == 0
    assert "dev.txt" in notes.read_text()
    assert checkout.current("dev")


def test_a_failing_installation_shows_its_output_and_leaves_no_stamp(checkout: Checkout) -> None:
    checkout.with_environment(engine_answers=True)
    checkout.script(
        checkout.folder / ".venv/bin/python",
        'case "$*" in *--version*) exit 0;; esac; echo "no such index"; exit 1',
    )
    # The environment's own commands name its Python, as pip writes them.
    checkout.script(checkout.folder / ".venv/bin/pip", f"{checkout.folder}/.venv/bin/python")
    (checkout.folder / "requirements" / "dev.txt").write_text("something==2.0\n")
    done = checkout.bash("bin/setup")
    assert done.exit_code == 2
    assert "the dependencies could not be installed" in done.last_lines()
    assert "no such index" in done.last_lines()
    assert not checkout.current("dev")


def test_an_unknown_option_is_refused(checkout: Checkout) -> None:
    done = checkout.bash("bin/setup --engin")
    assert done.exit_code == 2
    assert "--engine" in done.last_lines()


def test_an_engine_named_by_the_environment_is_not_replaced(checkout: Checkout) -> None:
    checkout.with_environment(engine_answers=False)
    checkout.as_user(0)
    done = checkout.bash("bin/setup --engine", {"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert done.exit_code == 2
    assert "tcp://127.0.0.1:1" in done.last_lines()
    assert "DOCKER_HOST" in done.last_lines()


def test_who_is_not_root_is_told_what_to_install(checkout: Checkout) -> None:
    checkout.with_environment(engine_answers=False)
    checkout.as_user(1000)
    done = checkout.bash("bin/setup --engine")
    assert done.exit_code == 2
    # Either there is an engine that the user may not use, or there is none at all.
    assert "usermod -aG docker" in done.last_lines() or "docker.io" in done.last_lines()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_python_that_this_user_cannot_reach_is_what_is_told(checkout: Checkout) -> None:
    folder = checkout.folder
    for way in (folder, *folder.parents):
        if way.stat().st_uid == 0 and not way.stat().st_mode & 0o001:
            way.chmod(0o711)
    hidden = folder / "hidden"
    (hidden / "bin").mkdir(parents=True)
    checkout.script(hidden / "bin" / "python3", "exit 0")
    hidden.chmod(0o700)
    (folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    (folder / ".venv" / "bin" / "python").symlink_to(hidden / "bin" / "python3")
    become = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    for command in ("bin/loadgenctl --version", "bin/setup"):
        done = checkout.bash(f"{become} bash {command}")
        assert done.exit_code == 2
        assert f"{hidden} cannot be entered" in done.last_lines()
        assert "PYTHON=/usr/bin/python3" in done.last_lines()
        assert "make the checkout writable" not in done.last_lines()
    assert checkout.bash("[ -w .venv ] && . bin/lib.sh && require_usable_python").exit_code == 0
