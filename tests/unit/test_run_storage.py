"""Saving storage: a copy, packed in the background."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Runner
from loadgenctl.records.archive import pack
from loadgenctl.run.storage import StorageSaver


def members(archive: Path) -> dict[str, bytes]:
    raw = zstandard.ZstdDecompressor().stream_reader(archive.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in files}  # type: ignore[union-attr]


def test_what_is_saved_is_what_was_there_at_the_copy(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "data").mkdir(parents=True)
    (state / "data" / "blocks").write_bytes(b"one")
    saver = StorageSaver(Runner())
    target = tmp_path / "chain-storage-stage-0.tar.zst"
    saver.save(state, target, tmp_path / "copy")
    (state / "data" / "blocks").write_bytes(b"two")
    assert saver.finish() == []
    assert members(target) == {"./data/blocks": b"one"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, "state"]
    assert saver.pending == 0


def test_a_missing_folder_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError):
        StorageSaver(Runner()).save(tmp_path / "nowhere", tmp_path / "x.tar.zst", tmp_path / "copy")


def test_a_failed_packing_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    saver = StorageSaver(Runner())
    saver.save(state, tmp_path / "gone" / "x.tar.zst", tmp_path / "copy")
    (problem,) = saver.finish()
    assert problem.startswith("x.tar.zst: ")
    assert "No such file" in problem


def test_a_failed_packing_leaves_no_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "x.tar.zst"
    with pytest.raises(FileNotFoundError):
        pack(tmp_path / "nowhere", target)
    assert list(tmp_path.iterdir()) == []


def test_packing_that_is_given_up_leaves_neither_half_nor_copy(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    # Takes no room, and longer than anybody waits.
    with (state / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 36)
    saver = StorageSaver(Runner())
    saver.save(state, tmp_path / "x.tar.zst", tmp_path / "copy")
    assert saver.pending == 1
    assert saver.abandon() == ["x.tar.zst"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
    assert saver.abandon() == []
