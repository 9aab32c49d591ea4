"""Site settings: strict to parse, pure to use."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from loadgenctl.building.site import CA_TARGET, GIT_TARGET, SiteSettings, parse_site
from loadgenctl.errors import UsageError
from loadgenctl.model import Mount

FULL = """
[run]
stages = 3

[site]
name = "acme"
ca_bundle = "certs/root.pem"
npm_registry = "https://npm.acme.test/"
goproxy = "https://go.acme.test,direct"
pip_index = "https://pip.acme.test/simple"
apt_mirror = "http://apt.acme.test/debian/"
http_proxy = "http://user:secret@proxy.acme.test:3128"
https_proxy = "http://proxy.acme.test:3128"
no_proxy = "localhost,.acme.test"

[site.git]
"https://github.com/" = "https://git.acme.test/mirror/"
"https://github.com/Agoric/agoric-sdk" = "mirrors/sdk"

[site.builder.env]
GOFLAGS = "-mod=mod"
GOPROXY = "off"

[[site.builder.mounts]]
source = "extra"
target = "/extra"

[[site.builder.mounts]]
source = "extra"
target = "/writable"
read_only = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("certs", "mirrors/sdk", "extra"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "certs/root.pem").write_text("a certificate")
    return tmp_path


@pytest.fixture
def site(folder: Path) -> SiteSettings:
    return parse_site(tomllib.loads(FULL), folder)


def parse(folder: Path, text: str) -> SiteSettings:
    return parse_site(tomllib.loads(text), folder)


def test_without_settings_nothing_is_special(tmp_path: Path) -> None:
    site = parse(tmp_path, "")
    assert site == SiteSettings()
    assert site.builder_env() == {}
    assert site.builder_mounts() == ()
    assert site.rewrite_git("https://github.com/a/b") == "https://github.com/a/b"
    assert not any(site.template_values().values())


def test_paths_count_from_the_file_s_folder(site: SiteSettings, folder: Path) -> None:
    assert site.ca_bundle == folder / "certs/root.pem"
    assert site.extra_mounts == (
        Mount(str(folder / "extra"), "/extra", read_only=True),
        Mount(str(folder / "extra"), "/writable"),
    )


def test_the_builder_s_environment(site: SiteSettings) -> None:
    env = site.builder_env("/ca")
    for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "npm_config_cafile"):
        assert env[name] == "/ca"
    assert env["npm_config_registry"] == "https://npm.acme.test"
    assert env["PIP_INDEX_URL"] == "https://pip.acme.test/simple"
    assert env["https_proxy"] == env["HTTPS_PROXY"] == "http://proxy.acme.test:3128"
    assert env["GOPROXY"] == "off", "what a person sets for the builder has the last word"
    assert env["GOFLAGS"] == "-mod=mod"


def test_later_yarns_get_registry_and_proxies_by_their_own_variables(site: SiteSettings) -> None:
    env = site.builder_env("/ca")
    assert env["YARN_NPM_REGISTRY_SERVER"] == "https://npm.acme.test"
    assert env["YARN_HTTPS_PROXY"] == "http://proxy.acme.test:3128"
    assert "YARN_UNSAFE_HTTP_WHITELIST" not in env
    plain = replace(site, npm_registry="http://npm.acme.test:4873/npm")
    assert plain.builder_env("/ca")["YARN_UNSAFE_HTTP_WHITELIST"] == "npm.acme.test"
    assert not [name for name in SiteSettings().builder_env() if name.startswith("YARN")]


def test_the_builder_s_mounts(site: SiteSettings, folder: Path) -> None:
    gitconfig = folder / "gitconfig"
    mounts = {mount.target: mount for mount in site.builder_mounts(gitconfig=gitconfig)}
    assert mounts[CA_TARGET] == Mount(str(folder / "certs/root.pem"), CA_TARGET, read_only=True)
    assert mounts["/etc/gitconfig"] == Mount(str(gitconfig), "/etc/gitconfig", read_only=True)
    mirror = f"{GIT_TARGET}/0"
    assert mounts[mirror] == Mount(str(folder / "mirrors/sdk"), mirror, read_only=True)
    assert len(mounts) == 5


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/Agoric/agoric-sdk", "{folder}/mirrors/sdk"),
        ("https://github.com/Agoric/agoric-sdk.git", "{folder}/mirrors/sdk"),
        ("https://github.com/Agoric/other", "https://git.acme.test/mirror/Agoric/other"),
        (
            "https://github.com/Agoric/agoric-sdk-x",
            "https://git.acme.test/mirror/Agoric/agoric-sdk-x",
        ),
        ("https://gitlab.com/a/b", "https://gitlab.com/a/b"),
        ("/local/path", "/local/path"),
    ],
)
def test_the_longest_prefix_rewrites_an_address(
    site: SiteSettings, folder: Path, url: str, expected: str
) -> None:
    assert site.rewrite_git(url) == expected.format(folder=folder)


