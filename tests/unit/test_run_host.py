"""The host's part of a run: what is removed is gone, or it is an error."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.worlds import World

from loadgenctl.errors import EngineError, EngineUnavailable, OutputFolderError
from loadgenctl.run import run_folders
from loadgenctl.run.failure import as_error

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can look into, as pytest's own cannot."""
    made = Path(tempfile.mkdtemp(prefix="loadgenctl-test-"))
    made.chmod(0o755)
    yield made
    for path in made.rglob("*"):
        path.chmod(0o700)
    shutil.rmtree(made)


@contextmanager
def without_rights() -> Iterator[None]:
    """As root, be somebody to whom modes of files mean something."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def kept(folder: Path) -> Path:
    """A state folder of an earlier run, of which one file cannot be removed; that file."""
    (folder / run_folders.MARKER).touch()
    stays = folder / "project" / "chain" / "config" / "genesis.json"
    stays.parent.mkdir(parents=True)
    stays.write_text("{}")
    (folder / "home").mkdir()
    stays.parent.chmod(0o555)
    return stays


def test_old_state_that_cannot_be_removed_is_an_error_that_names_it_and_its_owner(
    folder: Path,
) -> None:
    stays = kept(folder)
    with without_rights(), pytest.raises(OutputFolderError) as caught:
        run_folders.reset_state(folder)
    assert caught.value.exit_code == 2
    assert str(stays) in caught.value.message
    assert f"of the user {stays.lstat().st_uid}: Permission denied" in caught.value.message
    assert "--state-dir" in str(caught.value.hint)


def test_old_state_is_removed_whatever_stands_in_its_place(folder: Path) -> None:
    (folder / run_folders.MARKER).touch()
    (folder / "project").write_text("a file")
    (folder / "home").symlink_to(folder / "nowhere")
    run_folders.reset_state(folder)
    assert [path.name for path in folder.iterdir()] == [run_folders.MARKER]


def test_an_engine_that_is_lost_in_mid_run_is_no_wrong_usage(tmp_path: Path) -> None:
    error = as_error(EngineUnavailable("no engine answers", hint="start it"), tmp_path)
    assert type(error) is EngineError
    assert (error.exit_code, error.message, error.hint) == (4, "no engine answers", "start it")


def test_a_run_whose_engine_is_lost_ends_with_the_code_of_a_failed_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.clock.after(30.0, lambda: setattr(world.engine, "available", False))
    ending = world.run("--stages 1 --stage.0.duration 5")
    assert ending.exit_code == 4
    assert world.status()["exit_code"] == 4
