"""The dependencies of the one-container image, fetched by a scripted pip."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes import Call, FakeRunner

from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import BuildError
from loadgenctl.images.all_in_one import fetch_wheels
from loadgenctl.process import own_python


def download(call: Call) -> None:
    into = Path(call.argv[call.argv.index("--dest") + 1])
    (into / "b-1-py3-none-any.whl").write_bytes(b"b")
    (into / "a-1-py3-none-any.whl").write_bytes(b"a")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "run.txt"
    path.write_text("a==1 --hash=sha256:00\n")
    return path


def scripted(runner: FakeRunner, exit_code: int = 0) -> FakeRunner:
    pip = own_python("pip")
    runner.answer(*pip, exit_code=exit_code, stderr=b"no such server", effect=download)
    runner.answer(*pip, "--version")
    return runner


def test_wheels_for_the_engines_machine_are_fetched_once(lock: Path, tmp_path: Path) -> None:
    runner, cache = scripted(FakeRunner()), tmp_path / "wheels"
    site = SiteSettings(pip_index="https://pip.example.test/simple", http_proxy="http://p.test:1")
    first = fetch_wheels(lock, "aarch64", cache, runner, site)
    assert [path.name for path in first] == ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"]
    asked = runner.calls[-1]
    assert {"--require-hashes", "--no-deps", "manylinux_2_17_aarch64"} <= set(asked.argv)
    assert asked.env["PIP_INDEX_URL"] == "https://pip.example.test/simple"
    assert asked.env["http_proxy"] == "http://p.test:1"
    assert "PIP_CERT" not in asked.env

    count = len(runner.calls)
    assert fetch_wheels(lock, "aarch64", cache, runner, site) == first
    assert len(runner.calls) == count
    lock.write_text("a==2 --hash=sha256:00\n")
    fetch_wheels(lock, "aarch64", cache, runner, site)
    assert len(runner.calls) > count


def test_a_failed_download_is_told_and_leaves_nothing(lock: Path, tmp_path: Path) -> None:
    cache = tmp_path / "wheels"
    with pytest.raises(BuildError) as caught:
        fetch_wheels(lock, "x86_64", cache, scripted(FakeRunner(), 1), SiteSettings())
    assert caught.value.detail == "no such server"
    assert list(cache.iterdir()) == []
