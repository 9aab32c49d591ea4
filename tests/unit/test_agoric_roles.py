"""By which lines the Agoric SDK's roles are known to be up, and how long they may take."""

from __future__ import annotations

import re

import pytest
from tests.unit.test_sdks_agoric import ERAS, Tree, of_era

from loadgenctl import resources
from loadgenctl.sdks import agoric_build, eras
from loadgenctl.sdks.base import RoleContext

ERA_NAMES = [era.name for era in ERAS]
RELEASES = eras.load(resources.images("sdk", "eras.toml")).releases
# As chains print it: fa7ff5e55e in 2021, agoric-upgrade-21 in 2025.
BEGIN = b"2026-11-28T03:45:53.220Z block-manager: block 1 begin"
COMMIT = b"2026-11-28T03:45:59.113Z block-manager: block 1 commit"


@pytest.mark.parametrize("era", ERA_NAMES)
def test_the_chain_is_ready_when_a_block_is_committed_and_not_when_it_begins(era: str) -> None:
    ready = of_era(era).chain(RoleContext(stage=0)).marks[-1]
    assert not re.search(ready.pattern.encode(), BEGIN)
    assert re.search(ready.pattern.encode(), COMMIT)


@pytest.mark.parametrize("era", ERA_NAMES)
def test_a_bootstrap_with_core_proposals_fits_into_the_chain_s_deadlines(era: str) -> None:
    recipe = of_era(era).chain(RoleContext(stage=0))
    # Seen beside much other work: 1885 s, 868 s of them without a line.
    assert recipe.ready_timeout > 2 * 1885
    assert recipe.quiet_timeout is not None
    assert 2 * 868 < recipe.quiet_timeout < recipe.ready_timeout


@pytest.mark.parametrize("era", ERA_NAMES)
def test_no_role_and_no_set_up_step_builds_the_sdk(era: str) -> None:
    sdk, ctx = of_era(era), RoleContext(stage=1)
    chain, solo, loadgen = sdk.chain(ctx), sdk.solo(ctx), sdk.loadgen(ctx)
    commands = [recipe.command for recipe in (chain, solo, loadgen)]
    commands += [*chain.prepare, *solo.prepare, *solo.provision]
    assert all(command.env["NO_BUILD"] == "true" for command in commands)


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        ({}, 0),
        ({"bin/agd": b"#!"}, 1),
        ({"bin/agd": b"#!", "scripts/agd-builder.sh": b"#!"}, 0),
    ],
)
def test_a_wrapper_of_the_tool_that_writes_into_the_tree_has_done_so_when_roles_run(
    files: dict[str, bytes], steps: int
) -> None:
    era = next(era for era in ERAS if era.name == "2023-summer")
    made = agoric_build.made_of(era, RELEASES, Tree(files))
    scripts = [step.argv[-1] for step in agoric_build.build(era, made).steps]
    assert len([script for script in scripts if "bin/agd version" in script]) == steps
