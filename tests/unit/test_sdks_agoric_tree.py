"""What a revision of the Agoric SDK is asked of itself."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadgenctl import resources
from loadgenctl.errors import LoadgenError
from loadgenctl.sdks import agoric_build, agoric_tree, eras
from loadgenctl.sdks.eras import Era

TABLE = resources.images("sdk", "eras.toml")
ERAS = {era.name: era for era in eras.load(TABLE).eras}
RELEASES = eras.load(TABLE).releases
NEWEST = RELEASES.worker[0]


@dataclass
class Tree:
    """A source tree of a few files without history."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def contains(self, commit: str) -> bool | None:
        return None


def package(**values: object) -> dict[str, bytes]:
    """A tree's own package.json."""
    return {"package.json": json.dumps(values).encode()}


def fitted(era: str, files: Mapping[str, bytes]) -> tuple[Era, tuple[str, ...]]:
    return agoric_tree.fitted(ERAS[era], RELEASES, Tree(files))


def install_of(era: Era, made: agoric_build.MadeOf) -> str:
    """The script that installs the packages."""
    return next(
        step.argv[-1]
        for step in agoric_build.build(era, made).steps
        if step.label == "install the packages"
    )


def build_env(moddable: str, native: str | None) -> dict[str, bytes]:
    text = (
        "MODDABLE_URL=https://example.org/moddable\n"
        f"MODDABLE_COMMIT_HASH={moddable}\nXSNAP_NATIVE_COMMIT_HASH={native}\n"
    )
    return {"packages/xsnap/build.env": text.encode()}


@pytest.mark.parametrize(
    ("version", "wanted", "inside"),
    [
        ((22, 11, 0), "^20.9 || ^22.11", True),
        ((22, 10, 9), "^20.9 || ^22.11", False),
        ((21, 0, 0), "^20.9 || ^22.11", False),
        ((14, 15, 0), ">=14.15.0", True),
        ((14, 14, 9), ">=14.15.0", False),
        ((16, 0, 0), ">=14 <16", False),
        ((15, 9, 9), ">=14 <16", True),
        ((18, 12, 1), "~18.12", True),
        ((18, 13, 0), "~18.12", False),
        ((20, 1, 2), "20", True),
        ((20, 1, 2), "20.2", False),
        ((20, 1, 2), "20.x", True),
        ((20, 1, 2), "*", True),
        ((14, 15, 0), ">= 14.15.0 < 15", True),
        ((18, 12, 1), ">18", False),
        ((19, 0, 0), ">18", True),
        ((18, 12, 1), "<=18", True),
        ((19, 0, 0), "<=18", False),
        ((18, 12, 1), "~18", True),
        ((0, 3, 9), "^0.3.1", True),
        ((0, 4, 0), "^0.3.1", False),
        ((20, 1, 2), "", False),
        ((20, 1, 2), "lts/iron", False),
    ],
)
def test_a_version_is_inside_a_range_of_npm_or_not(
    version: agoric_tree.Version, wanted: str, *, inside: bool
) -> None:
    assert agoric_tree.satisfies(version, wanted) is inside


@pytest.mark.parametrize(
    ("files", "node", "npm"),
    [
        # What is named exactly goes before all else, also where the table does not know it.
        ({".node-version": b"24.99.1\n"}, "24.99.1", "11.6.2"),
        ({".node-version": b"v22.22.0  # as in CI\n"}, "22.22.0", "10.9.2"),
        ({".node-version": b"# as in CI\n\n22.22.0\n"}, "22.22.0", "10.9.2"),
        ({".node-version": b"22\n"}, "22.22.0", "10.9.2"),
        # The era's own, where the revision allows it; else the newest that it allows.
        (package(engines={"node": "^20.9 || ^22.11"}), "22.15.0", "10.9.2"),
        (package(engines={"node": "^22.11 || ^24.14"}), "22.15.0", "10.9.2"),
        (package(engines={"node": "^24.14"}), "24.18.0", "11.6.2"),
        ({}, "22.15.0", "10.9.2"),
        # Node of a later major comes with the newest npm that is known.
        ({".node-version": b"30.0.0"}, "30.0.0", "11.6.2"),
    ],
)
def test_node_is_what_the_revision_names(files: dict[str, bytes], node: str, npm: str) -> None:
    era, notes = fitted("2025-summer", files)
    assert (era.node, era.npm, notes) == (node, npm, ())


def test_a_node_that_is_not_known_is_said_and_the_eras_own_is_tried() -> None:
    era, [note] = fitted("2025-summer", package(engines={"node": "^99"}))
    assert era.node == ERAS["2025-summer"].node
    assert "^99" in note


