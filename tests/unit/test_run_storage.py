"""Saving storage: a copy, packed in the background."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest
import zstandard

from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Runner
from loadgenctl.records.archive import pack, unpack
from loadgenctl.records.raw_parts import LOCK
from loadgenctl.run.saved_storage import StorageSaver, clear, saved
from loadgenctl.sources.locks import try_exclusive


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
    # The lock is removed with the folder of the copies, when nothing can wait on it.
    left = {target.name, "state", f"copy{LOCK}"}
    assert {path.name for path in tmp_path.iterdir()} == left
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


def test_what_was_packed_is_unpacked_as_it_was(tmp_path: Path) -> None:
    folder, made = tmp_path / "copy", tmp_path / "made"
    (folder / "data" / "empty").mkdir(parents=True)
    (folder / "data" / "db").write_bytes(b"x" * 5000)
    (folder / "key").write_bytes(b"secret")
    (folder / "key").chmod(0o600)
    (folder / "current").symlink_to("data")
    (folder / "data" / "wallet").symlink_to("/src/packages/wallet")
    (folder / "data" / "up").symlink_to("../../elsewhere")
    pack(folder, tmp_path / "a.tar.zst")
    made.mkdir()
    unpack(tmp_path / "a.tar.zst", made)
    assert (made / "data" / "db").read_bytes() == b"x" * 5000
    assert (made / "key").stat().st_mode & 0o777 == 0o600
    assert (made / "current").readlink() == Path("data")
    assert (made / "data" / "wallet").readlink() == Path("/src/packages/wallet")
    assert (made / "data" / "up").readlink() == Path("../../elsewhere")
    assert (made / "data" / "empty").is_dir()


def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for number in range(5):
        (folder / f"file-{number}").write_bytes(random.Random(number).randbytes(3000))
    archive = tmp_path / "a.tar.zst"
    pack(folder, archive)
    whole = archive.read_bytes()
    for size in range(0, len(whole) - 1, 997):
        archive.write_bytes(whole[:size])
        made = tmp_path / f"made-{size}"
        made.mkdir()
        with pytest.raises(OSError, match=r"a\.tar\.zst cannot be unpacked"):
            unpack(archive, made)


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize(
    "members",
    [
        [tarfile.TarInfo("../escaped")],
        [_link("../escaped", "/etc")],
        [_link("out", ".."), tarfile.TarInfo("out/escaped")],
        [_link("out", "@"), tarfile.TarInfo("out/escaped")],
        [_link("out", "@"), _link("out/escaped", "/etc")],
        [_link("out", "@"), _link("out/escaped/below", "/etc")],
        [_link("out", "@/a.tar.zst", tarfile.LNKTYPE)],
        [_link("out", "../a.tar.zst", tarfile.LNKTYPE)],
        [_link("out", "missing", tarfile.LNKTYPE)],
        [_link("in", "@"), _link("out", "in/a.tar.zst", tarfile.LNKTYPE)],
        [tarfile.TarInfo("/tmp/escaped")],
        [tarfile.TarInfo("a/../../escaped")],
        [_link("pipe", "", tarfile.FIFOTYPE)],
        [_link("device", "", tarfile.CHRTYPE)],
        [_link("disk", "", tarfile.BLKTYPE)],
        [tarfile.TarInfo("twice"), tarfile.TarInfo("twice")],
    ],
    ids=lambda members: " ".join(f"{member.name}>{member.linkname}" for member in members),
)
def test_an_archive_that_leads_outside_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    archive, made = tmp_path / "a.tar.zst", tmp_path / "made"
    made.mkdir()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for member in members:
            target = member.linkname.replace("@", str(tmp_path))
            tar.addfile(_link(member.name, target, member.type))
    archive.write_bytes(zstandard.ZstdCompressor().compress(raw.getvalue()))
    with pytest.raises(OSError, match=r"cannot be unpacked|symbolic link|File exists"):
        unpack(archive, made)
    assert not os.path.lexists(tmp_path / "escaped")
    assert not os.path.lexists("/etc/escaped")


def test_permissions_of_an_archive_give_nobody_more_than_its_owner(tmp_path: Path) -> None:
    raw, modes = io.BytesIO(), {"setuid": 0o6755, "everybody": 0o777, "none": 0, "odd": 0o011}
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, mode in modes.items():
            member = tarfile.TarInfo(name)
            member.mode, member.uid, member.uname = mode, 0, "root"
            tar.addfile(member)
    archive, made = tmp_path / "a.tar.zst", tmp_path / "made"
    archive.write_bytes(zstandard.ZstdCompressor().compress(raw.getvalue()))
    made.mkdir()
    unpack(archive, made)
    found = {path.name: path.stat().st_mode & 0o7777 for path in made.iterdir()}
    assert found == {"setuid": 0o755, "everybody": 0o755, "none": 0o600, "odd": 0o600}


def test_pipes_and_sockets_of_a_role_are_left_out_of_its_saved_storage(tmp_path: Path) -> None:
    folder, made = tmp_path / "copy", tmp_path / "made"
    folder.mkdir()
    (folder / "first").write_bytes(b"x")
    (folder / "second").hardlink_to(folder / "first")
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "socket", 0o140600)
    pack(folder, tmp_path / "a.tar.zst")
    made.mkdir()
    unpack(tmp_path / "a.tar.zst", made)
    assert sorted(path.name for path in made.iterdir()) == ["first", "second"]
    assert (made / "first").samefile(made / "second")


def test_who_waits_for_a_packing_and_who_comes_later_have_one_lock(tmp_path: Path) -> None:
    copy, target = tmp_path / "x.copy", tmp_path / "x.tar.zst"
    copy.mkdir()
    lock = copy.with_name(copy.name + LOCK)
    with try_exclusive(lock):
        before = lock.stat().st_ino
    saver = StorageSaver(Runner())
    saver.pack(copy, target)
    assert saver.finish() == []
    assert lock.stat().st_ino == before


def test_an_interrupted_packing_leaves_the_copy_and_it_is_packed_later(tmp_path: Path) -> None:
    results = tmp_path / "out"
    of_chain = saved(results, "chain", 1)
    of_chain.copy.mkdir(parents=True)
    with (of_chain.copy / "sparse").open("wb") as file:
        file.truncate(1 << 36)
    saver = StorageSaver(Runner())
    saver.pack(of_chain.copy, of_chain.archive)
    saver.abandon()
    clear(results, keep=True)
    assert of_chain.exists
    assert [path.name for path in results.iterdir()] == ["copies"]
    (of_chain.copy / "sparse").write_bytes(b"small")
    saver.pack(of_chain.copy, of_chain.archive)
    assert saver.finish() == []
    assert members(of_chain.archive) == {"./sparse": b"small"}
    clear(results, keep=True)
    assert [path.name for path in results.iterdir()] == [of_chain.archive.name]


def test_a_failed_packing_leaves_no_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "x.tar.zst"
    with pytest.raises(FileNotFoundError):
        pack(tmp_path / "nowhere", target)
    assert list(tmp_path.iterdir()) == []


def test_packing_that_is_given_up_leaves_the_copy_and_no_half(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    # Takes no room, and longer than anybody waits.
    with (state / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 36)
    saver = StorageSaver(Runner())
    saver.save(state, tmp_path / "x.tar.zst", tmp_path / "copy")
    assert saver.pending == 1
    assert saver.abandon() == ["x.tar.zst"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"copy.lock"} == {"state", "copy"}
    assert saver.abandon() == []
