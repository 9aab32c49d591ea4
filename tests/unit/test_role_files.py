"""What roles leave in folders that they write to never leads this process out of them.

One test holds the code: modules that work beside roles open, move and list files by `plainfile`
alone, but for the places named here. The others plant what a hostile SDK could at every name that a
run reads from it, and look at what came into the results.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import zstandard
from tests.unit.test_run_network import Networked
from tests.worlds import World

from loadgenctl.errors import RunError
from loadgenctl.model import ResolvedRevision, RoleSpec
from loadgenctl.plainfile import NotPlainError, RolePath
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.run.state_setup import parse_answer
from loadgenctl.sdks import sim
from loadgenctl.sdks.base import RoleContext, RoleRecipe, SdkFamily, SourceTree

PACKAGE = Path(__file__).resolve().parents[2] / "controller" / "loadgenctl"
SECRET = b"root:hash-of-the-machine:1:"
TEXT = json.dumps({"chain_id": "net-1", "known": True, "address": "a1", "note": SECRET.decode()})

BESIDE_ROLES = (
    *("run", "roles", "monitor", "networks"),
    *("slog/follow.py", "records/atomic.py", "cli/compose.py"),
)
PATH_METHODS = frozenset(
    """open read_bytes read_text write_bytes write_text exists is_file is_dir is_fifo stat lstat
    rename iterdir glob rglob chmod lchmod touch mkdir rmdir unlink readlink symlink_to hardlink_to
    samefile""".split()  # noqa: SIM905 - as a list it takes a page
)
MODULES = frozenset({"os", "shutil", "tarfile", "tempfile"})
HARMLESS = frozenset(
    """os.getuid os.getgid os.geteuid os.getpid os.cpu_count os.strerror os.fsync os.close os.fchmod
    os.kill os.nice os.fsencode os.fsdecode shutil.ignore_patterns""".split()  # noqa: SIM905
)
ALLOWED = {
    # By role paths, which follow no link.
    "run/state_setup.py": {"_exists: exists"},
    "run/restore.py": {
        "restore: exists",
        # The results folder, which no role has.
        "_set_aside: glob",
        "_set_aside: replace",
        "_set_aside: unlink",
        # Below `require_inside`, while no role runs.
        "_put_back: mkdir",
        "_put_back: exists",
        "_put_back: tempfile.mkdtemp",
        "_put_back: rename",
        "_put_back: shutil.rmtree",
        "_hand_over: chmod",
        "_hand_over: rglob",
        "_hand_over: os.chown",
        "continue_records: exists",
    },
    # The results folder alone.
    "run/saved_storage.py": {
        "exists: exists",
        "unpacked: glob",
        "clear: glob",
        "clear: unlink",
        "clear: exists",
        "clear: shutil.rmtree",
        "clear_away: unlink",
    },
    "run/run_folders.py": {
        # rmtree and unlink follow no link.
        "reset_state: os.path.lexists",
        "remove_path: is_dir",
        "remove_path: unlink",
        "remove_path: shutil.rmtree",
        "_owned: lstat",
        "remove_mark: unlink",
        # Roles could only make it there, in their own folder.
        "require_ours: exists",
        # While no role runs, with `require_inside`.
        "make_folders: os.path.lexists",
        "make_folders: exists",
        "make_folders: mkdir",
        "make_folders: os.chown",
        # Into a folder made for that, before any role runs.
        "copy_tools: mkdir",
        "copy_tools: shutil.copytree",
        "copy_tools: shutil.copyfile",
        "copy_tools: rglob",
        "copy_tools: is_dir",
        "copy_tools: stat",
        "copy_tools: chmod",
    },
    # The origin's folders: of the results, and of the roles before any of them runs.
    "run/network_setup.py": {
        "lay_out: mkdir",
        "_describe: mkdir",
        # A folder that the person names.
        "require_message_folder: is_dir",
    },
    # The results folder.
    "run/failure.py": {"_lost: exists"},
    "run/resume.py": {"*: exists", "*: is_dir"},
    "cli/compose.py": {
        "_claim: exists",
        "_claim: iterdir",
        "_claim: mkdir",
        "_claim: touch",
    },
    "run/compose_file.py": {"*: read_text"},
    "run/sdk_build.py": {"*: is_file", "*: open"},
    "run/disk_space.py": {
        "*: exists",
        "*: stat",
        "*: read_text",
        "*: os.statvfs",
        "*: os.access",
        "*: tempfile.TemporaryFile",
    },
    # A pod is opened, an URL is opened.
    "run/runner.py": {"_run_steps: open", "_cpu_model: read_text"},
    "networks/fetch.py": {"__call__: open"},
    # The name in a folder of roles is replaced, or removed; no link is followed.
    "records/atomic.py": {
        "replace_file: lstat",
        "replace_file: replace",
        "replace_file: unlink",
        "_sync_folder: os.open",
    },
    "slog/follow.py": {"close: unlink", "_size: os.fstat"},
}


def _modules() -> list[Path]:
    found = [PACKAGE / part for part in BESIDE_ROLES]
    return sorted(
        file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path])
    )


def _uses(tree: ast.AST) -> set[str]:
    """`FUNCTION: CALL` of everything that opens, moves, lists or looks at files by a name."""
    uses = set()

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if isinstance(node.func, ast.Attribute):
                attribute, first = node.func.attr, name.partition(".")[0]
                if first in MODULES and name not in HARMLESS:
                    uses.add(f"{function}: {name}")
                elif attribute in PATH_METHODS or (
                    # Texts are replaced by two arguments, files by one.
                    attribute == "replace" and len(node.args) == 1 and not node.keywords
                ):
                    uses.add(f"{function}: {attribute}")
            elif name == "open":
                uses.add(f"{function}: open")
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(tree, "module")
    return uses


def test_beside_roles_files_are_opened_by_plainfile_alone() -> None:
    strays, stale = [], []
    for path in _modules():
        name = path.relative_to(PACKAGE).as_posix()
        allowed, used = ALLOWED.get(name, set()), _uses(ast.parse(path.read_bytes()))
        anywhere = {rule.removeprefix("*: ") for rule in allowed if rule.startswith("*: ")}
        strays += [f"{name}: {use}" for use in used - allowed if use.split(": ")[1] not in anywhere]
        known = used | {f"*: {use.split(': ')[1]}" for use in used}
        stale += [f"{name}: {rule}" for rule in allowed - known]
    assert not strays, "read and move what roles wrote by plainfile.RolePath, or name the reason"
    assert not stale, "these are not there any more"


class Traced:
    """The simulated SDK, whose chain leaves a trace."""

    def __init__(self, family: SdkFamily) -> None:
        self._family = family

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def chain(self, ctx: RoleContext) -> RoleRecipe:
        trace = f"/out/chain-stage-{ctx.stage}-kvstore-trace"
        return replace(self._family.chain(ctx), traces={"kvstore": trace})


def _traced(revision: ResolvedRevision, tree: SourceTree) -> SdkFamily:
    return Traced(sim.make(revision, tree))


class Hostile(World):
    """A world whose chain plants something at a name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plant: Callable[[RoleSpec], None] = lambda _spec: None
        began = self.chain.on_start
        assert began is not None

        def start(spec: RoleSpec) -> None:
            began(spec)
            self.plant(spec)

        self.chain = replace(self.chain, on_start=start)
        self._silent = False

    def silence(self) -> None:
        """The roles of this world write no more: what is planted would hold up themselves."""
        self.last_block, self._silent = 0, True

    def _event(self, **fields: Any) -> None:
        if not self._silent:
            super()._event(**fields)

    def go(self, line: str) -> RunResult:
        return execute(self.plan(line), replace(self.services(), factory=_traced))


