"""Paths of containers as paths of this machine, and the environment that goes with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.engines.local_processes import MARK, Paths, environment

MOUNTS = {"/src": "/opt/sdk", "/out": "/runs/one/shared", "/state": "/runs/one/state"}


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("/src", "/opt/sdk"),
        ("/src/", "/opt/sdk/"),
        ("/out/tools/agent/agent.py", "/runs/one/shared/tools/agent/agent.py"),
        ("--home=/state/project/chain", "--home=/runs/one/state/project/chain"),
        ("/src/bin:/src/lib:/usr/bin", "/opt/sdk/bin:/opt/sdk/lib:/usr/bin"),
        (
            "echo made >/out/made; cat '/out/made'",
            "echo made >/runs/one/shared/made; cat '/runs/one/shared/made'",
        ),
        ('{"file": "/out/x"}', '{"file": "/runs/one/shared/x"}'),
        ("file:/src/x", "file:/opt/sdk/x"),
    ],
)
def test_whole_paths_are_translated(text: str, here: str) -> None:
    assert Paths(MOUNTS).here(text) == here


@pytest.mark.parametrize(
    "text",
    [
        "/srcs",
        "/src.bak/x",
        "/src-old",
        "/usr/src/linux",
        "./src/x",
        "../out",
        "~/state",
        "src/out/state",
        "http://127.0.0.1/out",
        "-I/src",
        "",
    ],
)
def test_parts_of_other_paths_are_left_alone(text: str) -> None:
    assert Paths(MOUNTS).here(text) == text


def test_the_longer_target_goes_first() -> None:
    paths = Paths({"/out": "/a", "/out/tools": "/b"})
    assert paths.here("/out/x /out/tools/x") == "/a/x /b/x"


def test_a_source_that_looks_like_a_target_is_not_translated_again() -> None:
    paths = Paths({"/out": "/src/results", "/src": "/out/sdk"})
    assert paths.here("/out/x:/src/y") == "/src/results/x:/out/sdk/y"


@given(st.text())
def test_without_mounts_nothing_changes(text: str) -> None:
    assert Paths({}).here(text) == text


def test_the_commands_variables_go_over_the_callers() -> None:
    made = environment(
        {"HOME": "/home/me", "LANG": "C.UTF-8"},
        {"HOME": "/state/home", "SLOGFILE": "/out/chain.slog"},
        Paths(MOUNTS),
        first="/private/bin",
        container="abc",
    )
    assert made == {
        "HOME": "/runs/one/state/home",
        "LANG": "C.UTF-8",
        "SLOGFILE": "/runs/one/shared/chain.slog",
        "PATH": "/private/bin",
        MARK: "abc",
    }


def test_an_images_folders_make_way_for_the_callers_path() -> None:
    made = environment(
        {"PATH": "/home/me/.nvm/bin:/usr/bin"},
        {"PATH": "/src/packages/solo/bin:/opt/node/bin:/usr/local/bin:/usr/bin:/bin"},
        Paths(MOUNTS),
        first="/private/bin",
        container="abc",
    )
    wanted = "/private/bin:/opt/sdk/packages/solo/bin:/home/me/.nvm/bin:/usr/bin"
    assert made["PATH"] == wanted
