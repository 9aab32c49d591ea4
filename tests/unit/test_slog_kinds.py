"""Slogs as people have them: packed, written again by other programs, or something else."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from tests.unit.slog_maker import Slog, reshaped
from typer.testing import CliRunner

from loadgenctl.cli.results import slog_app
from loadgenctl.errors import UsageError
from loadgenctl.slog.block_rows import BlockRows, Row
from loadgenctl.slog.files import NotSlogError, SlogReader
from loadgenctl.slog.scan import scan_file

CONTENT = reshaped(Slog().block(1, deliveries=2).block(2).content(), "type first")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def rows_of(path: Path) -> list[Row]:
    _, records = scan_file(path)
    rows = BlockRows()
    return [rows.row(record) for record in records]


def unpacked(path: Path, read: int | None = None) -> tuple[bytes, str | None]:
    with SlogReader(path, read=read) as reader:
        return b"".join(reader.chunks(1 << 16)), reader.damage


@pytest.mark.parametrize("name", PACKERS)
def test_all_parts_are_read_wherever_one_ends(tmp_path: Path, name: str) -> None:
    first, path = PACKERS[name](b"first\n" * 20), tmp_path / "packed"
    path.write_bytes(first + PACKERS[name](b"second\n"))
    whole = b"first\n" * 20 + b"second\n"
    for read in range(1, len(first) + 20):
        assert unpacked(path, read) == (whole, None), read
    path.write_bytes(first + bytes(64))
    assert unpacked(path, len(first) + 1) == (b"first\n" * 20, None)
    path.write_bytes(first + b"other")
    assert unpacked(path)[1] == "something else follows the archive's end"
    path.write_bytes(first[:-3])
    assert unpacked(path)[1] is not None


@pytest.mark.parametrize("name", PACKERS)
def test_packed_slogs_are_told_by_their_content(tmp_path: Path, name: str) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(CONTENT)
    packed.write_bytes(PACKERS[name](CONTENT))
    assert rows_of(packed) == rows_of(plain)


REWRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "spaces": lambda line: json.dumps(json.loads(line)).encode() + b"\n",
    "sorted": lambda line: (
        json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    ),
    "spaces everywhere": lambda line: (
        json.dumps(json.loads(line), separators=(" , ", " : ")).encode() + b"\n"
    ),
    "CRLF": lambda line: line.replace(b"\n", b"\r\n"),
    "byte order mark": lambda line: b"\xef\xbb\xbf" + line,
}


@pytest.mark.parametrize("how", REWRITTEN)
@pytest.mark.parametrize("kept", [0, 3])
def test_lines_that_another_program_wrote_tell_the_same(
    tmp_path: Path, how: str, kept: int
) -> None:
    lines, path = CONTENT.splitlines(keepends=True), tmp_path / "chain.slog"
    path.write_bytes(CONTENT)
    expected, blocks = scan_file(path, census=True)
    # A file may begin with lines as the chain writes them.
    path.write_bytes(b"".join([*lines[:kept], *map(REWRITTEN[how], lines[kept:])]))
    scanner, found = scan_file(path, census=True)
    assert found == blocks
    assert scanner.vats == expected.vats
    assert scanner.totals.types == expected.totals.types
    assert scanner.anomalies == {}


def test_json_that_is_no_event_is_not_garbage(tmp_path: Path) -> None:
    path = tmp_path / "chain.slog"
    path.write_bytes(CONTENT + b'{"a": 1}\nwords\n')
    scanner, _ = scan_file(path, census=True)
    assert scanner.anomalies == {"no-event": 1, "garbage-lines": 1}


def others(folder: Path) -> dict[str, tuple[bytes, str]]:
    inner = folder / "inner"
    inner.write_bytes(CONTENT)
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.write(inner)
    with tarfile.open(folder / "tar", "w") as tar:
        tar.add(inner)
    tarred, text = (folder / "tar").read_bytes(), CONTENT.decode()
    return {
        "zip": ((folder / "zip").read_bytes(), "zip archive: unpack it first"),
        "tar": (tarred, "tar archive: unpack it first"),
        "tar.bz2": (bz2.compress(tarred), "packed with bzip2, and within a tar archive"),
        "twice": (gzip.compress(gzip.compress(CONTENT)), "packed twice with gzip"),
        "UTF-16": (text.encode("utf-16"), "UTF-16 text"),
        "UTF-16 without a mark": (text.encode("utf-16-le"), "UTF-16 text"),
        "UTF-16, big end first": (text.encode("utf-16-be"), "UTF-16 text"),
        "flight recorder": (b"!GOLS-GA" + bytes(100), "flight recorder"),
    }


def test_what_is_no_slog_is_named(tmp_path: Path) -> None:
    for name, (content, words) in others(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(NotSlogError, match=words):
            scan_file(path)


@pytest.mark.parametrize("words", [["blocks", "--csv"], ["stats", "--json"], ["vats"], ["tail"]])
@pytest.mark.parametrize("content", [b"words\n", b'{"a":1}\n', gzip.compress(b"")])
def test_a_file_without_an_event_is_an_error_of_every_command(
    tmp_path: Path, words: list[str], content: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is no slog|is empty"):
        CliRunner().invoke(slog_app, [*words, str(path)], catch_exceptions=False)


@pytest.mark.parametrize("command", ["blocks", "stats", "vats", "tail"])
def test_a_device_is_refused_also_through_a_link(tmp_path: Path, command: str) -> None:
    link = tmp_path / "chain-stage-1.slog.gz"
    link.symlink_to("/dev/zero")
    for path in (link, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(UsageError, match="it is a device"):
            CliRunner().invoke(slog_app, [command, str(path)], catch_exceptions=False)


def test_a_pipe_is_read_to_its_end() -> None:
    for content in (CONTENT, gzip.compress(CONTENT)):
        for command in ("blocks", "tail"):
            reading, writing = os.pipe()
            os.write(writing, content)
            os.close(writing)
            words = [command, "--json", f"/dev/fd/{reading}"]
            result = CliRunner().invoke(slog_app, words, catch_exceptions=False)
            os.close(reading)
            assert result.exit_code == 0
            assert result.stdout.count('"blockHeight"') == 2
