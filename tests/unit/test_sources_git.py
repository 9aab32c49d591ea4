"""Git revisions: resolved, looked into and checked out, by real git on small repositories."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.fakes import FakeRunner

from loadgenctl.errors import BuildError, RevisionNotFound, UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.process import Completed, Runner
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import GitSource
from loadgenctl.sources.gitcli import require_git
from loadgenctl.sources.giturl import parse_repository

SDK_URL = "https://git.example.test/acme/sdk.git"
ENGINE_URL = "https://git.example.test/acme/engine.git"
NOTHING = BuildRecipe(steps=())


def git(folder: Path, *args: str) -> str:
    env = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_DATE": "1600000000 +0000",
        "GIT_COMMITTER_DATE": "1600000000 +0000",
    }
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    done = Runner().run(["git", *who, *args], cwd=folder, env=env)
    assert done.exit_code == 0, done.last_lines()
    return done.text()


def commit(folder: Path, message: str, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@dataclass
class CountingRunner(Runner):
    """A real runner that remembers what it ran."""

    seen: list[tuple[str, ...]] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Completed:
        self.seen.append(tuple(argv))
        return super().run(argv, cwd=cwd, env=env, stdin=stdin, timeout=timeout)

    def verbs(self) -> list[str]:
        return [argv[argv.index("git") + 1] for argv in self.seen]


@dataclass
class World:
    """An SDK repository with a submodule, and a site that maps its addresses to folders."""

    root: Path
    sdk: Path
    engine: Path
    first: str
    second: str
    engine_commit: str
    runner: CountingRunner = field(default_factory=CountingRunner)
    said: list[str] = field(default_factory=list)

    def source(self, rewrite: Callable[[str], str] | None = None) -> GitSource:
        places = {SDK_URL: str(self.sdk), ENGINE_URL: str(self.engine)}
        return GitSource(
            self.runner,
            self.root / "cache",
            rewrite_git=rewrite or (lambda url: places.get(url, url)),
            say=self.said.append,
        )

    def resolve(self, revision: str | None, repository: str = SDK_URL) -> ResolvedRevision:
        return self.source().resolve(SourceRequest("agoric", revision, repository))


@pytest.fixture
def world(tmp_path: Path) -> World:
    engine = tmp_path / "engine"
    engine.mkdir()
    git(engine, "init", "-q", "-b", "main")
    engine_commit = commit(engine, "engine", makefile="all:\n", docs__big="x" * 1000)
    sdk = tmp_path / "sdk"
    sdk.mkdir()
    git(sdk, "init", "-q", "-b", "main")
    first = commit(sdk, "first", **{"package.json": "{}", "docs__big": "y" * 1000})
    (sdk / ".gitmodules").write_text(
        f'[submodule "e"]\n\tpath = packages/engine\n\turl = {ENGINE_URL}\n'
    )
    (sdk / "packages" / "engine").mkdir(parents=True)
    git(sdk, "update-index", "--add", "--cacheinfo", f"160000,{engine_commit},packages/engine")
    second = commit(sdk, "second", **{"packages__a__index.js": "1;\n"})
    git(sdk, "tag", "-a", "v1", "-m", "v1", first)
    return World(tmp_path, sdk, engine, first, second, engine_commit)


def test_every_kind_of_name(world: World) -> None:
    for name in (world.second, world.second[:10], world.second.upper()[:8], "main", None):
        assert world.resolve(name).commit == world.second
    resolved = world.resolve("v1")
    assert resolved.commit == resolved.content_id == world.first
    assert resolved.commit_time == 1600000000
    assert resolved.repository == SDK_URL
    assert world.resolve("refs/heads/main").commit == world.second


def test_a_known_commit_needs_no_remote(world: World) -> None:
    world.resolve(world.second)
    world.sdk.rename(world.root / "elsewhere")
    world.runner.seen.clear()
    assert world.resolve(world.second).commit == world.second
    assert world.resolve(world.second[:7]).commit == world.second
    assert not {"fetch", "ls-remote"} & set(world.runner.verbs())


def test_a_branch_is_fetched_again(world: World) -> None:
    assert world.resolve("main").commit == world.second
    third = commit(world.sdk, "third", new="1")
    assert world.resolve("main").commit == third


def test_a_commit_no_branch_reaches(world: World) -> None:
    lost = commit(world.sdk, "lost", new="1")
    git(world.sdk, "reset", "-q", "--hard", world.second)
    assert world.resolve("main").commit == world.second
    assert world.resolve(lost).commit == lost


@pytest.mark.parametrize("name", ["nosuch", "deadbeef01", "1" * 40, "refs/pull/1/head"])
def test_what_is_not_there(world: World, name: str) -> None:
    for _again in range(2):
        with pytest.raises(RevisionNotFound) as caught:
            world.resolve(name)
        assert name in caught.value.message
        assert caught.value.hint


def test_an_unknown_name_is_not_worth_a_clone(world: World) -> None:
    with pytest.raises(RevisionNotFound):
        world.resolve("nosuch")
    assert "fetch" not in world.runner.verbs()
    assert not list((world.root / "cache" / "git").glob("*.git*"))


def test_an_ambiguous_prefix_names_the_candidates(world: World) -> None:
    commits: dict[str, str] = {}
    tree = git(world.sdk, "rev-parse", "HEAD^{tree}")
    stream = "".join(
        f"commit refs/heads/many\ncommitter t <t@example.test> {number} +0000\ndata 0\n"
        for number in range(1600000000, 1600001200)
    )
    env = {"GIT_DIR": str(world.sdk / ".git")}
    done = Runner().run(["git", "fast-import", "--quiet"], env=env, stdin=stream.encode())
    assert done.exit_code == 0, (done.last_lines(), tree)
    for one in git(world.sdk, "rev-list", "many").split():
        other = commits.setdefault(one[:4], one)
        if other != one:
            with pytest.raises(UsageError, match="ambiguous") as caught:
                world.resolve(one[:4])
            assert one in str(caught.value.hint)
            assert other in str(caught.value.hint)
            return
    pytest.fail("no two commits share a prefix")


def test_a_tag_and_a_branch_of_one_name(world: World) -> None:
    git(world.sdk, "branch", "v1", world.second)
    with pytest.raises(UsageError, match="a tag and a branch") as caught:
        world.resolve("v1")
    assert "refs/heads/v1" in str(caught.value.hint)
    assert world.resolve("refs/heads/v1").commit == world.second
    assert world.resolve("refs/tags/v1").commit == world.first


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "--upload-pack=touch /tmp/x",
        "a b",
        "main\n",
        "a\x1b[31m",
        "HEAD~3",
        "main^",
        "a..b",
        "@{-1}",
        ":/x",
        "x" * 300,
        "a:b",
        "ü\u202e",
    ],
)
def test_hostile_revisions_never_reach_git(world: World, name: str) -> None:
    with pytest.raises(UsageError):
        world.resolve(name)
    assert world.runner.seen == []


@pytest.mark.parametrize(
    "address",
    [
        "-x",
        "--upload-pack=x",
        "ext::sh -c x",
        "ext::x",
        "fd::17",
        "ftp://h/x",
        "https://",
        "x",
        "ssh://-oProxyCommand=x/y",
        "-u@host:x",
        "https://h/x\n",
        "file://host/x",
        "https://[/x",
    ],
)
def test_hostile_addresses_never_reach_git(world: World, address: str) -> None:
    with pytest.raises(UsageError):
        world.resolve("main", address)
    assert world.runner.seen == []


def test_a_folder_that_is_named_without_a_dot_is_proposed_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mysdk").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        parse_repository("mysdk")
    assert caught.value.hint == "the folder of that name is ./mysdk"
    with pytest.raises(UsageError) as caught:
        parse_repository("elsewhere")
    assert "a path from / or ./" in str(caught.value.hint)


def test_credentials_stay_out_of_records_files_and_errors(world: World, tmp_path: Path) -> None:
    secret = "https://me:hunter2@git.example.test/acme/sdk.git"
    source = world.source(lambda url: str(world.sdk) if "sdk" in url else url)
    resolved = source.resolve(SourceRequest("agoric", "main", secret))
    assert resolved.repository == SDK_URL
    source.materialize(resolved, NOTHING, tmp_path / "out")
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert b"hunter2" not in path.read_bytes()
    assert "hunter2" not in "".join(world.said)
    with pytest.raises(UsageError) as caught:
        world.source(lambda url: f"{url}/no").resolve(
            SourceRequest("agoric", "main", "http://me:hunter2@127.0.0.1:1/sdk")
        )
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"


@pytest.mark.parametrize("version", ["git version 2.30.2", "git version 1.8", "nonsense", ""])
def test_an_old_git_is_told(version: str) -> None:
    runner = FakeRunner()
    runner.answer("git", "version", stdout=version.encode())
    with pytest.raises(UsageError, match=r"too old") as caught:
        require_git(runner)
    assert "2.31" in str(caught.value.hint)
    runner.answer("git", "version", stdout=b"git version 2.39.5 (Apple Git-1)")
    require_git(runner)


def test_no_repository_there(world: World) -> None:
    with pytest.raises(UsageError, match="no repository"):
        world.resolve("main", str(world.root / "nowhere"))
    (world.root / "empty").mkdir()
    with pytest.raises(UsageError, match="cannot") as caught:
        world.resolve("main", str(world.root / "empty"))
    assert not isinstance(caught.value, RevisionNotFound)


@pytest.mark.parametrize("kind", [(), ("--bare",)])
def test_a_shallow_clone_is_refused(world: World, tmp_path: Path, kind: tuple[str, ...]) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", *kind, "--depth=1", f"file://{world.sdk}", str(shallow))
    with pytest.raises(UsageError, match="shallow") as caught:
        world.resolve("main", str(shallow))
    assert "--src" in str(caught.value.hint)


def test_a_look_into_the_tree(world: World) -> None:
    source = world.source()
    tree = source.tree(source.resolve(SourceRequest("agoric", "main", SDK_URL)))
    assert tree.read("package.json") == b"{}"
    assert tree.read("packages") is None
    assert tree.read("packages/engine") is None
    assert tree.read("no*") is None
    assert tree.contains(world.first) is True
    assert tree.contains(world.second) is True
    assert tree.contains("1" * 40) is None
    assert tree.contains("main") is None
    old = source.tree(source.resolve(SourceRequest("agoric", "v1", SDK_URL)))
    assert old.contains(world.second) is False


def test_the_checkout_stands_alone(world: World, tmp_path: Path) -> None:
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    recipe = BuildRecipe(
        steps=(),
        sparse=("/*", "!/docs/"),
        submodules={"packages/engine": ("/*", "!/docs/"), "packages/later": ()},
    )
    out = tmp_path / "moved" / "out"
    source.materialize(resolved, recipe, tmp_path / "out")
    out.parent.mkdir()
    (tmp_path / "out").rename(out)
    for gone in ("cache", "sdk", "engine"):
        shutil.rmtree(tmp_path / gone)

    assert (out / "packages" / "a" / "index.js").read_text() == "1;\n"
    assert not (out / "docs").exists()
    assert git(out, "rev-parse", "HEAD") == world.second
    assert git(out, "status", "--porcelain") == ""
    assert git(out, "log", "--format=%s") == "second"
    assert git(out, "remote") == ""
    inner = out / "packages" / "engine"
    assert git(inner, "rev-parse", "HEAD") == world.engine_commit
    assert git(inner, "status", "--porcelain") == ""
    assert (inner / "makefile").exists()
    assert not (inner / "docs").exists()
    (out / "package.json").write_text("changed")
    assert git(out, "status", "--porcelain") == "M package.json"


def test_a_checkout_on_another_disk(world: World, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has one disk")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        out = Path(folder) / "out"
        world.source().materialize(world.resolve("main"), NOTHING, out)
        assert git(out, "status", "--porcelain") == ""
    assert not list(tmp_path.glob("cache/git/*/pack-*"))


def _lose(folder: Path, path: str) -> None:
    """Take a file's content out of a repository's store, as in a mirror that lacks big files."""
    blob = git(folder, "rev-parse", f"HEAD:{path}")
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


def test_a_mirror_that_lacks_files_nobody_needs(world: World, tmp_path: Path) -> None:
    _lose(world.sdk, "docs/big")
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    source.materialize(resolved, BuildRecipe((), sparse=("/*", "!/docs/")), tmp_path / "out")
    assert (tmp_path / "out" / "package.json").exists()
    with pytest.raises(BuildError) as caught:
        source.materialize(resolved, NOTHING, tmp_path / "whole")
    assert caught.value.detail


def test_a_second_checkout_needs_no_remote(world: World, tmp_path: Path) -> None:
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    source.materialize(resolved, NOTHING, tmp_path / "one")
    world.sdk.rename(tmp_path / "elsewhere")
    source.materialize(resolved, NOTHING, tmp_path / "two")
    assert (tmp_path / "two" / "package.json").exists()


def test_a_submodule_may_not_name_a_folder_of_this_machine(world: World, tmp_path: Path) -> None:
    commit(
        world.sdk,
        "evil",
        **{".gitmodules": f'[submodule "e"]\npath = packages/engine\nurl = {world.engine}\n'},
    )
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    recipe = BuildRecipe((), submodules={"packages/engine": ()})
    with pytest.raises(UsageError, match="folder of this machine"):
        source.materialize(resolved, recipe, tmp_path / "out")


def test_a_relative_submodule_lies_beside_its_parent(world: World, tmp_path: Path) -> None:
    commit(
        world.sdk,
        "relative",
        **{".gitmodules": '[submodule "e"]\npath = packages/engine\nurl = ../engine.git\n'},
    )
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    recipe = BuildRecipe((), submodules={"packages/engine": ()})
    source.materialize(resolved, recipe, tmp_path / "out")
    assert (tmp_path / "out" / "packages" / "engine" / "makefile").exists()


def test_a_cut_clone_is_never_taken_for_one(world: World) -> None:
    world.resolve("main")
    (mirror,) = (world.root / "cache" / "git").glob("*.git")
    left = mirror.with_name(f"{mirror.name}.partial-1")
    mirror.rename(left)
    assert world.resolve("main").commit == world.second
    assert mirror.exists()
    assert not left.exists()


def test_the_callers_git_variables_do_not_redirect(world: World, tmp_path: Path) -> None:
    class Redirected(CountingRunner):
        def run(
            self,
            argv: Sequence[str],
            *,
            cwd: Path | None = None,
            env: Mapping[str, str] | None = None,
            stdin: bytes | None = None,
            timeout: float | None = None,
        ) -> Completed:
            wrong = {
                name: str(tmp_path / "wrong")
                for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY")
            }
            return super().run(
                argv, cwd=cwd, env={**wrong, **(env or {})}, stdin=stdin, timeout=timeout
            )

    world.runner = Redirected()
    source = world.source()
    resolved = source.resolve(SourceRequest("agoric", "main", SDK_URL))
    source.materialize(resolved, NOTHING, tmp_path / "out")
    assert (tmp_path / "out" / "package.json").exists()
    assert not (tmp_path / "wrong").exists()
