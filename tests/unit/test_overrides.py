"""`[site.npm]` and `[site.go]`: read strictly."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from loadgenctl.building.overrides import Overrides, Selector
from loadgenctl.building.site import parse_site
from loadgenctl.errors import UsageError


def parse(text: str, folder: Path) -> Overrides:
    return parse_site(tomllib.loads(text), folder).overrides


def test_without_settings_nothing_is_overridden(tmp_path: Path) -> None:
    assert parse("[site]\nname = 'x'\n", tmp_path) == Overrides()


def test_all_forms(tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    fork.mkdir()
    (fork / "go.mod").write_text("module github.com/acme/fork\n")
    found = parse(
        f"""
        [site.npm]
        drop = ["patchlift", "@cosmology/telescope@^1.12.8", "patchlift"]
        [site.npm.resolutions]
        left-pad = "1.3.0"
        "@endo/pass-style@1.8.1" = "npm:1.8.2"
        "@endo/init@npm:^1.1.0" = "^1.1.2"
        [site.go.replace]
        "github.com/acme/a@v1.2.3-alpha.1" = "github.com/acme/b/v6@v6.0.0+incompatible"
        "github.com/acme/c@v1.0.0" = "{fork}"
        [site.go.build]
        98e20a0ea1 = "{fork}"
        """,
        tmp_path,
    )
    assert found.npm.dropped() == (
        Selector("@cosmology/telescope", "^1.12.8"),
        Selector("patchlift"),
    )
    assert found.npm.resolved() == {
        Selector("left-pad"): "1.3.0",
        Selector("@endo/pass-style", "1.8.1"): "1.8.2",
        Selector("@endo/init", "^1.1.0"): "^1.1.2",
    }
    assert found.go.replace == {
        "github.com/acme/a@v1.2.3-alpha.1": "github.com/acme/b/v6@v6.0.0+incompatible",
        "github.com/acme/c@v1.0.0": str(fork),
    }
    assert found.go.build == {"98e20a0ea1": fork}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[site.npm]\nresolution = {}", "unknown setting site.npm.resolution"),
        ("[site.npm]\ndrop = 'x'", "site.npm.drop must be an array of strings"),
        ("[site.npm]\ndrop = [1]", "site.npm.drop[0] must be text, not a whole number"),
        ("[site.npm]\ndrop = ['a b']", "site.npm.drop: 'a b' is not an npm package"),
        ("[site.npm]\ndrop = ['@scope']", "site.npm.drop: '@scope' is not an npm package"),
        ("[site.npm.resolutions]\n'' = '1.0.0'", "'' is not an npm package"),
        ("[site.npm.resolutions]\nx = 'latest'", "x must be a version, not 'latest'"),
        ("[site.npm.resolutions]\nx = 'file:../x'", "x must be a version, not 'file:../x'"),
        (
            "[site.npm.resolutions]\nx = 1",
            "site.npm.resolutions.x must be text, not a whole",
        ),
        (
            "[site.npm]\ndrop = ['x']\n[site.npm.resolutions]\nx = '1.0.0'",
            "site.npm.drop names x, which also has a resolution",
        ),
        ("[site.go]\nreplaces = {}", "unknown setting site.go.replaces"),
        ("[site.go.replace]\n'github.com/a/b' = 'x@v1'", "is not a Go module with its version"),
        (
            "[site.go.replace]\n'github.com/a/b@v1.0.0' = 'c'",
            "must be module@version or an absolute",
        ),
        (
            "[site.go.replace]\n'github.com/a/b@v1.0.0' = './c'",
            "must be module@version or an absol",
        ),
        (
            "[site.go.replace]\n'github.com/a/b@v1.0.0' = '/no/such'",
            "names a path that does not ex",
        ),
        (
            "[site.go.replace]\n'github.com/a/b@v1.0.0' = '{here}'",
            "is not a Go module: it has no go.mod",
        ),
        ("[site.go.build]\nmaster = '{here}'", "site.go.build.master must name a commit"),
        ("[site.go.build]\n98e20a0ea1 = '/no/such'", "names a path that does not exist"),
        ("[site.go]\nbuild = '{here}'", "site.go.build must be a table"),
    ],
)
def test_refusals_say_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text.replace("{here}", str(tmp_path)), tmp_path)
    assert message in caught.value.message
