"""What a run needs is made without running it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.worlds import World

from loadgenctl import resources
from loadgenctl.building.builder import recipe_id
from loadgenctl.building.overrides import NpmOverrides, Overrides
from loadgenctl.engines import ownership_labels
from loadgenctl.errors import BuildError, UsageError
from loadgenctl.model import Command, ResolvedRevision, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.run.context import ResolvedSdk
from loadgenctl.run.sdk_build import NO_IMAGE, make, make_sdk, resolve
from loadgenctl.sdks.agoric import of_era
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.directory import DirectorySource


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_image_and_sdk_are_made_and_nothing_runs(world: World, tmp_path: Path) -> None:
    services = world.services()
    made = make(world.plan(""), services, tmp_path / "log")
    assert made.image.tag == "sim:fake"
    assert made.source_dir == world.builds.tree
    assert made.sdk.family.simulated
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


def test_an_own_folder_that_is_not_built_is_refused(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "own-sdk"
    folder.mkdir()
    plan, services = world.plan(f"--src {folder}"), world.services()
    services = replace(services, source=DirectorySource(services.processes))
    resolved = services.source.resolve(SourceRequest("agoric", None, None, folder))
    family = of_era("2021-spring")
    sdk = ResolvedSdk(resolved, family, family.build())
    makes = sdk.recipe.makes
    for name in makes:
        with pytest.raises(UsageError, match=f"is not built: .*{name}") as refused:
            make_sdk(plan, sdk, NO_IMAGE, services, tmp_path / "log")
        assert refused.value.hint == f"to build it there: loadgenctl sdk build --src {folder}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert make_sdk(plan, sdk, NO_IMAGE, services, tmp_path / "log") == folder


LOCK = '__metadata:\n  version: 8\n\n"ms@npm:^2.1.2":\n  version: 2.1.3\n'
OVERRIDES = Overrides(NpmOverrides({"ms@2.1.3": "2.1.2"}))


@dataclass
class AgoricTree:
    """A revision of the Agoric SDK with a lockfile; see `SdkSource`."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        return ResolvedRevision("agoric", "main", "ab" * 20, 1, "ab" * 20, "/repo")

    def tree(self, resolved: ResolvedRevision) -> AgoricTree:
        return self

    def read(self, path: str) -> bytes | None:
        files = {"packages/cosmic-swingset/package.json": "{}", "yarn.lock": LOCK}
        return files[path].encode() if path in files else None

    def contains(self, commit: str) -> bool | None:
        return False

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        raise NotImplementedError


def test_overrides_of_the_site_change_the_build_and_are_told(world: World, tmp_path: Path) -> None:
    services = replace(
        world.services(),
        source=AgoricTree(),
        factory=lambda resolved, tree: of_era("2021-spring"),
        overrides=OVERRIDES,
    )
    made = make(world.plan("--sdk agoric"), services, tmp_path / "log")
    assert made.sdk.deviations == ("npm ms@2.1.3: resolved to 2.1.2",)
    assert made.sdk.recipe.steps[0].label == "apply the site's overrides"
    plain = make(
        world.plan("--sdk agoric"), replace(services, overrides=Overrides()), tmp_path / "log"
    )
    assert plain.sdk.deviations == ()
    assert recipe_id(plain.sdk.recipe) != recipe_id(made.sdk.recipe)


def test_a_folder_that_is_used_as_it_is_tells_how_it_was_built(
    world: World, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "packages" / "cosmic-swingset").mkdir(parents=True)
    (own / "packages" / "cosmic-swingset" / "package.json").write_text("{}")
    (own / "yarn.lock").write_text(LOCK)
    services = replace(
        world.services(),
        source=DirectorySource(world.processes),
        factory=lambda resolved, tree: of_era("2021-spring"),
        overrides=OVERRIDES,
    )
    plan = world.plan(f"--src {own}")
    # The settings of today say nothing of what was built before.
    assert resolve(plan, services).deviations == ()
    (own / ".loadgenctl-overrides.json").write_text('["npm x: dropped"]')
    assert resolve(plan, services).deviations == ("npm x: dropped",)


@pytest.mark.parametrize("part", ["images", "builds"])
def test_failures_are_raised(world: World, tmp_path: Path, part: str) -> None:
    getattr(world, part).error = BuildError("it did not build")
    with pytest.raises(BuildError, match="it did not build"):
        make(world.plan(""), world.services(), tmp_path / "log")


def test_what_dead_builds_left_is_removed_first(world: World, tmp_path: Path) -> None:
    services = world.services()
    dead = replace(Owner.current(), start="another-start")
    left = ownership_labels.make(dead, "build", "builder")
    world.engine.create(RoleSpec("left", "builder", "image", Command(("true",)), labels=left))
    make(world.plan(""), services, tmp_path / "log")
    assert world.engine.leftovers() == []
