"""Which options file counts, and what one that was not named may set."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.shell import Shell

from loadgenctl.errors import UsageError
from loadgenctl.plan.options import OPTIONS
from loadgenctl.plan.trust import HARMLESS, NEEDS_TRUST, WITHIN, find_config


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def made(file: Path, stages: int) -> Path:
    file.write_text(f"[run]\nstages = {stages}\n")
    return file


def test_none_is_needed(tmp_path: Path) -> None:
    assert find_config(None, {}, [tmp_path / "a.toml"]) == ({}, None)


def test_the_first_that_is_there_counts(tmp_path: Path) -> None:
    second, third = made(tmp_path / "b.toml", 2), made(tmp_path / "c.toml", 3)
    tables, file = find_config(None, {}, [tmp_path / "a.toml", second, third])
    assert (tables, file) == ({"run": {"stages": 2}}, second)


def test_the_environment_comes_before_and_the_flag_before_that(tmp_path: Path) -> None:
    beside, named, given = (made(tmp_path / f"{n}.toml", n) for n in (1, 2, 3))
    environment = {"LOADGENCTL_CONFIG": str(named)}
    assert find_config(None, environment, [beside])[1] == named
    assert find_config(given, environment, [beside])[1] == given
    assert find_config(None, {"LOADGENCTL_CONFIG": ""}, [beside])[1] == beside


def test_one_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    beside = made(tmp_path / "1.toml", 1)
    with pytest.raises(UsageError, match="no such file"):
        find_config(tmp_path / "gone.toml", {}, [beside])
    with pytest.raises(UsageError, match="no such file"):
        find_config(None, {"LOADGENCTL_CONFIG": str(tmp_path)}, [beside])


@pytest.mark.parametrize("content", ["stages = [", "[rnu]\n", "run = 3\n", "\ufeff\x00"])
def test_one_that_cannot_be_understood_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(content)
    with pytest.raises(UsageError):
        find_config(None, {}, [file])


@pytest.mark.parametrize("option", ["--config", "--sim-config", "--custom-bootstrap"])
def test_a_file_without_end_is_refused_and_takes_no_memory(shell: Shell, option: str) -> None:
    file = shell.folder / "large"
    file.touch()
    os.truncate(file, 100 << 30)
    said = shell.run("run", "--sdk", "sim", "--dry-run", option, str(file))
    assert said.exit_code == 2
    assert f"{file} " in said.stderr
    assert "is larger than" in said.stderr


def test_an_options_file_without_end_that_lies_in_the_folder_is_refused(shell: Shell) -> None:
    file = made(shell.folder / "loadgenctl.toml", 2)
    os.truncate(file, 100 << 30)
    said = shell.run("options")
    assert said.exit_code == 2
    assert "loadgenctl.toml is larger than 1024 KiB" in said.stderr


HOSTILE = {
    "provision-command": '[run]\nprovision-command = "touch PWNED"\n',
    "testnet-origin": '[run]\ntestnet-origin = "https://evil.example"\n',
    "profile": '[run]\nprofile = "testnet"\n',
    "sdk-repo": '[run]\nsdk-repo = "https://evil.example/sdk"\n',
    "revision": '[run]\nrevision = "0123456789"\n',
    "src": '[run]\nsrc = "."\n',
    "engine": '[run]\nengine = "local"\n',
    "publish": "[run]\npublish = true\n",
    "network": '[run]\nnetwork = "bridge"\n',
    "output-dir": '[run]\noutput-dir = "/tmp/elsewhere"\n',
    "state-dir": '[run]\nstate-dir = "~/elsewhere"\n',
    "sim-config": '[run]\nsim-config = "../sim.toml"\n',
    "custom-bootstrap": '[run]\ncustom-bootstrap = "link/passwd"\n',
    "site.git": '[site.git]\n"https://github.com/" = "https://evil.example/"\n',
    "site.builder": '[site.builder.env]\nLD_PRELOAD = "/src/x.so"\n',
    "site.ca_bundle": '[site]\nca_bundle = "/etc/hosts"\n',
    "site.goproxy": '[site]\ngoproxy = "https://evil.example"\n',
    "site.http_proxy": '[site]\nhttp_proxy = "http://evil.example:1"\n',
    "site.apt_mirror": '[site]\napt_mirror = "http://evil.example"\n',
}
COMMANDS = (
    ("run", "--sdk", "sim"),
    ("run", "--sdk", "sim", "--dry-run"),
    ("options",),
    ("up", "--sdk", "sim"),
    ("daily", "--once"),
    ("queue", "list"),
    ("compose", "--sdk", "sim", "--into", "made"),
    ("sdk", "build", "--sdk", "sim"),
    ("image", "build", "--sdk", "sim"),
)


@pytest.mark.parametrize("sets", HOSTILE)
def test_a_file_that_only_lies_in_the_folder_makes_nothing_run(shell: Shell, sets: str) -> None:
    (shell.folder / "loadgenctl.toml").write_text(HOSTILE[sets])
    (shell.folder / "link").symlink_to("/etc")
    said = shell.run("run", "--sdk", "sim", "--dry-run")
    assert said.exit_code == 2
    assert f"loadgenctl.toml in the current folder sets {sets}" in said.stderr
    assert "give --config loadgenctl.toml" in said.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_holds_to_that(shell: Shell, command: tuple[str, ...]) -> None:
    (shell.folder / "loadgenctl.toml").write_text(HOSTILE["provision-command"])
    (shell.folder / "list").write_text("v1\n")
    said = shell.run(*command)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "in the current folder sets provision-command" in said.stderr
    assert sorted(path.name for path in shell.folder.iterdir()) == ["list", "loadgenctl.toml"]


def test_every_option_is_known_to_be_harmless_or_not() -> None:
    known = [*HARMLESS, *WITHIN, *NEEDS_TRUST]
    assert sorted(known) == sorted(option.key for option in OPTIONS)


def test_numbers_stages_and_loads_need_no_trust(shell: Shell) -> None:
    (shell.folder / "loadgenctl.toml").write_text(
        """[run]
