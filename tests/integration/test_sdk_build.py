"""A tiny SDK from a git repository, built in real builder containers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.docker_support import DockerUnderTest

from loadgenctl.building.builder import Builder, SdkBuild
from loadgenctl.clock import SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.errors import BuildError
from loadgenctl.model import Command, Mount, ResolvedRevision
from loadgenctl.owner import Owner
from loadgenctl.process import Runner
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import GitSource
from loadgenctl.sources.giturl import slug_of
from loadgenctl.sources.sdk_cache import SdkCache

pytestmark = pytest.mark.docker

USER = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "1000:1000"
URL = "https://git.example.test/tiny.git"
PATIENCE = 60.0


def shell(label: str, script: str) -> Command:
    return Command(("sh", "-ec", script), label=label, timeout=PATIENCE)


RECIPE = BuildRecipe(
    steps=(
        shell("count", "date >> /cache/tiny/builds"),
        shell("compile", "echo compiling; cp source.txt built.txt; id -u > user.txt"),
        shell("check", 'test "$SITE" = yes; test -f /site/ca.pem; cat built.txt'),
    ),
    caches={"tiny": "/cache/tiny"},
    sparse=("/*", "!/docs/"),
)


@dataclass
class Workshop:
    """A repository, a cache and builders."""

    root: Path
    engine: DockerEngine
    image: str
    run: str

    def source(self) -> GitSource:
        return GitSource(
            Runner(), self.root / "cache", rewrite_git=lambda _url: str(self.root / "tiny")
        )

    def resolve(self) -> ResolvedRevision:
        return self.source().resolve(SourceRequest("agoric", "main", URL))

    def what(self, recipe: BuildRecipe) -> SdkBuild:
        return SdkBuild(self.source(), self.resolve(), recipe, self.image)

    def builder(self, on_step: Callable[[str], None] = lambda _text: None) -> Builder:
        return Builder(
            engine=self.engine,
            clock=SystemClock(),
            cache=SdkCache(self.root / "cache" / "sdk"),
            packages=self.root / "cache" / "pkg",
            user=USER,
            env={"SITE": "yes"},
            mounts=(Mount(str(self.root / "site"), "/site", read_only=True),),
            labels=ownership_labels.make(Owner.current(), self.run, "builder"),
            on_step=on_step,
        )

    @property
    def package_cache(self) -> Path:
        """Where the recipe's package cache is on the host."""
        return self.root / "cache" / "pkg" / slug_of(URL) / "tiny"

    @property
    def log(self) -> Path:
        return self.root / "build.log"

    def containers(self) -> list[str]:
        left = self.engine.leftovers()
        return [item.name for item in left if item.labels.get(ownership_labels.RUN) == self.run]


@pytest.fixture
def workshop(docker_under_test: DockerUnderTest, tmp_path: Path) -> Iterator[Workshop]:
    folder = tmp_path / "tiny"
    (folder / "docs").mkdir(parents=True)
    (folder / "source.txt").write_text("what it is made of\n")
    (folder / "docs" / "large").write_text("x" * 1000)
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        done = Runner().run(["git", *who, *args], cwd=folder)
        assert done.exit_code == 0, done.last_lines()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "ca.pem").write_text("certificate\n")
    engine = docker_under_test.engine()
    yield Workshop(tmp_path, engine, docker_under_test.image, f"build-{tmp_path.name}")
    engine.close()


def test_it_is_built_once_and_found_again(workshop: Workshop) -> None:
    lines: list[str] = []
    steps: list[str] = []
    builder = replace(workshop.builder(steps.append), on_line=lines.append)
    resolved = workshop.resolve()
    tree = builder.build(workshop.what(RECIPE), workshop.log)

    assert (tree / "built.txt").read_text() == "what it is made of\n"
    assert (tree / "user.txt").read_text().strip() == USER.partition(":")[0]
    assert not (tree / "docs").exists()
    assert steps == [f"checking out {resolved.short}", "count", "compile", "check"]
    assert lines == ["compiling", "what it is made of"]
    assert "==> compile\ncompiling\n" in workshop.log.read_text()
    record = json.loads((tree.parent / "build.json").read_text())
    assert record["commit"] == resolved.commit
    assert set(record["durations"]) == {"checkout", "count", "compile", "check"}
    assert workshop.containers() == []

    again = workshop.builder().build(workshop.what(RECIPE), workshop.log)
    assert again == tree
    builds = workshop.package_cache / "builds"
    assert len(builds.read_text().splitlines()) == 1


def test_a_failing_step(workshop: Workshop) -> None:
    script = "for n in $(seq 100); do echo $n; echo no rule for $n >&2; done; exit 5"
    recipe = BuildRecipe(steps=(shell("compile", script), shell("never", "touch /src/reached")))
    with pytest.raises(BuildError) as caught:
        workshop.builder().build(workshop.what(recipe), workshop.log)
    assert caught.value.exit_code == 3
    assert "'compile' failed with exit code 5" in caught.value.message
    said = [text for n in range(1, 101) for text in (f"{n}", f"no rule for {n}")]
    assert str(caught.value.detail).splitlines() == said[-30:]
    assert workshop.log.read_text().splitlines() == ["==> compile", *said]
    assert [p.name for p in (workshop.root / "cache" / "sdk").iterdir()] == [".locks"]
    assert workshop.containers() == []


def test_an_interrupt_leaves_nothing(workshop: Workshop) -> None:
    begun = threading.Event()

    def interrupted() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    builder = replace(workshop.builder(), on_line=lambda _line: begun.set(), check=interrupted)
    recipe = BuildRecipe(steps=(shell("endless", "echo begun; sleep 1000"),))
    with pytest.raises(KeyboardInterrupt):
        builder.build(workshop.what(recipe), workshop.log)
    assert workshop.containers() == []
    assert [p.name for p in (workshop.root / "cache" / "sdk").iterdir()] == [".locks"]


def test_two_builds_of_one_revision_make_one(workshop: Workshop) -> None:
    """The first build goes on only when the second has said that it waits."""
    packages = workshop.package_cache
    waited: list[str] = []

    def on_step(text: str) -> None:
        if text.startswith("waiting"):
            waited.append(text)
            (packages / "go").touch()

    wait = "until [ -e /cache/tiny/go ]; do sleep 0.1; done"
    recipe = replace(RECIPE, steps=(*RECIPE.steps, shell("wait", wait)))
    resolved = workshop.resolve()

    def build(number: int) -> Path:
        log = workshop.root / f"{number}.log"
        return workshop.builder(on_step).build(workshop.what(recipe), log)

    packages.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(build, (1, 2), timeout=PATIENCE)
    assert first == second
    assert waited == [f"waiting for another build of {resolved.short}"]
    assert len((packages / "builds").read_text().splitlines()) == 1