@pytest.mark.parametrize(
    ("manager", "yarn"),
    [
        ("yarn@4.17.1", "4.17.1"),
        ("yarn@4.17.1+sha512.abc", "4.17.1"),
        ("yarn@1.22.22", "1.22.22"),
        ("pnpm@9.0.0", "4.9.1"),
        ("", "4.9.1"),
    ],
)
def test_yarn_is_what_the_revision_names(manager: str, yarn: str) -> None:
    era, _ = fitted("2025-summer", package(packageManager=manager))
    assert era.yarn == yarn
    install = install_of(era, agoric_build.MadeOf())
    assert ("--immutable" in install) == yarn.startswith("4.")
    assert ("--frozen-lockfile" in install) == yarn.startswith("1.")


@pytest.mark.parametrize(
    ("go_mod", "release", "debian"),
    [
        (b"module x\n\ngo 1.18\n", "", "golang-1.19-go"),
        (b"module x\n\ngo 1.22.0\n\ntoolchain go1.22.12\n", "1.22.10", ""),
        (b"module x\n\ngo 1.23\n\ntoolchain go1.23.4\n", "1.23.9", ""),
        (b"module x\n\ngo 1.24.1\n", "1.24.11", ""),
    ],
)
def test_go_is_of_the_minor_version_that_the_revision_names(
    go_mod: bytes, release: str, debian: str
) -> None:
    era, notes = fitted("2022-december", {"golang/cosmos/go.mod": go_mod})
    assert (era.go_release, era.go_package, notes) == (release, debian, ())
    values = agoric_build.image(era).values
    assert (values["go_release"], values["go_package"]) == (release, debian)
    assert values["go_root"] == ("/usr/lib/go-1.19" if debian else "/opt/go")


def test_go_that_no_release_is_known_of_is_the_next_newer_and_said() -> None:
    files = {"golang/cosmos/go.mod": b"module x\n\ngo 1.20\n"}
    era, [note] = fitted("2022-december", files)
    assert era.go_release == "1.21.13"
    assert "Go 1.20" in note
    assert "1.21.13" in note


def test_a_newer_go_than_all_that_are_known_is_said() -> None:
    era, [note] = fitted("2026-spring", {"golang/cosmos/go.mod": b"module x\n\ngo 1.99\n"})
    assert era.go_release == RELEASES.go[-1]
    assert "1.99" in note


def test_the_bootstrap_configuration_is_where_the_revision_has_it() -> None:
    for folder in ("vats", "boot", "vm-config"):
        era, _ = fitted("2023-spring", {f"packages/{folder}/decentral-demo-config.json": b"{}"})
        assert era.chain_env == {
            "CHAIN_BOOTSTRAP_VAT_CONFIG": f"@agoric/{folder}/decentral-demo-config.json"
        }


def test_an_era_that_names_nothing_is_not_asked() -> None:
    files = {**package(packageManager="yarn@4.0.0"), ".node-version": b"24.0.0"}
    assert fitted("2022-summer", files) == (ERAS["2022-summer"], ())


def test_the_worker_comes_from_the_package_with_the_pinned_sources() -> None:
    tree = Tree(
        {
            **build_env(NEWEST.moddable, NEWEST.native),
            "packages/xsnap/package.json": b'{"version": "0.14.3-u21.0"}',
            ".gitmodules": b"[submodule]\n\tpath = packages/xsnap/moddable\n",
        }
    )
    made = agoric_build.made_of(ERAS["2025-summer"], RELEASES, tree)
    assert (made.worker, made.submodules) == (NEWEST, {})
    first = agoric_build.build(ERAS["2025-summer"], made).steps[0]
    assert first.label == "build the vats' worker"
    assert f"npm pack --silent {NEWEST.package}" in first.argv[-1]
    assert "XSNAP_VERSION=0.14.3-u21.0" in first.argv[-1]


BOTH = b"""[submodule]
\tpath = packages/xsnap/moddable
[submodule]
\tpath = packages/xsnap/xsnap-native
"""


def test_another_worker_around_the_same_engine_is_its_submodule_with_the_packages_engine() -> None:
    tree = Tree({**build_env(NEWEST.moddable, "a" * 40), ".gitmodules": BOTH})
    made = agoric_build.made_of(ERAS["2023-august"], RELEASES, tree)
    assert made.worker is not None
    assert list(made.submodules) == ["packages/xsnap/xsnap-native"]
    script = agoric_build.build(ERAS["2023-august"], made).steps[0].argv[-1]
    assert f"for pin in MODDABLE_COMMIT_HASH={NEWEST.moddable}; do" in script
    assert "cp -R /src/packages/xsnap/xsnap-native xsnap-native\n" in script
    assert "{" not in script


