"""A failed file operation: which path, whose it is, what helps; exit code 2 in every command."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.shell import Shell

from loadgenctl.engines.local_registry import Registry
from loadgenctl.errors import EngineUnavailable, UsageError
from loadgenctl.file_errors import culprit, file_error, is_file_error, user_name
from loadgenctl.resources import cache_dir

CACHE_COMMANDS = (
    ("clean", "--engine", "local"),
    ("sdk", "list"),
    ("sdk", "remove", "--all"),
    ("load", "config", "get"),
    ("run", "--sdk", "sim", "--engine", "local", "--stages", "1"),
)


@contextmanager
def as_another_user() -> Iterator[None]:
    """The process's rights are those of a user who owns nothing."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder that only root may enter, on a way that everybody may go."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


@needs_root
@pytest.mark.parametrize("command", CACHE_COMMANDS, ids=" ".join)
def test_a_cache_of_another_user_is_named_with_its_owner_and_the_way_out(
    foreign: Path,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(foreign.parent))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    work = foreign.parent / "work"
    work.mkdir()
    work.chmod(0o777)
    # Modules are loaded now: the other user may not read where they are installed.
    (foreign.parent / "file").touch()
    monkeypatch.setenv("LOADGENCTL_CACHE", str(foreign.parent / "file" / "below"))
    for other in CACHE_COMMANDS:
        Shell(work, capsys).run(*other)
    monkeypatch.setenv("LOADGENCTL_CACHE", str(foreign))
    with as_another_user():
        said = Shell(work, capsys).run(*command)
    assert said.exit_code == 2, said.stderr
    assert str(foreign) in said.stderr
    assert f"belongs to {user_name(0)}" in said.stderr
    assert "LOADGENCTL_CACHE" in said.stderr
    assert "internal error" not in said.stderr


@needs_root
def test_a_local_folder_of_another_user_is_not_called_open_to_others(foreign: Path) -> None:
    with as_another_user(), pytest.raises(EngineUnavailable, match=r"belongs to root") as raised:
        Registry(foreign, python="python3").prepare()
    assert "chmod 700" not in str(raised.value.hint)


def test_a_local_folder_that_others_may_enter_is_to_be_made_private(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir(mode=0o755)
    (tmp_path / "local").chmod(0o755)
    with pytest.raises(EngineUnavailable, match="other users may enter") as raised:
        Registry(tmp_path / "local", python="python3").prepare()
    assert "chmod 700" in str(raised.value.hint)


@needs_root
def test_the_folder_that_denies_access_is_told_apart_from_the_path(foreign: Path) -> None:
    with as_another_user():
        assert culprit(foreign / "sdk" / ".locks" / "x.lock") == foreign
        told = file_error(PermissionError(errno.EACCES, "Permission denied", foreign / "a" / "b"))
    assert f"{foreign} belongs to root" in told.message
    assert "you own" in str(told.hint)


@pytest.mark.parametrize(
    ("command", "make"),
    [
        (("sdk", "remove", "--all"), "file"),
        (("run", "--sdk", "sim", "--engine", "local", "--stages", "1"), "file"),
        (("run", "--sdk", "sim", "--engine", "local", "--stages", "1"), "loop"),
        (("clean", "--engine", "local"), "long"),
    ],
)
def test_a_cache_that_is_no_folder_is_a_usage_error_that_names_it(
    tmp_path: Path,
    command: tuple[str, ...],
    make: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / ("n" * 300 if make == "long" else "cache")
    if make == "file":
        place.write_text("")
        place = place / "below"
    elif make == "loop":
        place.symlink_to(tmp_path / "other")
        (tmp_path / "other").symlink_to(place)
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        place = place / "loadgenctl"
    if make != "loop":
        monkeypatch.setenv("LOADGENCTL_CACHE", str(place))
    else:
        monkeypatch.delenv("LOADGENCTL_CACHE", raising=False)
    said = Shell(tmp_path, capsys).run(*command)
    assert "internal error" not in said.stderr
    assert "Traceback" not in said.stderr
    if said.exit_code != 0:  # nothing to remove where there is nothing
        assert said.exit_code == 2
        assert str(place)[:40] in said.stderr
        assert "hint: " in said.stderr


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.EROFS, "read-only"),
        (errno.ENOTDIR, "not a folder"),
        (errno.ELOOP, "leads back"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.ENOSPC, "free some space"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOLCK, "no locks"),
        (errno.EIO, "disk"),
    ],
)
def test_every_failure_has_a_hint_of_its_own(number: int, word: str, tmp_path: Path) -> None:
    told = file_error(OSError(number, os.strerror(number), str(tmp_path / "x")))
    assert str(tmp_path / "x") in told.message
    assert word in str(told.hint)
    assert told.exit_code == 2


def test_a_limit_is_told_without_a_path_and_an_unknown_failure_is_left_alone() -> None:
    limit = OSError(errno.EMFILE, "Too many open files")
    assert is_file_error(limit)
    assert "too many open files" in file_error(limit).message
    assert not is_file_error(OSError(errno.ECONNRESET, "Connection reset"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "rel", "HOME": "/home/a"}, "/home/a/.cache/loadgenctl"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/a"}, "/home/a/.cache/loadgenctl"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/a"}, "/x/loadgenctl"),
        ({"LOADGENCTL_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"),
    ],
)
def test_the_cache_is_absolute_and_a_relative_xdg_folder_is_ignored(
    environment: dict[str, str], expected: str
) -> None:
    assert cache_dir(environment) == Path(expected)


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_usable_home_the_cache_is_that_of_the_passwords_entry(
    environment: dict[str, str],
) -> None:
    assert cache_dir(environment).is_absolute()
    assert cache_dir(environment).name == "loadgenctl"


def test_a_relative_cache_of_our_own_is_made_absolute() -> None:
    assert cache_dir({"LOADGENCTL_CACHE": "rel2"}) == Path.cwd() / "rel2"


def test_a_cache_of_an_unknown_user_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such user"):
        cache_dir({"LOADGENCTL_CACHE": "~nobody-of-that-name/x"})


def test_links_that_lead_in_a_circle_are_a_usage_error_that_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for words in (("--dry-run", "--output-dir", "a/x"), ("--dry-run", "--src", "a")):
        said = Shell(tmp_path, capsys).run("run", "--sdk", "sim", *words)
        assert said.exit_code == 2, said.stderr
        assert str(tmp_path / "a") in said.stderr
        assert "symbolic link" in said.stderr


@needs_root
def test_a_user_without_a_home_folder_needs_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    os.setresuid(54321, 0, 0)
    try:
        said = Shell(tmp_path, capsys).run("run", "--sdk", "sim", "--dry-run")
    finally:
        os.setresuid(0, 0, 0)
    assert said.exit_code == 0, said.stderr
