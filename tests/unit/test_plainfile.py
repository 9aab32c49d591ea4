"""What roles or a foreign results folder put in a file's place is never followed or waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import FakeClock, FakeEngine

from loadgenctl.engines.base import Handle
from loadgenctl.errors import OutputFolderError, RunError
from loadgenctl.monitor.chain_agent import AgentClient, AgentSpec
from loadgenctl.plainfile import NotPlainError, open_plain, require_inside, write_plain
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.reader import MAX_ROW, RowFollower, RunFolder
from loadgenctl.roles.load_client import LoadEvents
from loadgenctl.roles.pod import PodFolders
from loadgenctl.run import run_folders
from loadgenctl.run.failure import as_error
from loadgenctl.slog.follow import SlogFollower
from loadgenctl.sources.locks import try_exclusive

SECRET = b'{"secret": "of the machine"}\n'
PLANTS = ("link", "dangling", "pipe", "folder", "socket")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file outside that nobody may read or change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_bytes(SECRET)
    return outside / "canary"


def plant(kind: str, at: Path, canary: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            at.symlink_to(canary)
        case "dangling":
            at.symlink_to(canary.with_name("appears"))
        case "pipe":
            os.mkfifo(at)
        case "folder":
            at.mkdir()
        case "socket":
            os.mknod(at, 0o140600)


READERS: dict[str, Callable[[Path], object]] = {
    "open": open_plain,
    "rows": lambda path: RowFollower(path).poll(),
    "events": lambda path: LoadEvents(path, 1).poll(),
    "slog": lambda path: SlogFollower(path, None).poll(),
}
WRITERS: dict[str, Callable[[Path], object]] = {
    "write": write_plain,
    "append": lambda path: write_plain(path, append=True),
    "lock": lambda path: try_exclusive(path).__enter__(),
    "replace": lambda path: replace_file(path.with_name(path.name[1:-4]), b"x"),
}


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_takes_it(tmp_path: Path, canary: Path, kind: str, reader: str) -> None:
    path = tmp_path / "shared" / "file"
    plant(kind, path, canary)
    with pytest.raises((NotPlainError, OutputFolderError), match="not a plain file"):
        READERS[reader](path)


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_takes_it(tmp_path: Path, canary: Path, kind: str, writer: str) -> None:
    path = tmp_path / "shared" / ".file.tmp"
    plant(kind, path, canary)
    with pytest.raises(NotPlainError):
        WRITERS[writer](path)
    assert canary.read_bytes() == SECRET
    assert [entry.name for entry in canary.parent.iterdir()] == ["canary"]


@pytest.mark.parametrize("kind", PLANTS)
def test_a_request_to_the_agent_writes_nowhere_else(
    tmp_path: Path, canary: Path, kind: str
) -> None:
    engine, clock, shared = FakeEngine(FakeClock()), FakeClock(), tmp_path / "shared"
    plant(kind, shared / "agent-stage-1.jsonl.request", canary)
    spec = AgentSpec(light=5, full=60)
    client = AgentClient(engine, Handle("c", "c", "chain"), clock, spec, shared=shared, stage=1)
    with pytest.raises(OutputFolderError, match="not a plain file"):
        client.request()
    assert canary.read_bytes() == SECRET
    assert [entry.name for entry in canary.parent.iterdir()] == ["canary"]


def folders(tmp_path: Path) -> PodFolders:
    return PodFolders(source=tmp_path, shared=tmp_path / "out/shared", state=tmp_path / "state")


@pytest.mark.parametrize("part", run_folders.STATE_PARTS)
def test_a_link_in_a_kept_state_folder_is_not_handed_over(
    tmp_path: Path, canary: Path, part: str
) -> None:
    run_folders.make_folders(folders(tmp_path), (1000, 1000))
    state = tmp_path / "state"
    (state / part).rmdir()
    (state / part).symlink_to(canary.parent)
    before = canary.parent.stat()
    with pytest.raises(OutputFolderError, match="symbolic link"):
        run_folders.make_folders(folders(tmp_path), (1234, 1234))
    assert canary.parent.stat() == before
    run_folders.reset_state(state)
    run_folders.make_folders(folders(tmp_path), (1000, 1000))
    assert not (state / part).is_symlink()
    assert canary.read_bytes() == SECRET


def test_tools_are_copied_where_they_belong(tmp_path: Path, canary: Path) -> None:
    canary.chmod(0o600)
    tools = tmp_path / "tools"
    tools.symlink_to(canary.parent)
    run_folders.copy_tools({}, tools)
    assert not tools.is_symlink()
    assert canary.stat().st_mode & 0o777 == 0o600


def test_storage_behind_a_link_is_not_copied(tmp_path: Path, canary: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "project").symlink_to(canary.parent)
    with pytest.raises(NotPlainError, match="symbolic link"):
        require_inside(state / "project" / "chain", state)
    error = as_error(NotPlainError(state, "a symbolic link"), tmp_path)
    assert isinstance(error, RunError)
    assert "not a plain file" in error.message


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    endless = b"x" * (2 * MAX_ROW + 7)
    (tmp_path / "perf.jsonl").write_bytes(b'{"type":"1"}\n' + endless + b'\n{"type":"2"}\n{"a"')
    folder = RunFolder(tmp_path)
    assert list(folder.perf()) == [{"type": "1"}, {"type": "2"}]
    assert (folder.damage["perf.jsonl"].unreadable, folder.damage["perf.jsonl"].torn) == (1, 1)
    follower = RowFollower(tmp_path / "perf.jsonl")
    rows = [row for _ in range(20) for row in follower.poll()]
    assert rows == [{"type": "1"}, {"type": "2"}]
    assert follower.unreadable == 1