@pytest.mark.parametrize("pins", [("b" * 40, NEWEST.native), ("b" * 40, "a" * 40), ("b", "a")])
def test_another_engine_is_built_from_the_submodules(pins: tuple[str, str | None]) -> None:
    tree = Tree({**build_env(*pins), ".gitmodules": BOTH})
    made = agoric_build.made_of(ERAS["2025-summer"], RELEASES, tree)
    assert made.worker is None
    assert list(made.submodules) == ["packages/xsnap/moddable", "packages/xsnap/xsnap-native"]


def test_another_worker_without_a_submodule_is_left_to_the_sdk() -> None:
    tree = Tree(build_env(NEWEST.moddable, "a" * 40))
    made = agoric_build.made_of(ERAS["2026-spring"], RELEASES, tree)
    assert (made.worker, made.submodules) == (None, {})


def test_only_workspaces_that_are_there_and_have_a_build_are_built_in_order() -> None:
    def workspace(name: str, **scripts: str) -> bytes:
        return json.dumps({"name": name, "scripts": scripts}).encode()

    tree = Tree(
        {
            **build_env(NEWEST.moddable, NEWEST.native),
            "packages/agoric-cli/package.json": workspace("agoric", build="x"),
            "packages/xsnap-lockdown/package.json": workspace("@agoric/xsnap-lockdown", build="x"),
            "packages/spawner/package.json": workspace("@agoric/spawner", test="x"),
            "packages/zoe/package.json": workspace("@agoric/zoe", build="x"),
        }
    )
    made = agoric_build.made_of(ERAS["2025-summer"], RELEASES, tree)
    assert made.packages == ("@agoric/xsnap-lockdown", "agoric")
    step = agoric_build.build(ERAS["2025-summer"], made).steps[-2]
    assert "for package in @agoric/xsnap-lockdown agoric; do" in step.argv[-1]


def test_workspaces_that_the_programs_import_compiled_are_built_before_what_imports_them() -> None:
    def workspace(name: str, main: str, *needs: str) -> bytes:
        needed = {f"@agoric/{need}": "workspace:*" for need in needs}
        values = {"name": name, "main": main, "scripts": {"build": "x"}, "dependencies": needed}
        return json.dumps(values).encode()

    tree = Tree(
        {
            "packages/agoric-cli/package.json": workspace("agoric", "src/main.js", "client-utils"),
            "packages/client-utils/package.json": workspace(
                "@agoric/client-utils", "./dist/main.js", "cosmic-proto", "casting"
            ),
            "packages/casting/package.json": workspace(
                "@agoric/casting", "src/main.js", "client-utils"
            ),
            "packages/cosmic-proto/package.json": workspace(
                "@agoric/cosmic-proto", "dist/index.js"
            ),
            "packages/fast-usdc/package.json": workspace("@agoric/fast-usdc", "dist/main.js"),
        }
    )
    built = agoric_tree.built_packages(tree)
    assert built == ("@agoric/cosmic-proto", "@agoric/client-utils", "agoric")


LOCK = b"""
esm@agoric-labs/esm#Agoric-built:
  version "3.2.25"
  resolved "https://codeload.github.com/agoric-labs/esm/tar.gz/3603726ad4636b2f865f463188fcaade6375638e"

tar@^6.0.0:
  version "6.1.0"
  resolved "https://npm.example.org/tar/-/tar-6.1.0.tgz#d1724e9bcc04b977b18d5c573b333a2207229a83"
"""
ARCHIVE = "agoric-labs/esm@3603726ad4636b2f865f463188fcaade6375638e"


@pytest.mark.parametrize("era", ["2021-winter", "2024-spring"])
def test_an_archive_of_a_repository_is_made_where_git_is_led_elsewhere(era: str) -> None:
    made = agoric_build.made_of(ERAS[era], RELEASES, Tree({"yarn.lock": LOCK}))
    assert made.archives == (ARCHIVE,)
    script = install_of(ERAS[era], made)
    assert f"for archive in {ARCHIVE}; do" in script
    assert script.index("git ls-remote --get-url") < script.index("yarn install")


