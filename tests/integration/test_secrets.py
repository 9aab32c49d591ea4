"""Passwords and tokens of the caller and the site reach the build alone: nothing tells of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import zstandard
from tests.integration.loadgenctl_process import ROLES, Desk
from tests.integration.sim_repository import sim_repository

pytestmark = pytest.mark.docker

SECRET: Final = "hidden-0a1b2c3d"
ADDRESS: Final = f"https://user:{SECRET}-repo@git.example.test/sim.git"
# Its build prints all that it knows, and needs it.
CHAIN: Final = f"""#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if "--version" in sys.argv:
    assert os.environ["BUILD_TOKEN"] == "{SECRET}-env"
    assert "{SECRET}-proxy" in os.environ["HTTP_PROXY"]
    print(json.dumps(dict(os.environ)), "the end of it", flush=True)
from simsdk.chain_main import main
if __name__ == "__main__":
    sys.exit(main())
"""
CALLER: Final = {"SDK_REPO": ADDRESS, "NPM_TOKEN": f"{SECRET}-caller", "TOKEN": f"{SECRET}-caller"}


def site_of(folder: Path) -> Path:
    """Site settings with a secret wherever one may be."""
    sim_repository(folder / "sim.git", "main-1", {"bin/sim-chain": CHAIN})
    mounted = folder / f"{SECRET}-folder"
    mounted.mkdir()
    file = folder / "loadgenctl.toml"
    file.write_text(
        f"""[site]
name = "office"
goproxy = "https://user:{SECRET}-go@go.example.test"
http_proxy = "http://user:{SECRET}-proxy@proxy.example.test:3128"
[site.git]
"https://user:{SECRET}-repo@git.example.test/" = "{folder}"
[site.builder.env]
BUILD_TOKEN = "{SECRET}-env"
[[site.builder.mounts]]
source = "{mounted}"
target = "/site"
"""
    )
    return file


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder, unpacked."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        yield path.name, content


def test_nothing_of_them_is_told_recorded_or_handed_to_a_role(desk: Desk, tmp_path: Path) -> None:
    # The image is made without the proxy, which leads nowhere.
    made, _ = desk.do("image", "build", "--sdk", "sim", "--json")
    image = json.loads(made.stdout)["tag"]
    env = {**CALLER, "LOADGENCTL_CACHE": str(tmp_path / "cache")}
    given = ("--config", str(site_of(tmp_path)), "--sdk", "sim", "--revision", "main-1")
    load = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1")
    reports = ("--junit", str(tmp_path / "junit.xml"), "--markdown", str(tmp_path / "page.md"))
    command, records = desk.start(
        "run", *given, *load, "--stage.0.loadgen.cycles", "2", *desk.settings(), *reports, **env
    )
    with command:
        command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        roles: Any = [desk.engine.inspect(command.pid, role) for role in ROLES]
        ended = command.end()
    assert ended.exit_code == 0, ended.stderr

    found = dict(texts(records.folder))
    assert b"the end of it" in found["build.log"]
    assert b'"BUILD_TOKEN": "***"' in found["build.log"]
    assert b"https://git.example.test/sim.git" in found["run.json"]
    assert len(found) > 10
    api: Any = desk.engine.client.api
    told = {
        **found,
        "junit": (tmp_path / "junit.xml").read_bytes(),
        "markdown": (tmp_path / "page.md").read_bytes(),
        "output": f"{ended.stdout}{ended.stderr}".encode(),
        "roles": json.dumps(roles).encode(),
        "image": json.dumps([api.inspect_image(image), api.history(image)]).encode(),
    }
    for words in (
        ("options", "--json", *given, *load),
        ("run", "--dry-run", "--json", *given, *load),
        ("run", *given[:-1], "no-such-revision"),
        ("compose", "--into", str(tmp_path / "compose"), *given),
        ("run", *given[2:]),
    ):
        said, _ = desk.do(*words, **env)
        assert said.exit_code == (2 if words[0] == "run" and "--dry-run" not in words else 0)
        told[" ".join(words)] = f"{said.stdout}{said.stderr}".encode()
    told |= texts(tmp_path / "compose")
    assert [name for name, text in told.items() if SECRET.encode() in text] == []
