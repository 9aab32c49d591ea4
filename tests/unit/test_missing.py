"""Versions that registries lack, found in what package managers really printed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from loadgenctl.building.failure import Missing, missing_versions, settings_for
from loadgenctl.building.site import parse_site

TEXTS = Path(__file__).parent.parent / "data" / "missing"


def found_in(name: str) -> list[str]:
    return [one.words for one in missing_versions((TEXTS / f"{name}.txt").read_text())]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yarn1-no-version", "npm ms 99.1.2"),
        ("yarn1-no-package", "npm @loadgenctl-none/none-at-all"),
        ("yarn1-no-tarball", "npm ms 2.1.99"),
        ("yarn4-no-version", "npm @endo/pass-style ^77.0.0"),
        ("yarn4-no-package", "npm @loadgenctl-none/none-at-all 1.12.8"),
        ("npm-no-version", "npm ms 99.1.2"),
        ("npm-no-package", "npm @loadgenctl-none/none-at-all 1.2.3"),
        ("go-no-version", "go github.com/pkg/errors v0.99.0"),
        ("go-no-commit", "go github.com/pkg/errors v0.0.0-20250326031203-e68e6747bede"),
        ("go-replaced", "go github.com/agoric-labs/cosmos-sdk v0.53.6-alpha.agoric.1"),
        ("go-checksum", "go github.com/pkg/errors v0.9.1"),
        ("go-direct", "go github.com/agoric-labs/ibc-go/v6 v6.3.1-alpha.agoric.4"),
    ],
)
def test_the_version_is_named_as_each_program_tells_it(text: str, words: str) -> None:
    assert found_in(text) == [words]


def test_all_versions_are_named_not_only_the_first() -> None:
    assert found_in("yarn4-no-tarball") == [
        "npm @cosmology/ast 1.10.1",
        "npm @cosmology/proto-parser 1.10.1",
        "npm @cosmology/telescope 1.12.8",
        "npm @cosmology/types 1.12.0",
        "npm @cosmology/utils 1.10.0",
    ]
    forks = found_in("go-workspace")
    assert len(forks) == 21
    assert all(fork.startswith("go github.com/agoric-labs/") for fork in forks)
    assert "go github.com/agoric-labs/ibc-go/v10 v10.5.0-alpha.agoric.4" in forks
    assert len(found_in("go-replacements")) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        # A registry that is out of order lacks nothing.
        (
            "YN0035: │ ms@npm:2.1.3: The remote server failed to provide the requested resource\n"
            "YN0035: │   Response Code: 503 (Service Unavailable)\n"
            "YN0035: │   Request URL: https://registry.test/ms/-/ms-2.1.3.tgz\n"
        ),
        'error "https://registry.test/ms/-/ms-2.1.3.tgz: Request failed "503 Busy"".',
        "go: github.com/pkg/errors@v0.9.1: reading https://proxy.test/x.mod: 502 Bad Gateway",
        # What installs say in passing.
        "prebuild-install warn install No prebuilt binaries found (target=20 runtime=node)",
        "go: downloading github.com/pkg/errors v0.9.1",
        "src/app.js:12: error: someone@v1.example: not found",
    ],
)
def test_other_failures_name_no_version(text: str) -> None:
    assert missing_versions(text) == ()


def test_tarballs_below_a_folder_of_a_mirror_and_colors() -> None:
    text = (
        '\x1b[31merror\x1b[39m "https://packages.test/npm/%40endo/pass-style/-/pass-style-1.8.1.tgz:'
        ' Request failed \\"404 Not Found\\"".\n'
        "➤ \x1b[31mYN0035\x1b[39m: │   \x1b[36mResponse Code\x1b[39m: \x1b[33m410\x1b[39m (Gone)\n"
        "➤ YN0035: │   Request Method: GET\n"
        "➤ YN0035: │   Request URL: https://packages.test/npm/ms/-/ms-2.1.3-rc.1.tgz\n"
    )
    assert missing_versions(text) == (
        Missing("npm", "@endo/pass-style", "1.8.1"),
        Missing("npm", "ms", "2.1.3-rc.1"),
    )


def test_a_site_can_paste_the_settings_once_it_has_filled_them_in(tmp_path: Path) -> None:
    missing = (
        *missing_versions((TEXTS / "yarn4-no-tarball.txt").read_text()),
        Missing("npm", "left-pad", None),
        *missing_versions((TEXTS / "go-workspace.txt").read_text()),
    )
    text = settings_for(missing)
    replaced = text.replace("ANOTHER VERSION", "1.2.3").replace(
        "MODULE@VERSION or /FOLDER", "github.com/acme/fork@v1.2.3"
    )
    overrides = parse_site(tomllib.loads(replaced), tmp_path).overrides
    assert len(overrides.go.replace) == 21
    assert len(overrides.npm.resolutions) == 6
    # The other way, which the comments show.
    other = "\n".join(
        line.removeprefix("# ").replace("COMMIT", "98e20a0ea1").replace("/FOLDER", str(tmp_path))
        for line in text.splitlines()
        if line.startswith("# ") and not line.startswith("# or")
    )
    (tmp_path / "golang" / "cosmos" / "build").mkdir(parents=True)
    overrides = parse_site(tomllib.loads(other), tmp_path).overrides
    assert {str(one) for one in overrides.npm.dropped()} >= {"@cosmology/utils", "left-pad"}
    assert list(overrides.go.build) == ["98e20a0ea1"]
