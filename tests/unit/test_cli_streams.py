"""Standard output and error without a reader, with a slow one, or with a small charset."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.run_maker import loaded_run
from tests.unit.slog_maker import Slog

from loadgenctl.cli.standard_streams import Stream
from loadgenctl.errors import OutputLost, ReaderGone

ROOT = Path(__file__).resolve().parents[2]
MUCH = "x" * 99 + "\n"


@dataclass
class Pipe:
    """Both ends of a pipe."""

    reading: int
    writing: int

    def close_reader(self) -> None:
        os.close(self.reading)
        self.reading = -1

    def all(self) -> bytes:
        """What is read until the other end is closed."""
        os.close(self.writing)
        self.writing = -1
        with os.fdopen(self.reading, "rb") as stream:
            self.reading = -1
            return stream.read()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe(*os.pipe())
    yield made
    for descriptor in (made.reading, made.writing):
        if descriptor >= 0:
            os.close(descriptor)


def output(descriptor: int, encoding: str = "utf-8") -> Stream:
    return Stream(descriptor, encoding, result=True, patience=0.05)


def progress(descriptor: int, encoding: str = "utf-8") -> Stream:
    return Stream(descriptor, encoding, result=False, patience=0.05)


def test_without_a_reader_a_command_that_reads_ends(pipe: Pipe) -> None:
    stream = output(pipe.writing)
    pipe.close_reader()
    stream.write("a line\n")
    with pytest.raises(ReaderGone):
        stream.flush()
    # What is written on the way out changes nothing any more.
    stream.write(MUCH * 1000)
    stream.flush()
    assert stream.reader_gone


def test_a_command_that_follows_something_notices_that_its_reader_is_gone(pipe: Pipe) -> None:
    stream = output(pipe.writing)
    stream.flush()
    pipe.close_reader()
    with pytest.raises(ReaderGone):
        stream.flush()


def test_a_full_disk_is_an_error_of_a_command_that_reads() -> None:
    with Path("/dev/full").open("wb") as full:
        stream = output(full.fileno())
        stream.write("a line\n")
        with pytest.raises(OutputLost, match="No space left"):
            stream.flush()
        assert not stream.reader_gone


def test_a_descriptor_that_takes_no_writes_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as readable:
        stream = output(readable.fileno())
        stream.write("a line\n")
        with pytest.raises(OutputLost, match="Bad file descriptor"):
            stream.flush()


def test_a_command_that_does_something_goes_on_without_a_reader(pipe: Pipe) -> None:
    streams = output(pipe.writing), progress(pipe.writing)
    for stream in streams:
        stream.keep_going(code_stays=True)
    pipe.close_reader()
    for stream in streams:
        stream.write(MUCH * 1000)
        stream.finish()
        assert stream.reader_gone


def test_standard_error_never_ends_anything(pipe: Pipe) -> None:
    with Path("/dev/full").open("wb") as full:
        progress(full.fileno()).write("a line\n")
    pipe.close_reader()
    progress(pipe.writing).write("a line\n")


def test_a_closed_terminal_is_a_reader_that_is_gone() -> None:
    master, terminal = pty.openpty()
    stream = output(terminal)
    assert stream.isatty()
    os.close(master)
    with pytest.raises(ReaderGone):
        stream.write("a line\n")
    assert stream.trouble is not None
    assert stream.trouble.errno == errno.EIO
    os.close(terminal)


def test_a_reader_that_does_not_read_holds_nothing_up_and_is_told_what_it_missed(
    pipe: Pipe,
) -> None:
    stream = progress(pipe.writing)
    stream.keep_going(code_stays=True)
    for _ in range(20_000):  # 2 MB; the pipe holds 64 KiB
        stream.write(MUCH)
    stream.finish()
    said = b""
    while len(said) < 200_000:  # of the 256 KiB that are kept at least
        said += os.read(pipe.reading, 65536)
    stream.write("the last line\n")
    while not said.endswith(b"the last line\n"):
        said += os.read(pipe.reading, 65536)
    stream.finish()
    assert len(said) < 500_000
    assert b"[some lines are left out here: the reader was too slow]\nthe last line\n" in said


def test_a_result_is_not_cut_for_a_slow_reader(pipe: Pipe) -> None:
    stream = Stream(pipe.writing, "utf-8", result=True, patience=60.0)
    stream.keep_going(code_stays=True)
    stream.write(MUCH * 20_000)
    # The writer waits for this reader, which begins late.
    finishing = threading.Thread(target=stream.finish)
    finishing.start()
    first = os.read(pipe.reading, 4096)
    rest = b""
    while len(first) + len(rest) < 2_000_000:
        rest += os.read(pipe.reading, 65536)
    finishing.join(60)
    assert not finishing.is_alive()
    assert first + rest == MUCH.encode() * 20_000


def test_once_all_is_written_there_is_no_other_thread(pipe: Pipe) -> None:
    before = threading.active_count()
    for stream in (output(pipe.writing), progress(pipe.writing)):
        stream.keep_going(code_stays=False)
        for line in ("first\n", "second\n"):
            stream.write(line)
            stream.finish()
            assert threading.active_count() == before


def test_words_of_both_streams_keep_their_order(pipe: Pipe) -> None:
    out, err = output(pipe.writing), progress(pipe.writing)
    out.neighbour, err.neighbour = err, out
    for stream in (out, err):
        stream.keep_going(code_stays=True)
    for number in range(200):
        stream = err if number % 2 else out
        stream.write(f"{number}\n")
        stream.flush()
    out.finish()
    err.finish()
    assert pipe.all().split() == [str(number).encode() for number in range(200)]


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "日 ü · \u2212\n", "日 ü · \u2212\n".encode()),
        ("utf-8", "a name that is no text: \udcff\n", b"a name that is no text: ?\n"),
        ("latin-1", "日 ü · \u2212 ✅…\n", b"? \xfc \xb7 - [ok]...\n"),
        ("ascii", "日 ü · \u2212\n", b"? ? - -\n"),
        ("cp1252", "日 … \u2212\n", b"? \x85 -\n"),
        ("utf-16-le", "ü\n", "ü\n".encode("utf-16-le")),
    ],
)
def test_what_a_charset_lacks_is_replaced(
    pipe: Pipe, encoding: str, text: str, written: bytes
) -> None:
    for stream in (output(pipe.writing, encoding), progress(pipe.writing, encoding)):
        stream.write(text)
        stream.flush()
    assert pipe.all() == written * 2


def loadgenctl(
    *arguments: str, stdout: int, prepare: Callable[[], None] | None = None, cwd: Path = ROOT
) -> tuple[int, str]:
    """Exit code and standard error of the program as a person starts it."""
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", "loadgenctl", *arguments],
        env={**environment, "PYTHONPATH": str(ROOT / "controller")},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.fixture
def slog(tmp_path: Path) -> str:
    path = tmp_path / "chain-stage-0.slog"
    path.write_bytes(Slog().block(1, deliveries=2).content())
    return str(path)


READING: Sequence[Sequence[str]] = (
    ("--help",),
    ("--version",),
    ("run", "--help"),
    ("run", "--sdk", "sim", "--dry-run"),
    ("run", "--sdk", "sim", "--dry-run", "--json"),
    ("options",),
    ("options", "--json"),
    ("slog", "blocks", "SLOG"),
    ("slog", "blocks", "--csv", "SLOG"),
    ("slog", "stats", "--json", "SLOG"),
    ("slog", "tail", "SLOG", "--for", "1"),
)


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_every_command_that_reads_ends_alike_without_a_reader_and_on_a_full_disk(
    arguments: Sequence[str], slog: str, pipe: Pipe
) -> None:
    words = [slog if word == "SLOG" else word for word in arguments]
    pipe.close_reader()
    code, said = loadgenctl(*words, stdout=pipe.writing)
    assert code == 141
    assert "error" not in said
    assert "Exception" not in said
    with Path("/dev/full").open("wb") as full:
        code, said = loadgenctl(*words, stdout=full.fileno())
    assert code == 5
    assert "error: standard output cannot be written: No space left on device\n" in said
    assert "Exception" not in said


def test_following_a_slog_that_does_not_grow_ends_with_its_reader(slog: str) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "loadgenctl", "slog", "tail", slog],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    assert os.read(reading, 4096)
    os.close(reading)
    assert process.wait(60) == 141


def test_a_report_is_written_although_the_output_has_no_reader(pipe: Pipe, tmp_path: Path) -> None:
    loaded_run(tmp_path / "run")
    pipe.close_reader()
    code, _ = loadgenctl(
        "stats", str(tmp_path / "run"), "--junit", str(tmp_path / "j.xml"), stdout=pipe.writing
    )
    assert code == 141
    assert (tmp_path / "j.xml").exists()


def test_closed_descriptors_are_dev_null(slog: str, tmp_path: Path) -> None:
    def close() -> None:
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    junit = tmp_path / "out"
    with junit.open("wb") as out:
        assert loadgenctl("slog", "stats", slog, stdout=out.fileno(), prepare=close) == (0, "")
        assert loadgenctl("stats", "nowhere", stdout=out.fileno(), prepare=close) == (2, "")
    assert junit.read_bytes() == b""


def test_a_command_that_does_something_ends_with_its_own_code_without_a_reader(
    pipe: Pipe, tmp_path: Path
) -> None:
    pipe.close_reader()
    for stdout in (pipe.writing, os.open("/dev/full", os.O_WRONLY)):
        code, said = loadgenctl("run", "--sdk", "sim", "--json", "--stages", "0", stdout=stdout)
        assert code == 2
        assert "error: --stages must be at least 1" in said
