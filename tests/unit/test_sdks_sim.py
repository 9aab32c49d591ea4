"""The simulated SDK's description."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2
import pytest

from loadgenctl import resources
from loadgenctl.errors import UsageError
from loadgenctl.model import Command, ResolvedRevision
from loadgenctl.sdks import sim
from loadgenctl.sdks.base import (
    OUT,
    SRC,
    STATE,
    RoleContext,
    SdkFactory,
    SdkFamily,
    clients,
)

REVISION = ResolvedRevision(
    family="sim",
    requested="bundled",
    commit=None,
    commit_time=None,
    content_id="0123456789abcdef",
    repository="bundled",
)
MARKER = resources.images("sim", sim.MARKER).read_bytes()


@dataclass
class Tree:
    """A source tree of a few files."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def contains(self, commit: str) -> bool | None:
        return None


def family() -> SdkFamily:
    factory: SdkFactory = sim.make
    return factory(REVISION, Tree({sim.MARKER: MARKER}))


def commands(stage: int = 2) -> list[Command]:
    """Every command of every role."""
    sdk, ctx = family(), RoleContext(stage=stage, sim_config=f"{OUT}/tools/sim.toml")
    by_wallets = replace(ctx, client="wallet", compute_limit=5)
    recipes = (
        *(sdk.chain(ctx), sdk.solo(ctx), sdk.loadgen(ctx)),
        *(sdk.chain(by_wallets), sdk.loadgen(by_wallets)),
    )
    return [
        command
        for recipe in recipes
        for command in (recipe.command, *recipe.prepare, *recipe.provision)
    ]


def test_it_says_that_it_is_simulated() -> None:
    sdk = family()
    assert (sdk.name, sdk.simulated) == ("sim", True)
    assert "simulated SDK 1." in sdk.notes[0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "it has no simsdk.toml"),
        ({sim.MARKER: b"name ="}, "cannot be read"),
        ({sim.MARKER: b"\xff"}, "cannot be read"),
        ({sim.MARKER: b'name = "other"'}, "does not name the simulated SDK"),
    ],
)
def test_another_tree_is_refused(files: Mapping[str, bytes], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sim.make(REVISION, Tree(files))


def test_every_command_names_a_program_that_exists() -> None:
    for command in commands():
        programs = [part for part in command.argv if part.startswith(f"{SRC}/bin/")]
        assert len(programs) == 1
        assert resources.images("sim", "bin", Path(programs[0]).name).is_file()


def test_every_command_knows_stage_and_configuration() -> None:
    for command in commands(stage=3):
        assert command.env["SIM_STAGE"] == "3"
        assert command.env["SIM_CONFIG"] == f"{OUT}/tools/sim.toml"
    plain = family().chain(RoleContext(stage=0)).command
    assert "SIM_CONFIG" not in plain.env


def test_slogs_and_state_lie_where_roles_may_write() -> None:
    ctx = RoleContext(stage=1)
    for recipe, variable in (
        (family().chain(ctx), "SLOGFILE"),
        (family().solo(ctx), "SOLO_SLOGFILE"),
    ):
        assert recipe.slog == recipe.command.env[variable]
        assert recipe.slog.startswith(f"{OUT}/")
        assert recipe.slog.endswith("-stage-1.slog")
        assert recipe.state_probe is not None
        assert recipe.storage is not None
        assert recipe.state_probe.startswith(recipe.storage)
        assert recipe.storage.startswith(f"{STATE}/")


def test_marks_match_what_the_programs_print() -> None:
    chain = family().chain(RoleContext(stage=0))
    printed = (
        "2026-01-01T00:00:00.000Z launch-chain: Launching SwingSet kernel",
        "2026-01-01T00:00:00.000Z block-manager: block 12 commit",
    )
    for mark, text in zip(chain.marks, printed, strict=True):
        assert re.search(mark.pattern.encode(), text.encode())


def test_a_tree_has_wallets_and_limits_if_its_marker_names_them() -> None:
    for feature in ("wallet", "compute-limit"):
        assert family().lacks(feature) is None
        old = sim.make(REVISION, Tree({sim.MARKER: b'name = "simsdk"\nversion = "0.9"\n'}))
        assert old.lacks(feature) == f"this revision of the simulated SDK has no {feature}"
    assert family().lacks("state-sync") == "the simulated SDK has no state-sync"
    odd = sim.make(REVISION, Tree({sim.MARKER: b'name = "simsdk"\nfeatures = "wallet"\n'}))
    assert odd.lacks("wallet") is not None


def test_a_build_of_before_there_were_wallets_asks_no_program_for_them() -> None:
    old = sim.make(REVISION, Tree({sim.MARKER: b'name = "simsdk"\nversion = "0.9"\n'}))
    assert not [step for step in old.build().steps if "sim-wallet" in step.argv[-2]]
    assert [step for step in family().build().steps if "sim-wallet" in step.argv[-2]]


def test_clients_are_roles_of_their_own_or_none() -> None:
    ctx = RoleContext(stage=1)
    assert [recipe.role for recipe in clients(family(), ctx)] == ["solo"]
    assert clients(family(), replace(ctx, client="wallet")) == ()


def test_fail_fast_reaches_the_load_service() -> None:
    assert "--fail-fast" in family().loadgen(RoleContext(stage=0, fail_fast=True)).command.argv
    assert "--fail-fast" not in family().loadgen(RoleContext(stage=0)).command.argv


def test_the_build_runs_each_program_once(tmp_path: Path) -> None:
    for step in family().build().steps:
        argv = [part.replace(SRC, str(resources.images("sim"))) for part in step.argv]
        done = subprocess.run(
            [sys.executable, *argv[1:]],
            env=dict(step.env),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("simulated ")


def test_the_image_template_renders_with_and_without_a_mirror() -> None:
    recipe = family().image()
    template = jinja2.Template(recipe.template.read_text(), undefined=jinja2.StrictUndefined)
    plain = template.render(base="debian:x", apt_mirror="", **recipe.values)
    assert plain.splitlines()[1] == "FROM debian:x"
    assert "sed" not in plain
    assert "https://mirror" in template.render(base="debian:x", apt_mirror="https://mirror")


def test_it_needs_the_load_service_and_the_agent() -> None:
    assert set(family().tools()) == {"service", "agent"}
    assert all(folder.is_dir() for folder in family().tools().values())
