"""The Agoric SDK's description: eras, image, build steps, roles."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pytest

from loadgenctl import resources
from loadgenctl.building.builder import recipe_id
from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.sdks import agoric, agoric_build, agoric_tree, eras
from loadgenctl.sdks.base import RoleContext, SdkFamily

MODDABLE = agoric_build.SPARSE_MODDABLE
ERAS, RELEASES = agoric.load_table().eras, agoric.load_table().releases
REVISION = ResolvedRevision(
    family="agoric",
    requested="fa7ff5e55e",
    commit="fa7ff5e55e15e49d366852f5435b6dfa81396f73",
    commit_time=1622245162,
    content_id="fa7ff5e55e15e49d366852f5435b6dfa81396f73",
    repository="https://github.com/Agoric/agoric-sdk",
)
GO_115 = {"go.mod": b"module github.com/Agoric/agoric-sdk\n\ngo 1.15\n"}
SWINGSET = {"packages/cosmic-swingset/package.json": b"{}"}


@dataclass
class Tree:
    """A source tree of a few files with a history that may be unknown."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    ancestors: frozenset[str] | None = frozenset()

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def contains(self, commit: str) -> bool | None:
        return None if self.ancestors is None else commit in self.ancestors


def since(name: str) -> str:
    commit = next(era.since for era in ERAS if era.name == name)
    assert commit is not None
    return commit


def of_era(name: str, submodules: Mapping[str, tuple[str, ...]] | None = None) -> agoric.AgoricSdk:
    era = next(era for era in ERAS if era.name == name)
    return agoric.AgoricSdk(era, (), agoric_build.MadeOf(submodules or {}))


def make(files: Mapping[str, bytes] | None = None) -> agoric.AgoricSdk:
    return agoric.make(REVISION, Tree({**SWINGSET, **GO_115, **(files or {})}))


def test_the_table_begins_with_an_era_without_a_boundary_and_only_that() -> None:
    assert [era.since is None for era in ERAS] == [True] + [False] * (len(ERAS) - 1)
    assert len({era.name for era in ERAS}) == len(ERAS)


def test_a_revision_before_every_boundary_is_of_the_first_era() -> None:
    assert ERAS[0].oldest is not None
    choice = eras.choose(ERAS, Tree(GO_115, frozenset({ERAS[0].oldest})))
    assert choice.era.name == "2021-spring"
    assert choice.era.node == "14.17.6"
    assert choice.notes == ()


def test_the_last_boundary_among_the_ancestors_decides() -> None:
    ancestors = frozenset({since("2021-autumn"), since("2021-winter")})
    assert eras.choose(ERAS, Tree(ancestors=ancestors)).era.name == "2021-winter"
    only_autumn = frozenset({since("2021-autumn")})
    assert eras.choose(ERAS, Tree(GO_115, only_autumn)).era.name == "2021-autumn"


def test_an_unverified_era_is_said() -> None:
    choice = eras.choose(ERAS, Tree(GO_115, frozenset({since("2021-autumn")})))
    assert any("2021-autumn" in note for note in choice.notes)


def test_a_revision_after_every_boundary_is_of_the_last_era() -> None:
    every = frozenset(era.since for era in ERAS if era.since)
    assert eras.choose(ERAS, Tree(ancestors=every)).era is ERAS[-1]


def test_an_older_revision_than_the_table_knows_is_said() -> None:
    choice = eras.choose(ERAS, Tree(GO_115))
    assert choice.era is ERAS[0]
    assert any("outside the table" in note for note in choice.notes)


def test_each_row_says_where_it_comes_from() -> None:
    rows = tomllib.loads(resources.images("sdk", "eras.toml").read_text())["era"]
    assert all(row["evidence"].strip() for row in rows)
    assert all(len(row["since"]) == 40 for row in rows if "since" in row)


def test_without_history_go_mod_decides_and_that_is_said() -> None:
    choice = eras.choose(ERAS, Tree(GO_115, ancestors=None))
    assert choice.era.name == "2021-spring"
    assert any("go.mod" in note for note in choice.notes)


