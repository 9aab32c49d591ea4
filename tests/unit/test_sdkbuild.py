"""The build of an SDK, step by step, on a scripted engine."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fakes import FakeClock, FakeEngine, Script

from loadgenctl.building.builder import Builder, SdkBuild, _Output, hand_over, owner_ids, recipe_id
from loadgenctl.engines.base import Handle
from loadgenctl.errors import BuildError, EngineError, Interrupted, UsageError, VersionsMissing
from loadgenctl.masking import mask_of
from loadgenctl.model import Command, Mount, ResolvedRevision, RoleSpec
from loadgenctl.sdks.base import BuildRecipe, SourceTree
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.giturl import slug_of
from loadgenctl.sources.sdk_cache import SdkCache

ME = f"{os.getuid()}:{os.getgid()}"
IMAGE = "sha256:" + "12" * 32
REVISION = ResolvedRevision(
    "agoric", "main", "ab" * 20, 1, "ab" * 20, "https://git.example.test/sdk"
)
RECIPE = BuildRecipe(
    steps=(
        Command(("install", "all"), env={"A": "step"}, label="install packages"),
        Command(("make",), workdir="/src/go", label="compile"),
    ),
    caches={"yarn": "/cache/yarn", "go": "/cache/go"},
)


@dataclass
class FolderSource:
    """A source whose only file says which revision it is."""

    made: int = 0
    error: Exception | None = None

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        return REVISION

    def tree(self, resolved: ResolvedRevision) -> SourceTree:
        raise NotImplementedError

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        self.made += 1
        if self.error:
            raise self.error
        assert list(into.iterdir()) == []
        (into / "revision").write_text(resolved.content_id)


@dataclass
class World:
    root: Path
    clock: FakeClock = field(default_factory=FakeClock)
    source: FolderSource = field(default_factory=FolderSource)
    steps: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    engine: FakeEngine = field(init=False)

    def __post_init__(self) -> None:
        self.script(Script(lines=((1, "working"),), exit_after=2))

    def script(self, *scripts: Script) -> None:
        self.engine = FakeEngine(self.clock, {"builder": scripts})

    def builder(
        self,
        check: Callable[[], None] = lambda: None,
        cleaning: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Builder:
        return Builder(
            engine=self.engine,
            clock=self.clock,
            cache=SdkCache(self.root / "sdk"),
            packages=self.root / "pkg",
            user=ME,
            env={"A": "site", "B": "site"},
            mounts=(Mount("/site", "/site", read_only=True),),
            labels={"owner": "me"},
            on_step=self.steps.append,
            on_line=self.lines.append,
            check=check,
            cleaning=cleaning,
        )

    def what(self, revision: ResolvedRevision, recipe: BuildRecipe = RECIPE) -> SdkBuild:
        return SdkBuild(self.source, revision, recipe, IMAGE)

    def build(self, recipe: BuildRecipe = RECIPE) -> Path:
        return self.builder().build(self.what(REVISION, recipe), self.log)

    @property
    def log(self) -> Path:
        return self.root / "results" / "logs" / "build.log"

    def nothing_left(self) -> bool:
        names = {path.name for path in (self.root / "sdk").iterdir()}
        return names == {".locks"} and self.engine.leftovers() == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def cache_of(repository: str, world: World) -> Path:
    return world.root / "pkg" / slug_of(repository)


def test_a_build_writes_into_no_cache_of_another_repository_s_builds(world: World) -> None:
    world.build()
    fork = replace(REVISION, repository="https://example.com/fork", content_id="cd" * 20)
    world.builder().build(world.what(fork), world.log)
    again = replace(REVISION, content_id="ef" * 20)
    world.builder().build(world.what(again), world.log)
    mine = world.root / "mine"
    mine.mkdir()
    world.builder().build_in_place(mine, RECIPE, IMAGE, world.log)
    used = [
        {Path(mount.source).parent for mount in made.spec.mounts if mount.target != "/src"}
        - {Path("/")}
        for made in world.engine.made("builder")[::2]
    ]
    first, of_fork, next_of_first, in_place = used
    assert first == next_of_first == {cache_of(REVISION.repository, world)}
    assert of_fork == {cache_of(fork.repository, world)}
    assert in_place == {cache_of(str(mine), world)}
    assert len({*first, *of_fork, *in_place}) == 3


def test_every_step_runs_in_a_container_of_its_own(world: World) -> None:
    tree = world.build()
    assert tree == world.root / "sdk" / "agoric-abababababab-121212121212" / "src"
    assert (tree / "revision").read_text() == "ab" * 20
    assert world.steps == ["checking out abababababab", "install packages", "compile"]
    assert world.lines == ["working", "working"]
    assert world.log.read_text() == "==> install packages\nworking\n==> compile\nworking\n"
    first, second = (container.spec for container in world.engine.made("builder"))
    assert first.command.argv == ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh", "install", "all")
    assert first.command.env == {"HOME": "/tmp", "A": "site", "B": "site"}
    assert first.command.workdir == "/src"
    assert second.command.workdir == "/src/go"
    assert first.network == "own"
    assert first.user == ME
    assert first.labels["owner"] == "me"
    targets = {mount.target: mount for mount in first.mounts}
    assert set(targets) == {"/src", "/cache/yarn", "/cache/go", "/site"}
    assert not targets["/src"].read_only
    assert Path(targets["/cache/yarn"].source) == cache_of(REVISION.repository, world) / "yarn"
    assert world.engine.leftovers() == []


SECRET = "s3cr3t-Value"


def test_the_site_s_secrets_are_in_no_output(world: World) -> None:
    said = ((1, f"token {SECRET} of"), (2, f"https://u:{SECRET}@host/x"), (3, "the end"))
    world.script(Script(lines=said, exit_after=4, exit_code=3))
    builder = replace(world.builder(), mask=mask_of([], {"TOKEN": SECRET}))
    with pytest.raises(BuildError) as failed:
        builder.build(world.what(REVISION), world.log)
    masked = ["token *** of", "https://***@host/x", "the end"]
    assert world.lines == masked
    assert world.log.read_text().splitlines()[1:] == masked
    assert str(failed.value.detail).splitlines() == masked


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_secret_that_comes_in_pieces_is_found_all_the_same(size: int) -> None:
    file, lines = io.BytesIO(), list[str]()
    output = _Output(file, lines.append, mask_of([], {"TOKEN": SECRET}))
    data = f"a {SECRET}\r\n\xff{SECRET}".encode("latin-1")
    for start in range(0, len(data), size):
        output.add(data[start : start + size])
    output.close()
    output.close()
    assert file.getvalue() == b"a ***\r\n\xff***\n"
    assert lines == ["a ***", "\ufffd***"]


def test_a_second_build_takes_the_first(world: World) -> None:
    first = world.build()
    began = world.clock.monotonic()
    assert world.build() == first
    assert world.source.made == 1
    assert world.clock.monotonic() == began
    (entry,) = SdkCache(world.root / "sdk").list()
    assert entry.record.commit == REVISION.commit
    assert entry.record.image == IMAGE
    assert set(entry.record.durations) == {"checkout", "install packages", "compile"}
    assert entry.record.durations["compile"] == pytest.approx(2, abs=1)
    assert entry.record.size_bytes > 0


def test_other_steps_are_another_build(world: World) -> None:
    world.build()
    other = BuildRecipe(steps=(Command(("make",)),))
    world.build(other)
    assert world.source.made == 2
    relabelled = BuildRecipe(steps=(Command(("make",), label="x", timeout=9),))
    assert recipe_id(relabelled) == recipe_id(other)
    assert recipe_id(BuildRecipe(steps=other.steps, sparse=("/*",))) != recipe_id(other)


def test_a_tree_without_steps_is_only_put_there(world: World) -> None:
    tree = world.build(BuildRecipe(steps=()))
    assert (tree / "revision").exists()
    assert world.engine.containers == []


def test_a_failing_step_ends_the_build(world: World) -> None:
    said = tuple((0.0, f"line {number}") for number in range(100))
    world.script(Script(lines=said, exit_after=1, exit_code=7))
    with pytest.raises(BuildError) as caught:
        world.build()
    assert caught.value.exit_code == 3
    assert "'install packages'" in caught.value.message
    assert "7" in caught.value.message
    assert str(world.log) in str(caught.value.hint)
    detail = str(caught.value.detail).splitlines()
    assert detail[-1] == "line 99"
    assert len(detail) == 30
    assert "line 0\n" in world.log.read_text()
    assert world.steps[-1] == "install packages"
    assert world.nothing_left()


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (Script(lines=((0, "gcc: No space left on device"),), exit_after=1, exit_code=1), "disk"),
        (Script(exit_after=1, exit_code=137, oom=True), "memory"),
        (Script(exit_after=1, exit_code=143), "restarted"),
    ],
)
def test_the_hint_says_what_to_do(world: World, script: Script, word: str) -> None:
    world.script(script)
    with pytest.raises(BuildError) as caught:
        world.build()
    assert word in str(caught.value.hint)


def test_versions_that_a_registry_lacks_are_all_named_with_their_settings(world: World) -> None:
    forks = tuple(
        f"go: a.test/fork{n:02}@v1.0.0: reading https://p.test/x: 404 Not" for n in range(40)
    )
    later = tuple((0.0, f"filler {n}") for n in range(100))
    world.script(
        Script(lines=(*((0.0, fork) for fork in forks), *later), exit_after=1, exit_code=1)
    )
    with pytest.raises(VersionsMissing) as caught:
        world.build()
    assert caught.value.message == (
        "the build step 'install packages' failed: the registries here do not serve"
        " go a.test/fork00 v1.0.0 and 39 more"
    )
    assert str(world.log) in str(caught.value.hint)
    shown = caught.value.evidence
    assert sum(line.startswith('"a.test/fork') for line in shown) == 40
    assert shown[0] == "[site.go.replace]"


ASK = replace(RECIPE, ask_modules=Command(("ask", "all"), label="ask"))
FORK = "go: a.test/fork1@v1.0.0: reading https://p.test/x: 404 Not Found"
OTHERS = (
    "go: a.test/fork1@v1.0.0: reading https://p.test/x: 404 Not Found",
    "go: a.test/fork2@v1.0.0: reading https://p.test/x: 404 Not Found",
)


def test_modules_that_go_did_not_come_to_are_asked_for(world: World) -> None:
    world.script(Script(lines=((0, FORK),), exit_after=1, exit_code=1))
    world.script(Script(lines=tuple((0.0, line) for line in OTHERS), exit_after=1, exit_code=1))
    with pytest.raises(VersionsMissing, match=r"not serve go a\.test/fork1 v1\.0\.0 and 1 more"):
        world.build(ASK)
    asked = world.engine.made("builder")[-1].spec
    assert asked.command.argv[-2:] == ("ask", "all")
    assert world.nothing_left()


def test_modules_are_not_asked_for_when_a_package_is_missing(world: World) -> None:
    world.script(
        Script(lines=((0, 'Couldn\'t find package "left-pad"'),), exit_after=1, exit_code=1)
    )
    with pytest.raises(VersionsMissing, match="npm left-pad"):
        world.build(ASK)
    assert len(world.engine.made("builder")) == 1


def test_what_an_earlier_step_said_is_not_why_a_step_failed(world: World) -> None:
    world.script(Script(lines=((0, 'Couldn\'t find package "left-pad"'),), exit_after=1))
    world.script(Script(lines=((0, "gcc: fatal error"),), exit_after=1, exit_code=1))
    with pytest.raises(BuildError) as caught:
        world.build()
    assert "failed with exit code 1" in caught.value.message


def test_the_site_s_folders_are_mounted_for_every_step(world: World) -> None:
    world.build(replace(RECIPE, mounts=(Mount("/here", "/there", read_only=True),)))
    for container in world.engine.made("builder"):
        assert Mount("/here", "/there", read_only=True) in container.spec.mounts


def test_a_step_that_never_ends(world: World) -> None:
    world.script(Script(lines=((0, "connecting"),)))
    with pytest.raises(BuildError, match="60 s") as caught:
        world.build(BuildRecipe(steps=(Command(("wait",), timeout=60),)))
    assert caught.value.detail == "connecting"
    assert world.nothing_left()


def test_output_without_a_line_end_is_kept(world: World) -> None:
    world.script(Script(lines=((0, "whole"), (1, "half\\c")), exit_after=2))
    world.build(BuildRecipe(steps=(Command(("x",), label="x"),)))
    assert world.lines == ["whole", "half"]
    assert world.log.read_text() == "==> x\nwhole\nhalf\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("stop")])
def test_an_interrupt_leaves_nothing(world: World, error: BaseException) -> None:
    cleaned: list[bool] = []

    def check() -> None:
        if world.clock.monotonic() >= 1:
            raise error

    def cleaning() -> AbstractContextManager[object]:
        cleaned.append(True)
        return nullcontext()

    builder = world.builder(check, cleaning)
    with pytest.raises(type(error)):
        builder.build(world.what(REVISION), world.log)
    assert len(world.engine.made("builder")) == 1
    assert cleaned
    assert world.nothing_left()


def test_a_container_made_while_the_interrupt_came_is_removed(world: World) -> None:
    class CutEngine(FakeEngine):
        def create(self, spec: RoleSpec) -> Handle:
            super().create(spec)
            raise KeyboardInterrupt

    world.engine = CutEngine(world.clock)
    with pytest.raises(KeyboardInterrupt):
        world.build()
    assert len(world.engine.containers) == 1
    assert world.nothing_left()


def test_an_engine_that_cannot_start_the_builder(world: World) -> None:
    world.script(Script(start_error="no such program"))
    with pytest.raises(EngineError, match="no such program"):
        world.build()
    assert world.nothing_left()


def test_a_disk_that_cannot_be_written(world: World) -> None:
    world.source.error = OSError(28, "No space left on device")
    with pytest.raises(BuildError, match="No space left"):
        world.build()
    assert world.nothing_left()


def test_in_place(world: World) -> None:
    folder = world.root / "mine"
    folder.mkdir()
    assert world.builder().build_in_place(folder, RECIPE, IMAGE, world.log) == folder
    spec = world.engine.latest("builder").spec
    assert spec.mounts[0] == Mount(str(folder), "/src")
    assert spec.user == f"{folder.stat().st_uid}:{folder.stat().st_gid}"
    assert not (world.root / "sdk").exists()


@pytest.mark.parametrize("user", ["", "root", "1:x", "-1:2", "1:2:3"])
def test_users_are_numbers(user: str) -> None:
    with pytest.raises(UsageError):
        owner_ids(user)
    assert owner_ids("5") == (5, 5)
    assert owner_ids("5:6") == (5, 6)


def test_handing_over_ones_own_tree(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    hand_over(tmp_path, ME)
    assert tmp_path.stat().st_uid == os.getuid()
