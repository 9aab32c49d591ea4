"""What a run needs is made without running it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds import World

from loadgenctl import resources
from loadgenctl.engines import labels
from loadgenctl.errors import BuildError
from loadgenctl.model import Command, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.run.making import make
from loadgenctl.sources.directory import DirectorySource


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_image_and_sdk_are_made_and_nothing_runs(world: World, tmp_path: Path) -> None:
    services = world.services()
    made = make(world.plan(""), services, tmp_path / "log")
    assert made.image.tag == "sim:fake"
    assert made.source_dir == world.builds.tree
    assert made.wanted.family.simulated
    assert (tmp_path / "log").read_text() == "Step 1/1 : FROM bookworm\n"
    assert world.engine.containers == []
    assert not (tmp_path / "out").exists()
    assert world.progress.steps == [
        "resolving the revision",
        "image loadgenctl/sim (Debian bookworm)",
    ]


def test_an_own_folder_is_built_where_it_is(world: World, tmp_path: Path) -> None:
    own = resources.images("sim")
    services = world.services()
    services = replace(services, source=DirectorySource(services.processes))
    made = make(world.plan(f"--src {own}"), services, tmp_path / "log")
    assert made.source_dir == own
    assert world.builds.in_place == [own]


@pytest.mark.parametrize("part", ["images", "builds"])
def test_failures_are_raised(world: World, tmp_path: Path, part: str) -> None:
    getattr(world, part).error = BuildError("it did not build")
    with pytest.raises(BuildError, match="it did not build"):
        make(world.plan(""), world.services(), tmp_path / "log")


def test_what_dead_builds_left_is_removed_first(world: World, tmp_path: Path) -> None:
    services = world.services()
    dead = replace(Owner.current(), start="another-start")
    left = labels.make(dead, "build", "builder")
    world.engine.create(RoleSpec("left", "builder", "image", Command(("true",)), labels=left))
    make(world.plan(""), services, tmp_path / "log")
    assert world.engine.leftovers() == []
