"""Which options file counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.cli.inputs import find_config
from loadgenctl.errors import UsageError


def made(file: Path, stages: int) -> Path:
    file.write_text(f"[run]\nstages = {stages}\n")
    return file


def test_none_is_needed(tmp_path: Path) -> None:
    assert find_config(None, {}, [tmp_path / "a.toml"]) == ({}, None)


def test_the_first_that_is_there_counts(tmp_path: Path) -> None:
    second, third = made(tmp_path / "b.toml", 2), made(tmp_path / "c.toml", 3)
    tables, file = find_config(None, {}, [tmp_path / "a.toml", second, third])
    assert (tables, file) == ({"run": {"stages": 2}}, second)


def test_the_environment_comes_before_and_the_flag_before_that(tmp_path: Path) -> None:
    beside, named, given = (made(tmp_path / f"{n}.toml", n) for n in (1, 2, 3))
    environment = {"LOADGENCTL_CONFIG": str(named)}
    assert find_config(None, environment, [beside])[1] == named
    assert find_config(given, environment, [beside])[1] == given
    assert find_config(None, {"LOADGENCTL_CONFIG": ""}, [beside])[1] == beside


def test_one_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    beside = made(tmp_path / "1.toml", 1)
    with pytest.raises(UsageError, match="no such file"):
        find_config(tmp_path / "gone.toml", {}, [beside])
    with pytest.raises(UsageError, match="no such file"):
        find_config(None, {"LOADGENCTL_CONFIG": str(tmp_path)}, [beside])


@pytest.mark.parametrize("content", ["stages = [", "[rnu]\n", "run = 3\n", "\ufeff\x00"])
def test_one_that_cannot_be_understood_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(content)
    with pytest.raises(UsageError):
        find_config(None, {}, [file])
