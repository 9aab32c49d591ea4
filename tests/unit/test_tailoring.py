"""A site's overrides in the build of a revision: what applies, and what the steps become."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.building.builder import recipe_id
from loadgenctl.building.overrides import GoOverrides, NpmOverrides, Overrides
from loadgenctl.building.tailoring import LABEL, VARIABLE, Tailored, noted, tailor
from loadgenctl.building.yarnlock import parse_lock
from loadgenctl.errors import UsageError
from loadgenctl.model import Command
from loadgenctl.sdks.base import BuildRecipe

CLASSIC = """\
# yarn lockfile v1


"@endo/pass-style@^1.8.0", "@endo/pass-style@^1.8.1":
  version "1.8.1"
  resolved "https://registry.test/@endo/pass-style/-/pass-style-1.8.1.tgz#1234"
  dependencies:
    "@endo/errors" "^1.0.0"
    ms "^2.1.3"

debug@2.6.9, debug@~2.6.9:
  version "2.6.9"
  dependencies:
    ms "2.0.0"

ms@2.0.0:
  version "2.0.0"

ms@^2.1.2, ms@^2.1.3:
  version "2.1.3"
"""
LATER = """\
__metadata:
  version: 8
  cacheKey: 10

"@agoric/proto@workspace:packages/proto":
  version: 0.0.0-use.local
  resolution: "@agoric/proto@workspace:packages/proto"
  dependencies:
    "@cosmology/telescope": "npm:^1.12.8"
    ms: "npm:^2.1.2"
  languageName: unknown

"@cosmology/telescope@npm:1.12.8":
  version: 1.12.8
  dependencies:
    "@cosmology/ast": "npm:^1.10.1"

"@cosmology/ast@npm:^1.10.1":
  version: 1.10.1

"ms@npm:2.0.0":
  version: 2.0.0

"ms@npm:^2.1.2, ms@npm:^2.1.3":
  version: 2.1.3

"ses@npm:2.2.0":
  version: 2.2.0

"ses@patch:ses@npm%3A2.2.0#~/.yarn/patches/ses-npm-2.2.0-8184219d81.patch":
  version: 2.2.0
"""
GO_MOD = b"""\
module example.test/sdk

require (
\tgithub.com/cosmos/ibc-go/v7 v7.10.0
\tcloud.google.com/go v0.112.1 // indirect
)

