"""What is kept between runs, and the load of a running one, by the commands for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.loadgenctl_process import SIM, Desk, Loadgenctl, Records

from loadgenctl import resources
from loadgenctl.sdks import sim
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.bundled import BundledSource, BundledTree

pytestmark = pytest.mark.docker

Under = Callable[..., tuple[Loadgenctl, Records]]


def asked(desk: Desk, *arguments: str, **env: str) -> Any:
    """The JSON that a command prints."""
    ended, _ = desk.do(*arguments, "--json", **env)
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def own_folder(path: Path) -> Path:
    """The simulated SDK in a folder of a person's own."""
    source = BundledSource()
    resolved = source.resolve(SourceRequest("sim"))
    tree = BundledTree(resources.images("sim"))
    source.materialize(resolved, sim.make(resolved, tree).build(), path)
    return path


def test_an_sdk_is_built_found_listed_and_removed(desk: Desk, tmp_path: Path) -> None:
    cache = {"LOADGENCTL_CACHE": str(tmp_path)}
    built = asked(desk, "sdk", "build", "--sdk", "sim", **cache)
    assert Path(built["source"]).is_dir()
    again = asked(desk, "sdk", "build", "--sdk", "sim", **cache)
    assert (again["key"], again["built_at"]) == (built["key"], built["built_at"])
    (listed,) = asked(desk, "sdk", "list", **cache)
    assert (listed["key"], listed["image"]) == (built["key"], built["image"])
    images = asked(desk, "image", "list", **cache)
    assert built["image"] in {image["tag"] for image in images}
    made = asked(desk, "image", "build", "--sdk", "sim", **cache)
    assert made == {"tag": built["image"], "id": built["image_id"], "name": None}
    removed, _ = desk.do("sdk", "remove", "--all", **cache)
    assert removed.stdout.startswith(f"removed {built['key']}")
    assert asked(desk, "sdk", "list", **cache) == []
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_build_that_fails_ends_with_3_and_keeps_its_log(desk: Desk, tmp_path: Path) -> None:
    own = own_folder(tmp_path / "own")
    build = ("sdk", "build", "--sdk", "sim", "--src", str(own))
    cache = {"LOADGENCTL_CACHE": str(tmp_path / "cache")}
    assert desk.do(*build, **cache)[0].exit_code == 0
    with (own / "bin" / "sim-chain").open("a") as file:
        file.write("this is no Python(\n")
    ended, _ = desk.do(*build, **cache)
    assert ended.exit_code == 3
    (log,) = (tmp_path / "cache" / "logs").iterdir()
    assert "SyntaxError" in log.read_text()
    assert str(log) in ended.stderr


def test_the_load_of_a_running_run_is_read_and_changed(desk: Desk, under_load: Under) -> None:
    command, records = under_load(settings=desk.settings())
    run = str(records.folder)
    shown, _ = desk.do("load", "config", "get", run)
    assert json.loads(shown.stdout) == {"faucet": {"interval": 1, "wait": 0, "limit": 1}}

    refused, _ = desk.do("load", "config", "set", run, '{"faucet": {"interval": 0}}')
    assert (refused.exit_code, refused.stdout) == (2, "")
    done, _ = desk.do("load", "config", "set", run, '{"vault": {"interval": 1}}')
    assert done.exit_code == 0, done.stderr
    assert list(json.loads(done.stdout)) == ["vault"]
    command.until(
        lambda: any(row["task"] == "vault" for row in records.rows("cycles.jsonl")),
        "a cycle of the new load finishes",
    )

    kept, _ = desk.do("image", "remove", records.document("run.json")["image"]["tag"])
    assert (kept.exit_code, kept.stdout) == (2, "")
    assert "is in use" in kept.stderr

    command.ctrl_c()
    assert command.end().exit_code == 130
    over, _ = desk.do("load", "config", "get", run)
    assert over.exit_code == 2
    assert "is over: interrupted" in over.stderr


def test_an_sdk_that_a_run_uses_is_not_removed(desk: Desk, tmp_path: Path) -> None:
    cache = {"LOADGENCTL_CACHE": str(tmp_path)}
    load = ("--stages", "1", "--stage.0.duration", "30", *desk.settings())
    command, records = desk.start(*SIM, *load, **cache)
    with command:
        command.until(lambda: records.reached("chain-ready", 0), "the chain is ready")
        (entry,) = asked(desk, "sdk", "list", **cache)
        kept, _ = desk.do("sdk", "remove", entry["key"], **cache)
        assert (kept.exit_code, kept.stdout) == (2, "")
        assert "a run is using" in kept.stderr
        command.ctrl_c()
        assert command.end().exit_code == 130
    removed, _ = desk.do("sdk", "remove", entry["key"], **cache)
    assert removed.exit_code == 0, removed.stderr