sdk = "sim"
stages = 3
engine = "docker"
profile = "local"
publish = false
output-dir = "results/mine"
state-dir = "state"
[run.stage.loadgen.faucet]
interval = 5
[site]
name = "office"
"""
    )
    said = shell.run("run", "--dry-run", "--json")
    assert said.exit_code == 0, said.stderr
    assert said.stderr == f"options from {shell.folder / 'loadgenctl.toml'}\n"
    assert len(json.loads(said.stdout)["stages"]) == 3


def test_a_file_that_is_named_may_set_everything(shell: Shell) -> None:
    named = shell.folder / "loadgenctl.toml"
    origin = shell.folder / "origin"
    origin.mkdir()
    named.write_text(
        f'[run]\nsdk = "sim"\nprofile = "testnet"\ntestnet-origin = "{origin}"\nnetwork = "n"\n'
        'provision-command = "touch PWNED"\n[site]\ngoproxy = "https://go.example"\n'
    )
    said = shell.run("run", "--dry-run", "--config", "loadgenctl.toml")
    assert said.exit_code == 0, said.stderr
    assert said.stderr.splitlines()[0] == f"options from {named}"
    assert "runs on this machine, by /bin/sh: touch PWNED" in said.stdout
    assert not (shell.folder / "PWNED").exists()


@pytest.mark.parametrize(
    ("mode", "owner", "why"),
    [
        (0o646, None, "can be changed by every user"),
        (0o664, None, "can be changed by others of its group"),
        (0o644, 4242, "belongs to another user"),
    ],
)
def test_a_file_of_others_is_not_read_at_all(
    shell: Shell, mode: int, owner: int | None, why: str
) -> None:
    file = made(shell.folder / "loadgenctl.toml", 2)
    file.chmod(mode)
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(file, -1 if owner is None else owner, 12345)
    said = shell.run("options")
    assert said.exit_code == 2
    assert f"{why}, and is not read" in said.stderr
    file.write_text("no TOML")
    assert f"{why}, and is not read" in shell.run("options").stderr
    made(file, 2)
    assert shell.run("options", "--config", "loadgenctl.toml").exit_code == 0