// github.com/old/fork => github.com/acme/fork v1.0.0
replace github.com/cosmos/ibc-go/v7 => github.com/acme/ibc-go/v7 v7.10.0-alpha.2 // ours
"""
COMMIT = "98e20a0ea1" + "0" * 30
RECIPE = BuildRecipe(
    steps=(
        Command(
            ("/bin/sh", "-ec", "yarn install --immutable --json\n"), {"CACHE": "x"}, label="js"
        ),
        Command(("/bin/sh", "-ec", "go mod download"), {"CACHE": "x"}, label="modules"),
        Command(("/bin/sh", "-ec", "make --immutable-not"), {"CACHE": "x"}, label="chain"),
        Command(("/bin/sh", "-ec", "test -f x"), {"CACHE": "x"}, label="check"),
    ),
    frozen=("--frozen-lockfile", "--immutable"),
    go_steps=("modules", "chain"),
    go_part="golang/cosmos/build",
)


def tailored(
    overrides: Overrides, files: Mapping[str, bytes | str], recipe: BuildRecipe = RECIPE
) -> Tailored:
    def read(path: str) -> bytes | None:
        found = files.get(path)
        return found.encode() if isinstance(found, str) else found

    return tailor(recipe, overrides, COMMIT, read)


def npm(*drop: str, **resolutions: str) -> Overrides:
    return Overrides(npm=NpmOverrides(resolutions, drop))


def changes(found: Tailored) -> dict[str, Any]:
    first = found.recipe.steps[0]
    assert first.label == LABEL
    document: dict[str, Any] = json.loads(first.env[VARIABLE])
    assert document.pop("deviations") == list(found.deviations)
    return document


def test_a_build_to_which_nothing_applies_is_the_same_build() -> None:
    overrides = Overrides(
        NpmOverrides({"ms@2.1.1": "2.1.2"}, ("patchlift",)),
        GoOverrides(
            {"github.com/acme/fork@v1.0.0": "github.com/acme/other@v1.0.0"}, {"abcdef0": Path("/x")}
        ),
    )
    found = tailored(overrides, {"yarn.lock": CLASSIC, "go.mod": GO_MOD})
    assert found.recipe == RECIPE
    assert found.deviations == ()
    assert len(found.unused) == 3
    assert tailored(Overrides(), {}).recipe == RECIPE


def test_another_override_is_another_build() -> None:
    one, other = (
        tailored(npm(**{"ms@2.1.3": version}), {"yarn.lock": LATER})
        for version in ("2.1.1", "2.1.2")
    )
    assert len({recipe_id(recipe) for recipe in (RECIPE, one.recipe, other.recipe)}) == 3
    again = tailored(npm(**{"ms@2.1.3": "2.1.1"}), {"yarn.lock": LATER})
    assert recipe_id(again.recipe) == recipe_id(one.recipe)


def test_installs_are_held_to_the_lockfile_unless_npm_is_overridden() -> None:
    found = tailored(npm("ms"), {"yarn.lock": LATER})
    assert [step.label for step in found.recipe.steps] == [LABEL, "js", "modules", "chain", "check"]
    assert found.recipe.steps[1].argv[-1] == "yarn install --json\n"
    assert found.recipe.steps[3].argv[-1] == "make --immutable-not"
    assert all(step.env["YARN_ENABLE_IMMUTABLE_INSTALLS"] == "false" for step in found.recipe.steps)
    assert all(step.env["CACHE"] == "x" for step in found.recipe.steps)
    replace = {"cloud.google.com/go@v0.112.1": "cloud.google.com/go@v0.112.2"}
    found = tailored(Overrides(go=GoOverrides(replace)), {"go.mod": GO_MOD})
    assert found.recipe.steps[1].argv[-1] == "yarn install --immutable --json\n"
    assert "YARN_ENABLE_IMMUTABLE_INSTALLS" not in found.recipe.steps[1].env


def test_a_version_is_resolved_by_the_ranges_that_got_it() -> None:
    found = tailored(npm(**{"ms@2.1.3": "2.1.1"}), {"yarn.lock": LATER})
    assert changes(found) == {"resolutions": {"ms@npm:^2.1.2": "2.1.1", "ms@npm:^2.1.3": "2.1.1"}}
    assert found.deviations == ("npm ms@2.1.3: resolved to 2.1.1",)
    # A range that is asked for chooses the same.
    by_range = tailored(npm(**{"ms@^2.1.2": "2.1.1"}), {"yarn.lock": LATER})
    assert changes(by_range) == changes(found)
    everything = tailored(npm(ms="2.1.1"), {"yarn.lock": LATER})
    assert changes(everything) == {"resolutions": {"ms": "2.1.1"}}


def test_with_yarn_1_a_version_is_resolved_for_the_packages_that_ask_for_it() -> None:
    found = tailored(npm(**{"ms@2.1.3": "2.1.1"}), {"yarn.lock": CLASSIC})
    assert changes(found) == {
        "ranges": {"ms": {"^2.1.2": "2.1.1", "^2.1.3": "2.1.1"}},
        "resolutions": {"**/@endo/pass-style/ms": "2.1.1"},
    }
    only = tailored(
        Overrides(NpmOverrides({"@endo/pass-style@1.8.1": "1.8.2"})),
        {"yarn.lock": CLASSIC},
    )
    assert changes(only) == {"resolutions": {"**/@endo/pass-style": "1.8.2"}}


def test_with_yarn_1_what_cannot_be_told_apart_is_refused() -> None:
    lock = CLASSIC + '\ndebug@^4.3.0:\n  version "4.3.0"\n  dependencies:\n    ms "^2.1.3"\n'
    with pytest.raises(UsageError, match="debug requires ms in several versions") as caught:
        tailored(npm(**{"ms@2.1.3": "2.1.1"}), {"yarn.lock": lock})
    assert caught.value.hint == "override all of them, by the key ms"


def test_resolutions_of_the_revision_itself_give_way() -> None:
    own = {
        "ses@npm:^2.0.0": "patch:ses@npm%3A2.2.0#~/.yarn/patches/ses-npm-2.2.0-8184219d81.patch",
        "other@npm:^1.0.0": "npm:1.0.0",
    }
    found = tailored(
        npm(**{"ses@2.2.0": "2.2.1"}),
        {"yarn.lock": LATER, "package.json": json.dumps({"resolutions": own})},
    )
    assert changes(found) == {"resolutions": {"ses@npm:^2.0.0": "2.2.1", "ses": "2.2.1"}}


@pytest.mark.parametrize(
    "package_json", ["", "[]", "{", '{"resolutions": [1]}', '{"resolutions": {"ms": {}}}']
)
def test_a_strange_package_json_has_no_resolutions(package_json: str) -> None:
    found = tailored(npm(ms="2.1.1"), {"yarn.lock": LATER, "package.json": package_json})
    assert changes(found) == {"resolutions": {"ms": "2.1.1"}}


def test_a_dependency_is_dropped_where_a_workspace_asks_for_it() -> None:
    found = tailored(npm("@cosmology/telescope", "@cosmology/ast"), {"yarn.lock": LATER})
    assert changes(found) == {"drop": {"@cosmology/telescope": []}}
    assert found.unused == ("site.npm.drop: @cosmology/ast",)
    assert found.deviations == ("npm @cosmology/telescope: dropped",)
    one = tailored(npm("ms@2.1.3"), {"yarn.lock": LATER})
    assert changes(one) == {"drop": {"ms": ["^2.1.2", "^2.1.3", "npm:^2.1.2", "npm:^2.1.3"]}}


@pytest.mark.parametrize("file", ["go.mod", "golang/cosmos/go.mod", "golang/cosmos/go.work"])
def test_go_modules_are_replaced_by_what_is_fetched(file: str) -> None:
    fork, other = "github.com/acme/ibc-go/v7@v7.10.0-alpha.2", "github.com/acme/ibc-go/v7@v7.10.1"
    prefix = {
        "github.com/acme/ibc-go/v7@v7.10.0-alpha": other,
        "github.com/acme/fork@v1.0.0": other,
    }
    found = tailored(Overrides(go=GoOverrides({fork: other, **prefix})), {file: GO_MOD})
    assert changes(found) == {"replace": {fork: other}}
    assert found.deviations == (f"go {fork}: replaced by {other}",)
    assert len(found.unused) == 2


def test_a_local_module_is_mounted_and_its_content_is_part_of_the_build(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module github.com/acme/ibc-go/v7\n")
    fork = "github.com/acme/ibc-go/v7@v7.10.0-alpha.2"
    overrides = Overrides(go=GoOverrides({fork: str(tmp_path)}))
    found = tailored(overrides, {"go.mod": GO_MOD})
    (mount,) = found.recipe.mounts
    assert (mount.source, mount.read_only) == (str(tmp_path), True)
    assert changes(found)["replace"] == {fork: mount.target}
    (tmp_path / "main.go").write_text("package ibc\n")
    changed = tailored(overrides, {"go.mod": GO_MOD})
    assert recipe_id(changed.recipe) != recipe_id(found.recipe)
    # What is recorded tells the content, and nothing of this machine.
    (deviation,) = changed.deviations
    assert deviation != found.deviations[0]
    assert str(tmp_path) not in deviation


def test_a_go_part_that_was_built_elsewhere_takes_the_place_of_its_steps(tmp_path: Path) -> None:
    (tmp_path / "agd").write_text("program")
    replaced = {"cloud.google.com/go@v0.112.1": "cloud.google.com/go@v0.112.2"}
    go = GoOverrides(replaced, {COMMIT[:10]: tmp_path, "abcdef01": Path("/other")})
    found = tailored(Overrides(go=go), {"go.mod": GO_MOD})
    labels = [step.label for step in found.recipe.steps]
    assert labels == [LABEL, "js", "copy the chain's Go part", "check"]
    (mount,) = found.recipe.mounts
    assert f'cp -R "{mount.target}" golang/cosmos/build' in found.recipe.steps[2].argv[-1]
    assert "replace" not in changes(found)
    (deviation,) = found.deviations
    assert deviation.startswith("go: the chain's Go part was built elsewhere (")
    (tmp_path / "agd").write_text("another")
    assert tailored(Overrides(go=go), {}).deviations != found.deviations


def test_a_go_part_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    go = GoOverrides(build={COMMIT[:10]: tmp_path, COMMIT[:12]: tmp_path})
    with pytest.raises(UsageError, match=r"site\.go\.build names .* twice"):
        tailored(Overrides(go=go), {})
    recipe = BuildRecipe(steps=RECIPE.steps)
    with pytest.raises(UsageError, match="this SDK has no Go part"):
        tailored(Overrides(go=GoOverrides(build={COMMIT: tmp_path})), {}, recipe)


def test_an_sdk_that_needs_no_build_has_no_deviations() -> None:
    assert tailored(npm(ms="2.1.1"), {"yarn.lock": LATER}, BuildRecipe(())).deviations == ()


@pytest.mark.parametrize(
    ("content", "deviations"),
    [(None, ()), (b'["npm ms: dropped"]', ("npm ms: dropped",)), (b"{", ()), (b'{"a": 1}', ())],
)
def test_what_was_done_to_a_tree_before_is_read_from_it(
    content: bytes | None, deviations: tuple[str, ...]
) -> None:
    assert noted(lambda _: content) == deviations


def test_both_forms_of_lockfiles_are_read() -> None:
    classic, later = parse_lock(CLASSIC), parse_lock(LATER)
    assert (classic.classic, later.classic) == (True, False)
    (style,) = classic.named("@endo/pass-style")
    assert style.ranges == ("^1.8.0", "^1.8.1")
    assert style.version == "1.8.1"
    assert style.needs == {"@endo/errors": "^1.0.0", "ms": "^2.1.3"}
    (workspace,) = later.named("@agoric/proto")
    assert workspace.needs == {"@cosmology/telescope": "npm:^1.12.8", "ms": "npm:^2.1.2"}
    assert [entry.version for entry in later.named("ses")] == ["2.2.0", "2.2.0"]
    assert parse_lock("").entries == ()
