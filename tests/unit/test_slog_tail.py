"""`loadgenctl slog tail`: blocks of a growing slog as they come."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.fake_clock import FakeClock
from tests.unit.slog_maker import Slog

from loadgenctl.cli.tail import show_tail
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.owner import Owner
from loadgenctl.records.status import Status
from loadgenctl.slog.follow import SlogFollower, open_writer
from loadgenctl.slog.tail import FileTail


def slog(first: int, last: int, *, begin: float = 1000.0) -> bytes:
    made = Slog(now=begin)
    for height in range(first, last + 1):
        made.block(height, deliveries=1)
    return made.content()


def append(path: Path, content: bytes) -> Callable[[], None]:
    def write() -> None:
        with path.open("ab") as file:
            file.write(content)

    return write


def tail(
    path: Path, clock: FakeClock, *, blocks: int | None = None, as_json: bool = False
) -> list[str]:
    """The lines that come where the output is not a terminal."""
    out = io.StringIO()
    show_tail(path, blocks=blocks, as_json=as_json, console=Console(file=out), clock=clock)
    return out.getvalue().splitlines()


def heights(lines: list[str]) -> list[int]:
    """Of the blocks below the head."""
    return [int(line.split()[0]) for line in lines[1:]]


def interrupt() -> None:
    raise KeyboardInterrupt


def test_blocks_come_as_the_file_grows_until_there_were_enough(tmp_path: Path) -> None:
    file, clock = tmp_path / "chain.slog", FakeClock()
    content = slog(1, 5)
    places = [content.index(b"cosmic-swingset-begin-block", place) for place in (0, 400, 900)]
    file.write_bytes(content[: places[1]])
    clock.after(2.5, append(file, content[places[1] : places[2]]))
    clock.after(3.5, append(file, content[places[2] :]))
    lines = tail(file, clock, blocks=4)
    assert lines[0].split() == [
        "block",
        "lag_s",
        "duration_s",
        "cosmos_s",
        "swingset_s",
        "idle_s",
        "deliveries",
        "computrons",
        "heap_mib",
    ]
    assert lines[2].split() == ["2", "6.400", "5.400", "0.100", "0.300", "5.000", "1", "100", "-"]
    assert heights(lines) == [1, 2, 3, 4]
    assert len({len(line) for line in lines}) == 1
    assert clock.slept == [1.0] * len(clock.slept)
    assert 3 <= len(clock.slept) <= 4


def test_only_the_last_blocks_of_those_that_were_there(tmp_path: Path) -> None:
    file, clock = tmp_path / "chain.slog", FakeClock()
    file.write_bytes(slog(1, 30))
    assert heights(tail(file, clock, blocks=3)) == [28, 29, 30]
    assert clock.slept == []
    clock.after(1.5, append(file, slog(31, 31, begin=2000.0)))
    assert heights(tail(file, clock, blocks=11)) == list(range(21, 32))


def test_ctrl_c_ends_it_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, clock = tmp_path / "chain.slog", FakeClock()
    file.write_bytes(slog(1, 3)[:-5])
    clock.after(7.0, interrupt)
    assert heights(tail(file, clock)) == [1, 2]
    # A block and a line that are still being written are nothing odd.
    assert capsys.readouterr().err == f"{file}\n"


def test_json_has_the_fields_of_blocks(tmp_path: Path) -> None:
    file = tmp_path / "chain.slog"
    file.write_bytes(slog(1, 2))
    rows = [json.loads(line) for line in tail(file, FakeClock(), blocks=2, as_json=True)]
    assert (rows[1]["blockHeight"], rows[1]["idleTime"], rows[1]["computrons"]) == (2, 5, 100)


def test_a_compressed_slog_is_shown_and_over(tmp_path: Path) -> None:
    file = tmp_path / "chain-stage-1.slog.gz"
    writer = open_writer(file)
    writer.write(slog(1, 12))
    writer.close()
    assert heights(tail(file, FakeClock())) == list(range(3, 13))


def test_a_new_file_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    """A chain that was started again by hand begins its slog again."""
    file, clock = tmp_path / "chain.slog", FakeClock()
    file.write_bytes(slog(1, 2))

    def replace() -> None:
        new = tmp_path / "new"
        new.write_bytes(slog(3, 4, begin=3000.0))
        new.replace(file)

    clock.after(2.5, replace)
    assert heights(tail(file, clock, blocks=4)) == [1, 2, 3, 4]


def test_what_is_odd_is_told_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chain.slog"
    file.write_bytes(slog(1, 1) + slog(1, 1))
    tail(file, FakeClock(), blocks=2)
    assert "clock-back 1, repeated-block 1" in capsys.readouterr().err


def test_a_run_from_stage_to_stage_until_its_end(tmp_path: Path) -> None:
    shared, clock = tmp_path / "shared", FakeClock()
    shared.mkdir()
    status = tmp_path / "status.json"

    def stand(outcome: str) -> None:
        document = Status(owner=Owner.current()).to_json() | {"outcome": outcome}
        status.write_text(json.dumps(document), encoding="utf-8")

    def stage(number: int, content: bytes) -> Callable[[], None]:
        return append(shared / f"chain-stage-{number}.slog", content)

    def packed() -> None:
        (shared / "chain-stage-1.slog").unlink()

    stand("running")
    clock.after(2.5, stage(0, slog(1, 2)))
    # Torn: such a slog stays beside the next stage's.
    clock.after(3.5, stage(0, slog(3, 3, begin=1100.0)[:-5]))
    clock.after(6.5, stage(1, slog(4, 5, begin=2000.0)))
    clock.after(8.5, packed)
    clock.after(12.5, stage(2, slog(6, 6, begin=3000.0)))
    clock.after(15.5, lambda: stand("passed"))
    rows = [json.loads(line) for line in tail(tmp_path, clock, as_json=True)]
    assert [(row["stage"], row["blockHeight"]) for row in rows] == [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 4),
        (1, 5),
        (2, 6),
    ]
    assert len(clock.slept) == 16


def test_a_run_that_has_ended_shows_its_last_stage(tmp_path: Path) -> None:
    (tmp_path / "perf.jsonl").touch()
    with pytest.raises(UsageError, match="no slog"):
        tail(tmp_path, FakeClock())
    for number in (9, 10):
        (tmp_path / f"chain-stage-{number}.slog").write_bytes(slog(number, number))
    assert heights(tail(tmp_path, FakeClock())) == [10]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match="holds no run"):
        tail(tmp_path, FakeClock())
    with pytest.raises(UsageError, match="cannot be read"):
        tail(tmp_path / "none", FakeClock())


def test_on_a_terminal_a_table_that_fits_it(tmp_path: Path) -> None:
    file, out, clock = tmp_path / "chain.slog", io.StringIO(), FakeClock(wall=1030.0)
    file.write_bytes(slog(1, 3))
    clock.after(3.5, append(file, slog(4, 4, begin=1020.0)))
    clock.after(20.0, interrupt)
    console = Console(file=out, force_terminal=True, color_system=None, width=80, height=24)
    show_tail(file, blocks=None, as_json=False, console=console, clock=clock)
    drawn = out.getvalue()
    assert re.search(r"block +lag s +time s +cosmos s +swingset s +idle s +deliveries", drawn)
    assert "last block 23.6 s ago" in drawn
    assert max(len(line) for line in drawn.split("\n") if "\x1b" not in line) <= 80
    # Drawn for four blocks, and every five seconds while none came; not every second.
    assert 5 <= drawn.count("computrons") <= 7


def test_a_large_file_is_read_from_near_its_end(tmp_path: Path) -> None:
    file = tmp_path / "chain.slog"
    content = slog(1, 40)
    file.write_bytes(content)
    starts = [0] + [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    whole = len(content)
    for backlog in (1, 150, 700, whole - starts[1], whole - starts[1] - 1, whole, whole + 1):
        follower = SlogFollower(file, None, last=backlog)
        follower.poll()
        follower.close()
        begin = min(start for start in starts if start >= whole - backlog)
        assert follower.taken == whole - begin
    near = FileTail(file, backlog=2000)
    shown = [row["blockHeight"] for row in near.poll()]
    assert shown == list(range(shown[0], 41))
    assert 1 <= len(shown) < 10
    near.close()


def test_a_backlog_within_one_long_line(tmp_path: Path) -> None:
    file = tmp_path / "chain.slog"
    file.write_bytes(slog(1, 1) + b'{"time":1,"type":"' + b"x" * 5000)
    near = FileTail(file, backlog=100)
    assert near.poll() == []
    append(file, b'"}\n' + slog(2, 2))()
    assert [row["blockHeight"] for row in near.poll()] == [2]
    near.close()
    assert not near.anomalies