class HostileClient(Networked):
    """A world beside a network, whose client plants something in its answer's place."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plant: Callable[[RoleSpec], None] = lambda _spec: None

    def _one_shot(self, spec: RoleSpec) -> None:
        self._setup_starts(spec)
        if "--answer" in spec.command.argv:
            self.plant(spec)


def _outside(folder: Path) -> Path:
    """What is the machine's: a file, and a folder that looks like a chain's state."""
    outside = folder / "outside"
    for name in ("canary", "chain/config/genesis.json", "chain/config/node_key.json"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(TEXT)
    return outside


def _put(kind: str, at: Path, outside: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    if at.is_dir() and not at.is_symlink():
        at.rename(at.with_name(at.name + ".was"))
    at.unlink(missing_ok=True)
    match kind:
        case "link":
            at.symlink_to(outside / "canary")
        case "link to a folder":
            at.symlink_to(outside / "chain")
        case "dangling link":
            at.symlink_to(outside / "appears")
        case "hard link":
            at.hardlink_to(outside / "canary")
        case "pipe":
            os.mkfifo(at)
        case "socket":
            os.mknod(at, 0o140600)
        case "endless device":
            if os.geteuid():
                pytest.skip("only root makes devices")
            os.mknod(at, 0o020666, os.makedev(1, 5))
        case "folder":
            at.mkdir()
        case "huge file":
            with at.open("wb") as file:
                file.truncate(1 << 28)


KINDS = (
    "link",
    "link to a folder",
    "dangling link",
    "hard link",
    "pipe",
    "socket",
    "endless device",
    "folder",
    "huge file",
)
STAGE = "--stages 1 --stage.0.loadgen.faucet.interval 5 --stage.0.duration 1 --stage.0.save-storage"
NAMES = {
    "the chain's slog": "/out/chain-stage-0.slog",
    "the client's slog": "/out/client-stage-0.slog",
    "the load's events": "/out/events-stage-0.jsonl",
    "the agent's samples": "/out/agent-stage-0.jsonl",
    "a request to the agent": "/out/agent-stage-0.jsonl.request",
    "a trace": "/out/chain-stage-0-kvstore-trace",
    "the chain's storage": "/state/project/chain",
    "the storage's parent": "/state/project",
    "a file of the storage": "/state/project/chain/data",
    "the state's mark": "/state/.loadgenctl-run",
}


def _host(spec: RoleSpec, path: str) -> Path:
    folders: Mapping[str, str] = {mount.target: mount.source for mount in spec.mounts}
    top = "/" + PurePosixPath(path).parts[1]
    return Path(folders[top]) / PurePosixPath(path).relative_to(top)


def _nothing_came_in(results: Path, outside: Path) -> None:
    for folder, names, files in os.walk(results):
        if Path(folder) == results:
            # What the roles had, and still is theirs.
            names[:] = [name for name in names if name not in {"state", "shared"}]
        for name in (*names, *files):
            path = Path(folder, name)
            assert not path.is_symlink(), path
            assert path.is_dir() or path.is_file(), path
            if path.is_file():
                assert SECRET not in _content(path), path
    assert sorted(path.name for path in outside.iterdir()) == ["canary", "chain"]
    assert (outside / "canary").read_text() == TEXT
    assert sorted(path.name for path in (outside / "chain").iterdir()) == ["config"]


def _content(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        with path.open("rb") as raw:
            return zstandard.ZstdDecompressor().stream_reader(raw).read()
    return path.read_bytes()


def _told(ending: RunResult, world: World) -> str:
    return "\n".join([str(ending.error), *world.progress.warnings])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in NAMES
        for kind in KINDS
        # A chain may give a file of its storage two names. To one of the machine a container has no
        # way: links do not cross mounts.
        if (name, kind) != ("a file of the storage", "hard link")
    ],
)
def test_nothing_of_the_machine_comes_into_the_results(
    tmp_path: Path, name: str, kind: str
) -> None:
    world, outside = Hostile(tmp_path), _outside(tmp_path)
    planted = []

    def plant(spec: RoleSpec) -> None:
        def put() -> None:
            world.silence()
            _put(kind, _host(spec, NAMES[name]), outside)
            planted.append(name)

        # Once the run is under way: half of the names are made by then.
        world.clock.after(30.0, put)

    world.plant = plant
    ending = world.go(STAGE)
    assert planted
    assert "internal error" not in _told(ending, world)
    _nothing_came_in(ending.folder, outside)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["genesis.json", "node_key.json", "config", "../chain", ".."])
def test_what_a_chain_offers_to_others_is_its_own(tmp_path: Path, name: str, kind: str) -> None:
    world, outside = Hostile(tmp_path), _outside(tmp_path)

    def one_shot(spec: RoleSpec) -> None:
        world._setup_starts(spec)
        config = _host(spec, "/state/project/chain/config")
        _put(kind, Path(os.path.normpath(config / name)), outside)

    world.setup = replace(world.setup, on_start=one_shot)
    ending = world.go(STAGE + " --network net")
    assert isinstance(ending.error, RunError)
    assert "internal error" not in _told(ending, world)
    _nothing_came_in(ending.folder, outside)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clients_answer_is_a_small_file_of_its_own(tmp_path: Path, kind: str) -> None:
    world, outside = HostileClient(tmp_path), _outside(tmp_path)
    world.plant = lambda spec: _put(kind, _host(spec, "/out/client.json"), outside)
    ending = world.join(STAGE)
    assert isinstance(ending.error, RunError)
    assert "internal error" not in _told(ending, world)
    _nothing_came_in(ending.folder, outside)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"known": 1}',
        '{"known": false}',
        '{"known": false, "address": null}',
        '{"known": false, "address": "-x"}',
        '{"known": false, "address": "a; rm -r /"}',
        '{"known": true, "address": ""}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_an_answer_that_is_none_is_the_clients_fault(answer: str) -> None:
    with pytest.raises(RunError, match="the client's answer cannot be used"):
        parse_answer(answer.encode())


def test_a_trace_that_is_a_folder_is_kept_without_links_and_pipes(tmp_path: Path) -> None:
    world, outside = Hostile(tmp_path), _outside(tmp_path)

    def plant(spec: RoleSpec) -> None:
        trace = _host(spec, "/out/chain-stage-0-kvstore-trace")
        (trace / "deep").mkdir(parents=True)
        (trace / "deep" / "good").write_text("a trace")
        for number, kind in enumerate(("link", "link to a folder", "hard link", "pipe", "socket")):
            _put(kind, trace / "deep" / str(number), outside)

    world.plant = plant
    ending = world.go(STAGE)
    assert ending.error is None
    kept = ending.folder / "chain-stage-0-kvstore-trace"
    assert [path.relative_to(kept).as_posix() for path in sorted(kept.rglob("*"))] == [
        "deep",
        "deep/good",
    ]
    (told,) = [text for text in world.progress.warnings if "trace" in text]
    assert "5 links, pipes or devices were left out" in told
    _nothing_came_in(ending.folder, outside)


@pytest.mark.parametrize("below", ["/etc/passwd", "../x", "a/../../x", "."])
def test_a_role_path_lies_below_its_folder_by_its_name(tmp_path: Path, below: str) -> None:
    with pytest.raises(ValueError, match="below"):
        RolePath(tmp_path, PurePosixPath(below))


def test_a_role_path_is_opened_without_any_link_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "inner" / "file").write_bytes(b"x")
    (tmp_path / "real" / "link").symlink_to("inner")
    assert RolePath(tmp_path, PurePosixPath("real/inner/file")).read(1) == b"x"
    with pytest.raises(NotPlainError, match="larger than 0 bytes"):
        RolePath(tmp_path, PurePosixPath("real/inner/file")).read(0)
    through = RolePath(tmp_path, PurePosixPath("real/link/file"))
    for use in (through.open, through.exists, through.stat, through.unlink):
        with pytest.raises(NotPlainError, match="symbolic link"):
            use()
    with pytest.raises(NotPlainError, match="symbolic link"):
        through.move(tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