def test_without_history_the_era_is_what_was_noted_of_that_very_commit(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    era, commit = ERAS[1], "c" * 40
    eras.note_era(tmp_path, commit, era.name)
    note = {eras.ERA_NOTE: (tmp_path / eras.ERA_NOTE).read_bytes()}
    for head, expected in ((commit, era), ("d" * 40, ERAS[0])):
        files = {**GO_115, **note, ".git/HEAD": f"{head}\n".encode()}
        choice = eras.choose(ERAS, Tree(files, ancestors=None))
        assert choice.era is expected
        assert any("go.mod" in told for told in choice.notes) == (expected is not era)


@pytest.mark.parametrize("note", [b"", b"x", b"ccc no-such-era", b"ccc 2021-spring and more"])
def test_a_note_that_tells_nothing_is_not_heeded(note: bytes) -> None:
    files = {**GO_115, eras.ERA_NOTE: note, ".git/HEAD": b"ccc\n"}
    choice = eras.choose(ERAS, Tree(files, ancestors=None))
    assert any("go.mod" in told for told in choice.notes)


def test_without_history_and_go_mod_the_era_is_called_a_guess() -> None:
    choice = eras.choose(ERAS, Tree(ancestors=None))
    assert choice.era is ERAS[0]
    assert any("guess" in note for note in choice.notes)


def test_a_newer_go_than_can_be_had_is_said() -> None:
    go_mod = {"golang/cosmos/go.mod": b"module x\n\ngo 9.9.1\n"}
    era, notes = agoric_tree.fitted(ERAS[-1], RELEASES, Tree(go_mod))
    assert era.go_release == RELEASES.go[-1]
    assert any("Go 9.9" in note for note in notes)


def test_a_damaged_table_is_one_of_our_errors(tmp_path: Path) -> None:
    table = tmp_path / "eras.toml"
    table.write_text("[[era]]\nname = 'x'\n")
    with pytest.raises(LoadgenError, match="table of eras"):
        eras.load(table)


def test_another_kind_of_tree_is_refused() -> None:
    with pytest.raises(UsageError, match="not the Agoric SDK"):
        agoric.make(REVISION, Tree({"setup.py": b""}))


def test_the_family_fulfils_the_protocol() -> None:
    family: SdkFamily = make()
    assert family.name == "agoric"
    assert not family.simulated
    assert family.era == "2021-spring"


def dockerfile(era: eras.Era, *, site: bool) -> str:
    recipe = agoric.AgoricSdk(era).image()
    return (
        jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        .from_string(recipe.template.read_text())
        .render(
            base="debian:test",
            site_ca=site,
            npm_registry="https://npm.example" if site else "",
            pip_index="https://pip.example/simple" if site else "",
            apt_mirror="http://debian.example/debian" if site else "",
            **recipe.values,
        )
    )


@pytest.mark.parametrize(
    ("era", "site", "digest"),
    [
        ("2021-spring", True, "12335c7f71c1acb8"),
        ("2021-spring", False, "916e172f5994a301"),
        ("2021-winter", True, "b4fb54e712199392"),
        ("2021-winter", False, "82b44677f2dd49fb"),
    ],
)
def test_the_images_of_eras_that_were_seen_to_run_did_not_change(
    era: str, site: bool, digest: str
) -> None:
    """Another text would build every kept image of them, and with it every SDK, again."""
    chosen = next(row for row in ERAS if row.name == era)
    assert hashlib.sha256(dockerfile(chosen, site=site).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("site", [True, False])
@pytest.mark.parametrize("era", [era.name for era in ERAS])
def test_the_image_template_renders_for_every_era(era: str, site: bool) -> None:
    chosen = next(row for row in ERAS if row.name == era)
    text = dockerfile(chosen, site=site)
    toolchain, final = text.split("\nFROM debian:test\n")
    assert chosen.node in toolchain
    assert chosen.go_package in final
    assert ("site-ca.crt" in toolchain) == site
    assert "site-ca" not in final
    assert "npm.example" not in final
    assert "\\\n\n" not in text, "a continued line is followed by an empty one"


def test_submodules_are_found_and_the_engine_is_checked_out_sparsely() -> None:
    listed = b"""[submodule "packages/xsnap/moddable"]
\tpath = packages/xsnap/moddable
\turl = https://github.com/agoric-labs/moddable.git
[submodule "x"]
\tpath = packages/xsnap/other
"""
    build = make({".gitmodules": listed}).build()
    assert build.submodules["packages/xsnap/other"] == ()
    assert "!/documentation" in build.submodules["packages/xsnap/moddable"]
    assert "!/.yarn/releases" in build.sparse


def test_build_steps_keep_their_caches_where_the_recipe_says() -> None:
    build = make().build()
    labels = [step.label for step in build.steps]
    assert labels[0] == "install the packages"
    for step in build.steps:
        assert step.workdir == "/src"
        assert step.timeout is not None
        assert set(build.caches.values()) <= set(step.env.values())


def test_the_steps_of_the_first_era_did_not_change() -> None:
    """Another text would build every kept SDK of it again."""
    assert recipe_id(of_era("2021-spring", {"packages/xsnap/moddable": MODDABLE}).build()) == (
        "2377a46d360d60d0"
    )


def test_every_submodule_the_build_would_fetch_is_pinned_to_its_checkout() -> None:
    (script,) = (
        step.argv[-1]
        for step in of_era("2021-winter").build().steps
        if step.label == "build the packages"
    )
    assert "MODDABLE_COMMIT_HASH=$(git -C packages/xsnap/moddable rev-parse HEAD)" in script
    assert "XSNAP_NATIVE_COMMIT_HASH=$(git -C packages/xsnap/xsnap-native rev-parse" in script
    assert script.index("export XSNAP_NATIVE_COMMIT_HASH") < script.index("yarn build")
    assert "{" not in script


@pytest.mark.parametrize("era", ERAS, ids=lambda era: era.name)
def test_the_build_is_checked_for_what_the_era_runs(era: eras.Era) -> None:
    check = agoric.AgoricSdk(era).build().steps[-1]
    assert era.worker in check.argv[-1]
    assert check.env["HELPER"] == era.helper


def test_npm_is_in_the_image_where_the_era_names_one() -> None:
    assert of_era("2021-spring").image().values["npm"] == ""
    assert of_era("2021-winter").image().values["npm"] == "8.19.4"


def test_an_old_gyp_gets_its_folder_on_pythons_path_only_while_building() -> None:
    sdk = of_era("2021-winter")
    assert sdk.image().values["old_gyp"]
    assert all(step.env["PYTHONPATH"] == "/opt/old-gyp" for step in sdk.build().steps)
    assert "PYTHONPATH" not in sdk.chain(RoleContext(stage=0)).command.env
    assert all("PYTHONPATH" not in step.env for step in of_era("2021-spring").build().steps)


def test_the_chain_gets_the_environment_of_its_era() -> None:
    spring, later = (
        of_era(name).chain(RoleContext(stage=0)).command.env
        for name in ("2021-spring", "2022-spring")
    )
    assert "CHAIN_BOOTSTRAP_VAT_CONFIG" not in spring
    assert later["CHAIN_BOOTSTRAP_VAT_CONFIG"].endswith("demo-config.json")


def test_the_driver_is_told_where_fees_may_be_charged() -> None:
    told = {
        era.name: "LOADGEN_FEES" in of_era(era.name).loadgen(RoleContext(stage=1)).command.env
        for era in ERAS
    }
    assert not told["2021-spring"]
    assert told["2021-winter"]
    assert not told["2022-winter"]


def test_the_chain_ends_by_sigint_and_is_ready_at_its_first_block() -> None:
    recipe = make().chain(RoleContext(stage=2))
    assert recipe.stop_signal == "SIGINT"
    assert [mark.name for mark in recipe.marks] == ["launched", "ready"]
    assert recipe.slog == "/out/chain-stage-2.slog"
    assert recipe.command.env["SLOGFILE"] == recipe.slog
    assert recipe.command.argv[0] == "ag-chain-cosmos"


def test_the_era_names_the_helper_and_the_token() -> None:
    recipe = make().solo(RoleContext(stage=1))
    (command,) = recipe.provision
    assert command.argv[-4:] == ("--helper", "ag-cosmos-helper", "--stable", "urun")
    assert recipe.command.env["SOLO_SLOGFILE"] == recipe.slog


@pytest.mark.parametrize("fail_fast", [True, False])
def test_the_load_service_gets_the_driver_after_the_dashes(fail_fast: bool) -> None:
    argv = make().loadgen(RoleContext(stage=1, fail_fast=fail_fast)).command.argv
    service, driver = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    assert ("--fail-fast" in service) == fail_fast
    assert "/out/events-stage-1.jsonl" in service
    assert driver[:2] == ("/bin/sh", "/out/tools/agoric/run_driver.sh")


def test_every_script_a_role_calls_is_among_the_tools() -> None:
    family = make()
    tools = family.tools()
    ctx = RoleContext(stage=0)
    commands = [
        *family.chain(ctx).prepare,
        *family.solo(ctx).prepare,
        *family.solo(ctx).provision,
        family.loadgen(ctx).command,
    ]
    for command in commands:
        for word in command.argv:
            if word.startswith("/out/tools/agoric/"):
                assert (tools["agoric"] / word.removeprefix("/out/tools/agoric/")).is_file()


def test_an_era_by_its_name_is_the_image_of_its_revisions() -> None:
    assert agoric.of_era("2021-spring").image() == make().image()
    with pytest.raises(UsageError, match="no era '1999'") as caught:
        agoric.of_era("1999")
    assert "2021-spring" in (caught.value.hint or "")
