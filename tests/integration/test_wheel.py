"""The wheel, installed into an empty environment, works without the checkout."""

from __future__ import annotations

import json
import os
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tests.docker_support import DockerUnderTest

from loadgenctl.engines import ownership_labels
from loadgenctl.process import Completed, Runner

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]


class Installed:
    """An environment that holds the wheel and the locked dependencies, and a folder to work in."""

    def __init__(self, environment: Path, wheel: Path, elsewhere: Path) -> None:
        self.environment = environment
        self.wheel = wheel
        self.elsewhere = elsewhere

    def run(self, program: str, *arguments: str, timeout: float = 60.0) -> Completed:
        """One of the environment's programs, from a folder that is not the checkout."""
        return Runner().run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.elsewhere,
            # Nothing of this test's own environment may be found by accident.
            env={"PYTHONPATH": "", "VIRTUAL_ENV": "", "COLUMNS": "120"},
            timeout=timeout,
        )


def _pip(*arguments: str | os.PathLike[str]) -> None:
    done = Runner().run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        + [os.fspath(argument) for argument in arguments],
        timeout=600,
    )
    assert done.exit_code == 0, done.last_lines(40)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("loadgenctl-*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "run.txt"
    _pip("--python", python, "install", "--require-hashes", "-r", lock)
    _pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(environment, wheel, elsewhere)


def test_the_wheel_holds_the_package_and_its_resources_and_nothing_else(
    installed: Installed,
) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"loadgenctl"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]
    assert "loadgenctl/_resources/requirements/run.txt" in names
    for folder in ("images", "compose"):
        wanted = {
            f"loadgenctl/_resources/{path.relative_to(ROOT)}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert wanted <= set(names)


def test_help_and_version_work_from_anywhere(installed: Installed) -> None:
    helped = installed.run("loadgenctl", "--help")
    assert helped.exit_code == 0, helped.last_lines()
    assert "run" in helped.text()
    version = installed.run("loadgenctl", "--version")
    assert version.exit_code == 0, version.last_lines()
    assert installed.wheel.name.split("-")[1] in version.text()


def test_resources_are_those_of_the_wheel(installed: Installed) -> None:
    done = installed.run(
        "python", "-c", "from loadgenctl import resources; print(resources.images('sim'))"
    )
    assert done.exit_code == 0, done.last_lines()
    found = Path(done.text())
    assert found.is_dir()
    assert found.is_relative_to(installed.environment)


def test_a_run_of_the_simulated_sdk_works_from_anywhere(
    installed: Installed, docker_under_test: DockerUnderTest
) -> None:
    settings = installed.elsewhere / "sim.toml"
    settings.write_text("[chain]\nblock_time = 0.3\n")
    options = ["--sdk", "sim", "--sim-config", "sim.toml", "--output-dir", "out", "--stages", "1"]
    load = ["--stage.0.loadgen.faucet.interval", "1", "--stage.0.loadgen.cycles", "1"]
    done = installed.run("loadgenctl", "run", *options, *load, timeout=180.0)
    assert done.exit_code == 0, done.last_lines()
    out = installed.elsewhere / "out"
    run = json.loads((out / "run.json").read_bytes())
    assert run["sdk"]["simulated"] is True
    assert (out / "cycles.jsonl").read_bytes().count(b"\n") >= 1
    engine = docker_under_test.engine()
    try:
        ours = {ownership_labels.RUN: run["run_id"]}
        assert not [item for item in engine.leftovers() if ours.items() <= item.labels.items()]
    finally:
        engine.close()
    stats = installed.run("loadgenctl", "stats", "out")
    assert stats.exit_code == 0, stats.last_lines()
    assert "faucet" in stats.text()