def test_the_archive_that_is_made_is_what_the_lockfile_names(tmp_path: Path) -> None:
    def git(*argv: str, folder: Path) -> str:
        return subprocess.run(
            ["git", *argv], cwd=folder, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    env = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    mirror, tree = tmp_path / "mirror", tmp_path / "tree"
    for folder in (mirror, tree, tmp_path / "home", tmp_path / "bin"):
        folder.mkdir()
    (tmp_path / "gitconfig").write_text("[user]\nname = x\nemail = x@example.org\n")
    git("init", "--quiet", folder=mirror)
    (mirror / "esm.js").write_text("1;\n")
    git("add", ".", folder=mirror)
    git("commit", "--quiet", "-m", "x", folder=mirror)
    commit = git("rev-parse", "HEAD", folder=mirror)
    git("config", "uploadpack.allowAnySHA1InWant", "true", folder=mirror)
    here = f"https://codeload.github.com/acme/esm/tar.gz/{commit}"
    other = f"https://codeload.github.com/acme/other/tar.gz/{commit}"
    (tree / "yarn.lock").write_text(f'a:\n  resolved "{here}"\nb:\n  resolved "{other}"\n')
    with (tmp_path / "gitconfig").open("a") as stream:
        stream.write(f'[url "{mirror}"]\ninsteadOf = https://github.com/acme/esm\n')
    yarn = tmp_path / "bin" / "yarn"
    yarn.write_text("#!/bin/sh\nexit 0\n")
    yarn.chmod(0o755)
    made = agoric_build.MadeOf(archives=(f"acme/esm@{commit}", f"acme/other@{commit}"))
    script = install_of(ERAS["2024-spring"], made)
    path = f"{yarn.parent}:{env['PATH']}"
    argv = ["/bin/sh", "-ec", script]
    subprocess.run(argv, cwd=tree, env={**env, "PATH": path}, check=True)
    text = (tree / "yarn.lock").read_text()
    archive = tmp_path / "home" / f"{commit}.tgz"
    assert text == f'a:\n  resolved "file:{archive}"\nb:\n  resolved "{other}"\n'
    with tarfile.open(archive) as packed:
        assert "package/esm.js" in packed.getnames()


def test_a_lockfile_without_such_archives_changes_no_step() -> None:
    plain = agoric_build.build(ERAS["2021-winter"], agoric_build.MadeOf())
    made = agoric_build.made_of(ERAS["2021-winter"], RELEASES, Tree({"yarn.lock": b"a:\n"}))
    assert agoric_build.build(ERAS["2021-winter"], made) == plain


def test_the_user_of_a_container_has_a_name_where_bundlers_ask_for_it() -> None:
    for era in ERAS.values():
        packages = agoric_build.image(era).values["apt_packages"]
        assert isinstance(packages, tuple)
        assert ("libnss-unknown" in packages) == era.asks


def test_the_go_part_is_compiled_once_where_the_revision_is_asked() -> None:
    for era in ERAS.values():
        [script] = (
            step.argv[-1]
            for step in agoric_build.build(era, agoric_build.MadeOf()).steps
            if step.label == agoric_build.GO_STEP
        )
        assert ("buildmode=pie" in script) == era.asks


def test_files_of_a_revision_that_are_no_json_say_nothing() -> None:
    files = {"package.json": b"[", "packages/xsnap/package.json": b"[]"}
    assert fitted("2025-summer", files)[0].node == ERAS["2025-summer"].node
    assert agoric_tree.worker_version(Tree(files)) == "0.0.0"


def test_a_table_without_releases_is_one_of_our_errors() -> None:
    with pytest.raises(LoadgenError, match="table of eras"):
        eras.load(TABLE.with_name("absent.toml"))


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        (None, False),
        (b"nodeLinker: node-modules\n", False),
        (b"# yarnPath: x\n", False),
        (b"nodeLinker: node-modules\nyarnPath: .yarn/releases/yarn-4.12.0.cjs\n", True),
    ],
)
def test_the_yarn_of_a_tree_is_checked_out_where_later_yarns_look_for_it(
    settings: bytes | None, own: bool
) -> None:
    files = {} if settings is None else {".yarnrc.yml": settings}
    made = agoric_build.made_of(ERAS["2026-spring"], RELEASES, Tree(files))
    sparse = agoric_build.build(ERAS["2026-spring"], made).sparse
    assert ("!/.yarn/releases" not in sparse) is own
    assert sparse[0] == "/*"


def test_go_modules_are_asked_for_one_by_one_only_where_go_does_not_name_all(
    tmp_path: Path,
) -> None:
    """The replacements of what is required, each with a Go that has none of them."""
    module = tmp_path / "src" / "golang" / "cosmos"
    module.mkdir(parents=True)
    (module / "go.mod").write_text(
        "module x\n\nrequire a.test/a v1.0.0\n\nrequire (\n\tb.test/b v1.0.0 // indirect\n)\n"
        "replace a.test/a => f.test/a v1.1.0 // ours\n"
        "replace (\n\tb.test/b => f.test/b v1.1.0\n\tc.test/unused => f.test/c v1.1.0\n"
        "\t// d.test/d => f.test/d v1.1.0\n\tb.test/b => ../b\n)\n"
    )
    go = tmp_path / "go"
    go.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nexit 1\n')
    go.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def ask() -> int:
        argv = ["/bin/sh", "-ec", agoric_build.ASK_MODULES]
        return subprocess.run(argv, cwd=tmp_path / "src", env=env, check=False).returncode

    assert ask() == 1
    asked = sorted((tmp_path / "calls").read_text().splitlines())
    assert asked == ["mod download f.test/a@v1.1.0", "mod download f.test/b@v1.1.0"]
    (module / "go.work").write_text("use .\n")
    assert ask() == 0
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