def git_says(config: str, path: Path, url: str) -> str:
    """What git itself makes of an address."""
    path.write_text(config)
    done = subprocess.run(
        ["git", "ls-remote", "--get-url", url],
        env={"GIT_CONFIG_GLOBAL": str(path), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("suffix", ["", ".git"])
def test_git_understands_the_settings_written_for_it(
    site: SiteSettings, folder: Path, suffix: str
) -> None:
    sdk, other = f"https://github.com/Agoric/agoric-sdk{suffix}", f"https://github.com/a/b{suffix}"
    path = folder / "gitconfig"
    assert git_says(site.host_gitconfig(), path, sdk) == f"file://{folder}/mirrors/sdk"
    assert (
        git_says(site.host_gitconfig(), path, other) == f"https://git.acme.test/mirror/a/b{suffix}"
    )
    assert git_says(site.builder_gitconfig(), path, sdk) == f"file://{GIT_TARGET}/0"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[site]\nca_bundel = 'x'", "unknown setting site.ca_bundel", "site.ca_bundle"),
        ("[site]\nzzzz = 'x'", "unknown setting site.zzzz", "known in [site]"),
        ("[site.builder]\nenvs = {}", "unknown setting site.builder.envs", "site.builder.env"),
        (
            "[[site.builder.mounts]]\nsource = '.'\ntarget = '/x'\nreadonly = true",
            "unknown setting site.builder.mounts[0].readonly",
            "read_only",
        ),
        ("[site]\nca_bundle = 'none.pem'", "does not exist", "relative paths count from"),
        ("[site]\nca_bundle = '.'", "is not a file", None),
        ("[site]\nname = 3", "site.name must be text, not a whole number", None),
        ("[site]\nname = ''", "site.name must be one line of text", None),
        ("site = 3", "site must be a table, not a whole number", None),
        ("[site]\nnpm_registry = 'npm.test'", "must be an http or https URL", None),
        ("[site.git]\n'github.com/x' = 'https://x.test'", "not a git URL prefix", "https://"),
        ("[site.git]\n'https://github.com/x' = 'none'", "does not exist", None),
        ("[site.builder.env]\nA = 1", "site.builder.env.A must be text, not a whole number", None),
        ("[site.builder]\nmounts = 'x'", "must be an array of tables", "[[site.builder.mounts]]"),
        ("[[site.builder.mounts]]\ntarget = '/x'", "mounts[0].source is missing", None),
        ("[[site.builder.mounts]]\nsource = '.'\ntarget = 'x'", "must be an absolute path", None),
        (
            "[[site.builder.mounts]]\nsource = '.'\ntarget = '/x'\nread_only = 'no'",
            "site.builder.mounts[0].read_only must be true or false, not text",
            None,
        ),
    ],
)
def test_refusals_say_where_and_what_to_do(
    tmp_path: Path, text: str, message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(tmp_path, text)
    assert message in caught.value.message
    if hint is not None:
        assert hint in (caught.value.hint or "")


def test_ssh_addresses_are_addresses(tmp_path: Path) -> None:
    site = parse(tmp_path, "[site.git]\n'git@github.com:x/' = 'ssh://git@git.test/x/'")
    assert site.rewrite_git("git@github.com:x/y.git") == "ssh://git@git.test/x/y.git"


def test_the_options_file_is_named(tmp_path: Path) -> None:
    document = tomllib.loads("[site]\nca_bundel = 'x'")
    with pytest.raises(UsageError, match=r"^/etc/x\.toml: unknown setting site\.ca_bundel$"):
        parse_site(document, tmp_path, "/etc/x.toml")


@pytest.mark.parametrize("registry", ["http://[", "https://[::1", "https://host:port/"])
def test_a_registry_that_is_not_a_url_is_refused(tmp_path: Path, registry: str) -> None:
    with pytest.raises(UsageError, match="must be an http or https URL"):
        parse(tmp_path, f"[site]\nnpm_registry = '{registry}'")
