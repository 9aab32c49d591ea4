"""Site settings where builds have no container to mount things in."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.building.site import SiteBuilder, SiteMount, SiteSettings
from loadgenctl.cli.wiring import keep_gitconfig, local_build_settings
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.model import Mount


def test_paths_are_those_of_this_machine(tmp_path: Path) -> None:
    bundle, homes = tmp_path / "ca.pem", tmp_path / "home"
    bundle.write_text("a certificate")
    site = SiteSettings(
        ca_bundle=bundle,
        npm_registry="https://npm.example.test",
        git={"https://git.example.test/sdk": "/mirrors/sdk"},
        builder=SiteBuilder({"GOFLAGS": "-mod=mod"}),
    )
    env, mounts = local_build_settings(site, homes)
    (home,) = homes.iterdir()
    assert env["NODE_EXTRA_CA_CERTS"] == str(bundle)
    assert env["npm_config_registry"] == "https://npm.example.test"
    assert env["GOFLAGS"] == "-mod=mod"
    assert mounts == (Mount(str(home), "/tmp/home"),)
    assert '[url "file:///mirrors/sdk"]' in (home / ".gitconfig").read_text()
    assert homes.stat().st_mode & 0o077 == 0


def test_git_settings_of_one_build_are_not_changed_by_another(tmp_path: Path) -> None:
    first = keep_gitconfig(tmp_path / "site", "gitconfig", "[safe]\n")
    descriptor = first.open()
    second = keep_gitconfig(tmp_path / "site", "gitconfig", "[core]\n")
    assert second != first
    assert keep_gitconfig(tmp_path / "site", "gitconfig", "[safe]\n") == first
    with descriptor:
        assert descriptor.read() == "[safe]\n"
    assert first.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "site").stat().st_mode & 0o077 == 0
    first.write_text("damaged")
    assert keep_gitconfig(tmp_path / "site", "gitconfig", "[safe]\n").read_text() == "[safe]\n"


def test_a_mount_has_to_be_there_already(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    link.symlink_to(there)
    mounts = SiteBuilder(mounts=(SiteMount(there, str(link)),))
    local_build_settings(SiteSettings(builder=mounts), tmp_path / "h")
    for target in (tmp_path / "nowhere", tmp_path):
        site = SiteSettings(builder=SiteBuilder(mounts=(SiteMount(there, str(target)),)))
        with pytest.raises(UsageError) as caught:
            local_build_settings(site, tmp_path / "h")
        assert f"{there} is not at {target}" in caught.value.message
        assert "docker run -v" in (caught.value.hint or "")


def test_without_settings_the_authority_is_the_machines_own(tmp_path: Path) -> None:
    env, _ = local_build_settings(SiteSettings(), tmp_path / "home")
    assert env == {}


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match="cannot use"):
        local_build_settings(SiteSettings(), tmp_path / "file" / "home")
