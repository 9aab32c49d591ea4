"""The log of a run, and folders with default names."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fakes import FakeClock

from loadgenctl.errors import OutputFolderError
from loadgenctl.records.output_guard import new_folder
from loadgenctl.records.run_log import RunLog


def test_every_line_has_its_time_and_is_added(tmp_path: Path) -> None:
    clock = FakeClock()
    RunLog(tmp_path, clock).write("stage 1: under load")
    clock.advance(61.0)
    RunLog(tmp_path, clock).write("another attempt, \udcff   ")
    first, second = (tmp_path / "loadgenctl.log").read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  stage 1: under load", first)
    assert second.endswith(r"Z  another attempt, \udcff")
    assert first[:20] != second[:20]


def test_a_log_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path, FakeClock())
    (tmp_path / "loadgenctl.log").mkdir()
    log.write("lost")


def test_another_folder_that_has_taken_the_name_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    log = RunLog(folder, FakeClock())
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    log.write("lost")
    assert list(folder.iterdir()) == []


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "loadgenctl.log").symlink_to(tmp_path / "target")
    RunLog(folder, FakeClock()).write("lost")
    assert (tmp_path / "target").read_bytes() == b""


def test_callers_at_the_same_time_get_different_folders(tmp_path: Path) -> None:
    wanted = tmp_path / "results" / "run-1"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_folder(wanted), range(24)))
    assert len(set(made)) == 24
    assert wanted in made
    assert wanted.with_name("run-1-24") in made


def test_where_no_folder_can_be_the_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(OutputFolderError, match="results"):
        new_folder(tmp_path / "results" / "run-1")
