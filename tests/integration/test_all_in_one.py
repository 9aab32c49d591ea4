"""The one-container image of the simulated SDK: built, filled from a repository, stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient
from docker.models.containers import Container
from tests.docker_support import DockerUnderTest
from tests.integration.loadgenctl_process import CHAIN_STOPPED, QUICK, Desk, Records
from tests.integration.sim_repository import sim_repository
from tests.waiting import eventually

from loadgenctl.process import Runner

pytestmark = pytest.mark.docker

IMAGE = f"loadgenctl-test/all-in-one:{os.getpid()}"
BUILD_WITHIN = 600.0
"""Seconds for the image with nothing of it there: Debian's packages and Python's are fetched."""
USER = (4321, 4321) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
"""Whose the results folder is: not the one who starts the container, where that can be."""
LOAD = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--sim-config", "sim.toml")


@dataclass(frozen=True)
class Box:
    """Containers of the image, with the folders that a person mounts."""

    client: DockerClient
    folder: Path
    repository: Path

    def results(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        os.chown(folder, *USER)
        return folder

    @contextmanager
    def running(self, out: Path, *arguments: str, **environment: str) -> Iterator[Container]:
        folders = {
            out: ("/out", "rw"),
            self.folder / "src": ("/src", "rw"),
            self.folder / "etc": ("/etc/loadgenctl", "ro"),
            self.repository: ("/repo", "ro"),
        }
        made = self.client.containers.run(
            IMAGE,
            list(arguments),
            detach=True,
            network_mode="none",
            environment=environment,
            volumes={str(path): {"bind": at, "mode": how} for path, (at, how) in folders.items()},
        )
        try:
            yield made
        finally:
            made.remove(force=True)


@pytest.fixture(scope="module")
def box(
    docker_under_test: DockerUnderTest, desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    command, _ = desk.start("image", "build", "--all-in-one", "--sdk", "sim", "-t", IMAGE, "--json")
    with command:
        ended = command.end(timeout=BUILD_WITHIN)
    assert ended.exit_code == 0, ended.stderr
    folder = tmp_path_factory.mktemp("all-in-one")
    for name in ("src", "etc"):
        (folder / name).mkdir()
    (folder / "etc" / "sim.toml").write_text(QUICK)
    client = docker_under_test.client()
    yield Box(client, folder, sim_repository(folder / "repo", "first"))
    for name in (IMAGE, json.loads(ended.stdout)["tag"]):
        client.api.remove_image(name)
    client.close()


@pytest.fixture(scope="module")
def filled(box: Box) -> Records:
    """The results of a run that found nothing in /src, and passed."""
    out = box.results("filled")
    options = ("--no-reset", *LOAD, "--stage.0.loadgen.cycles", "2")
    with box.running(out, *options, SDK_REVISION="first", SDK_REPO="/repo") as container:
        ended = container.wait(timeout=120)
        said = container.logs().decode()
    assert ended["StatusCode"] == 0, said
    return Records(out)


def test_an_empty_folder_is_filled_and_all_belongs_to_the_owner_of_the_results(
    box: Box, filled: Records
) -> None:
    run = filled.document("run.json")
    assert filled.status["outcome"] == "passed"
    assert filled.cycles(finished_in=0) >= 2
    assert run["engine"]["kind"] == "local"
    assert run["image"]["tag"].startswith("loadgenctl/sim:")
    source = box.folder / "src"
    head = Runner().run(["git", "-c", "safe.directory=*", "rev-parse", "HEAD"], cwd=source)
    assert head.text() == run["sdk"]["commit"]
    made = [path for top in (filled.folder, source) for path in (top, *top.rglob("*"))]
    assert {path.name for path in made} >= {"summary.json", "chain-stage-0.slog.gz", "sim-chain"}
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {USER}


def test_what_is_there_is_used_until_a_stop_and_no_zombie_stays(box: Box, filled: Records) -> None:
    marked = box.folder / "src" / "mine"
    marked.write_text("not to be touched")
    records = Records(box.results("stopped"))
    # Nothing is checked out of the repository, which is not even there.
    with box.running(
        records.folder, *LOAD, "--stage.0.duration", "10", SDK_REPO="/nowhere"
    ) as container:
        _eventually(container, lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        told = _said(container, "loadgenctl", "load", "config", "get")
        assert json.loads(told)["faucet"]["interval"] == 1
        assert _rights(container) == {("0000000000000000", "1")}
        _said(container, "sh", "-c", "(sleep 0.2 &)")
        _eventually(
            container,
            lambda: "sleep" not in _states(container) and "Z" not in _states(container).values(),
            "an orphan is reaped",
        )
        container.stop(timeout=60)
        assert container.wait(timeout=60)["StatusCode"] == 130, container.logs().decode()
        assert "interrupted by SIGTERM" in container.logs().decode()
    assert records.status["outcome"] == "interrupted"
    assert records.perf(0)[-4:] == ["client-stopped", *CHAIN_STOPPED]
    assert records.slog("chain-stage-0.slog.gz")
    assert records.document("summary.json")["run"]["outcome"] == "interrupted"
    assert marked.read_text() == "not to be touched"
    assert (
        records.document("run.json")["sdk"]["commit"]
        == filled.document("run.json")["sdk"]["commit"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stagse", "1"), "did you mean --stages?"),
        (("--engine", "docker"), "no Docker engine answers"),
        (("--sdk", "agoric"), "is not the Agoric SDK"),
        (("--revision", "second"), "but the requested revision is second"),
    ],
)
def test_mistakes_are_told(
    box: Box, filled: Records, tmp_path: Path, arguments: Sequence[str], said: str
) -> None:
    os.chown(tmp_path, *USER)
    with box.running(tmp_path, *arguments) as container:
        assert container.wait(timeout=60)["StatusCode"] == 2
        assert said in " ".join(container.logs().decode().split())
    assert list(tmp_path.iterdir()) == []


def _said(container: Container, *argv: str) -> str:
    """What a command says that is executed in a container, as `docker exec` does it."""
    output = container.exec_run(list(argv)).output
    assert isinstance(output, bytes)
    return output.decode()


def _eventually(container: Container, so: Callable[[], bool], what: str) -> None:
    eventually(so, what, evidence=lambda: container.logs().decode())


def _rights(container: Container) -> set[tuple[str, str]]:
    """Effective capabilities and `no-new-privileges` of the processes that are the user's."""
    found = set()
    for text in _said(container, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null").split("Name:"):
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if fields.get("Uid", "").split()[:1] == [str(USER[0])]:
            found.add((fields["CapEff"], fields["NoNewPrivs"]))
    return found


def _states(container: Container) -> dict[str, str]:
    """Program → state of the processes in a container, as the kernel names them."""
    found = {}
    for line in _said(container, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null").splitlines():
        name, _, rest = line.partition("(")[2].rpartition(")")
        found[name] = rest.split()[0]
    return found
