"""The merged options and their origins, as `loadgenctl options` shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.shell import Shell

from loadgenctl.plan.settings import Row, merge, rows


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def found(
    line: str = "", env: dict[str, str] | None = None, file: dict[str, Any] | None = None
) -> dict[str, Row]:
    return {row.key: row for row in rows(merge(line.split(), env or {}, file, "x.toml"))}


def test_every_value_knows_where_it_comes_from() -> None:
    by_key = found("--stages 3", {"SDK_REPO": "/repo"}, {"publish": True, "stages": 9})
    assert by_key["stages"] == Row("stages", 3, "flag", "--stages")
    assert by_key["sdk-repo"] == Row("sdk-repo", "/repo", "environment", "$SDK_REPO")
    assert by_key["publish"] == Row("publish", True, "file", "x.toml")
    assert by_key["sdk"] == Row("sdk", "agoric", "default", "default")


def test_an_option_without_a_value_is_left_out() -> None:
    assert "revision" not in found()
    assert "stage.0.duration" not in found()


def test_what_all_roles_have_is_shown_for_each() -> None:
    by_key = found("--limit.solo.pids 99")
    assert by_key["limit.chain.pids"] == Row("limit.chain.pids", 4096, "default", "default")
    assert by_key["limit.solo.pids"] == Row("limit.solo.pids", 99, "flag", "--limit.solo.pids")


def test_the_order_is_that_of_the_help_and_of_numbers() -> None:
    keys = list(found("--stage.10.duration 1 --stage.2.duration 1 --stage.loadgen.amm.wait 1"))
    assert keys.index("sdk") < keys.index("stages") < keys.index("stage.loadgen.amm.wait")
    assert keys.index("stage.2.duration") < keys.index("stage.10.duration")


def test_they_are_shown_as_a_table(shell: Shell) -> None:
    (shell.folder / "loadgenctl.toml").write_text('[run]\nstages = 4\noutput-dir = "[red]x"\n')
    said = shell.run("options", "--stage.duration", "1.5")
    assert said.exit_code == 0
    lines = [line.split() for line in said.stdout.splitlines()]
    assert ["stages", "4", "loadgenctl.toml"] in lines
    assert ["stage.duration", "1.5", "flag", "(--stage.duration)"] in lines
    assert ["fail-fast", "false", "default"] in lines
    assert ["output-dir", "[red]x", "loadgenctl.toml"] in lines


def test_they_are_shown_as_json(shell: Shell) -> None:
    said = shell.run("options", "--json", "--src", "here")
    (row,) = (row for row in json.loads(said.stdout) if row["option"] == "src")
    assert row == {"option": "src", "value": "here", "source": "flag", "from": "--src"}


def test_a_password_in_an_address_is_not_shown(shell: Shell) -> None:
    typed = ("--sdk-repo", "https://me:p@ss@git.example.test/sdk.git")
    for command in (("options",), ("options", "--json"), ("run", "--dry-run", "--json")):
        said = shell.run(*command, *typed)
        assert said.exit_code == 0, said.stderr
        assert "https://git.example.test/sdk.git" in said.stdout
        assert "p@ss" not in said.stdout


def test_a_mistake_is_told_as_for_a_run(shell: Shell) -> None:
    said = shell.run("options", "--stagse", "3")
    assert said.exit_code == 2
    assert "did you mean --stages?" in said.stderr
