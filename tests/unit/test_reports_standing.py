"""How a run stands, as lines for a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from tests.fake_clock import EPOCH
from tests.unit.run_maker import MadeRun, loaded_run
from tests.unit.test_stats_standing import GONE, ODD

from loadgenctl.owner import Owner
from loadgenctl.reports.table_model import Column, Table, table_lines
from loadgenctl.reports.top_view import beside, foot, page, picture
from loadgenctl.stats.live_state import LiveRun

ESCAPES = ("\x1b", "\x07", "\x9b", "\r", "\x08", "\x7f", "\u202e")


def standing(run: MadeRun, at: float = 100.0) -> dict[str, Any]:
    return LiveRun(run.folder).poll(EPOCH + at)


def lines(
    run: MadeRun, at: float = 100.0, *, width: int = 80, height: int | None = None
) -> list[str]:
    """The picture and the line below it, as they stand in a terminal of that size."""
    found = standing(run, at)
    shown = picture(found, width, None if height is None else height - 1)
    return page([*shown, foot(found, "q ends this")], width).plain.split("\n")


def test_a_run_under_load_at_80_columns(tmp_path: Path) -> None:
    assert lines(loaded_run(tmp_path / "run-7"), 104.0, height=24) == [
        "run-7: running 1:44",
        "SDK agoric main (commit fa7ff5e55efa)",
        "stage 1/2: under load, 1:34 of 10:00",
        "",
        "    block    lag s   time s cosmos s swingset s   idle s deliveries   computrons",
        "       49     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       50     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       51     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       52     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       53     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       54     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "       55     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "   avg 16     1.25     5.00    0.500       2.00     2.50          7      123 456",
        "",
        "task         state         ok failed in flight missed   avg s   p95 s ok/min",
        "faucet       -              6      0         0      0    6.50    8.75    4.3",
        "vault        -              0      1         1      2       -       -    0.0",
        "",
        "process name       CPU %    MiB    age   container  CPU %    MiB    age",
        "kernel  -           20.0   32.0 14.0 s   chain       80.0   64.0 14.0 s",
        "vats    2 workers   60.0   32.0 14.0 s",
        "v10     zoe         10.0   32.0 14.0 s",
        "v1      bank         5.0   32.0 14.0 s",
        "last block 9.0 s ago · storage 90.0 MiB, 14.0 s old · q ends this",
    ]


def test_larger_terminals_show_more_and_side_by_side(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    tall = lines(run, height=40)
    assert sum(line.endswith("123 456") for line in tall) == 16 + 1
    wide = lines(run, width=200, height=50)
    assert "block" in wide[4]
    assert "task" in wide[4]
    assert len(wide) < len(tall)
    assert lines(run, width=160, height=50)[4].endswith("ok/min")


@pytest.mark.parametrize("width", [20, 40, 80, 99, 100, 159, 160, 200, 300])
@pytest.mark.parametrize("height", [1, 5, 24, 50, 100])
def test_it_fits(tmp_path: Path, width: int, height: int) -> None:
    run = loaded_run(tmp_path)
    for place in range(60):
        run.process(90, f"v{place + 20}", 1.0, name="a-name-that-has-no-end-" * 3)
        run.block(100 + place, 10_000_000 + place, computrons=10**9, lag=12345.6)
    for role in ("solo", "loadgen", "holder"):
        run.container(90, role, 123456.0, memory_bytes=10**12, network_rx_bytes=10**13)
    found = standing(run)
    shown = picture(found, width, height)
    assert len(shown) <= height
    whole = page([*shown, foot(found, "q ends this")], width)
    assert max(map(len, whole.plain.split("\n"))) <= width


@pytest.mark.parametrize("width", [60, 80, 100, 160, 200])
def test_no_number_is_cut(tmp_path: Path, width: int) -> None:
    run = loaded_run(tmp_path)
    for second in range(90, 95):
        run.block(second, 987_654_321, computrons=9_876_543_210, swingsetTime=87_654.4)
        run.process(second, "v1", 50.0, name="bank", memory_rss_kib=10**9)
        run.container(second, "chain", 50.0, memory_bytes=10**13, block_read_bytes=10**13)
    shown = lines(run, width=width)
    assert max(map(len, shown)) <= width
    words = " ".join(" ".join(shown).split())
    for number in ("987 654 321", "9 876 543 210", "87 654", "976 562", "9 536 743"):
        assert number in words or (width < 80 and number == "9 876 543 210")
    heads = [line for line in shown if line.split()[:1] in (["block"], ["task"], ["process"])]
    assert not any("…" in line for line in heads)


def test_at_24_lines_every_part_is_there(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    for place in range(30):
        run.process(90, f"v{place + 20}", 1.0)
    for role in ("solo", "loadgen"):
        run.container(90, role, 1.0)
    shown = lines(run, height=24)
    assert len(shown) == 24
    heads = [line.split()[0] for line in shown if line]
    assert [head for head in heads if head in {"block", "avg", "task", "process", "last"}] == [
        *("block", "avg", "task", "process", "last")
    ]
    assert sum(line.startswith("v") and "vault" not in line for line in shown) >= 4


def test_what_is_missing_is_a_dash(tmp_path: Path) -> None:
    run = MadeRun(tmp_path / "run-7")
    run.status(stage=1)
    run.block(1, 7, lag=None, blockDuration=None, computrons=None, deliveries=0)
    run.process(1, "kernel", None, memory_rss_kib=None, reason="the agent\x1b[1m is silent")
    run.container(1, "chain", 1.0, memory_bytes=None)
    run.storage(1, None)
    shown = lines(run)
    assert shown[1:3] == ["SDK not known yet", "stage 1: -"]
    assert "kernel: the agent is silent" in shown
    words = [line.split() for line in shown]
    assert ["7", "-", "-", "0.500", "2.00", "2.50", "0", "-"] in words
    assert ["kernel", "-", "-", "-", "1:39", "chain", "-", "-", "1:39"] in words
    assert "storage - MiB, 1:39 old" in shown[-1]


@pytest.mark.parametrize(
    ("mark", "stage", "words"),
    [
        ("run-chain-finish", 1, "waiting for the chain's first block, 40.0 s of 10:00"),
        ("stage-ready", 1, "under load, 40.0 s of 10:00"),
        ("stage-ready", 2, "chain only, 40.0 s"),
        ("stage-shutdown", 2, "stopping, 40.0 s"),
        ("of-another-version", 2, "measuring, 40.0 s"),
    ],
)
def test_what_it_is_doing(tmp_path: Path, mark: str, stage: int, words: str) -> None:
    run = MadeRun(tmp_path)
    run.plan()
    run.status(stage=stage, step="measuring")
    run.perf(70, mark, stage=stage, begun=60)
    run.perf(80, "chain-process-usage", stage=stage, begun=60)
    assert lines(run)[2] == f"stage {stage}/2: {words}"


def test_before_the_stages(tmp_path: Path) -> None:
    run = MadeRun(tmp_path / "run-7")
    assert lines(run)[:3] == ["run-7: not begun", "SDK not known yet", "nothing recorded yet"]
    run.status(step="build the SDK")
    run.plan(simulated=True, dirty=True)
    assert lines(run)[:3] == [
        "run-7: running 1:40",
        "SDK sim main (commit fa7ff5e55efa) with uncommitted changes, simulated: not a r…",
        "build the SDK, 3 stages",
    ]
    assert lines(run)[4:] == [
        "no block yet",
        "",
        "no load yet",
        "",
        "no sample yet",
        *lines(run)[-1:],
    ]


def test_a_stage_without_a_load_after_one_with(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.status(stage=2, step="stage 2")
    shown = lines(run)
    assert any(line.startswith("stage 1      state") for line in shown)
    assert shown[-1].startswith("last block 5.0 s ago (stage 1)")
    alone = MadeRun(tmp_path / "alone")
    alone.plan()
    alone.status(stage=0)
    assert "no load in this stage" in lines(alone)


def test_how_a_run_ended(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    run.status(
        stage=1,
        outcome="died",
        role="chain",
        reason="the chain ended with exit code 3",
        hint="see its log",
        finished_at=EPOCH + 99,
        last_lines=("one", "two", "three", "four"),
    )
    assert lines(run, 5000)[:8] == [
        "run-7: died 1:39",
        "SDK agoric main (commit fa7ff5e55efa)",
        "ended in stage 1/2: under load, 1:29 of 10:00",
        "chain: the chain ended with exit code 3",
        "  | two",
        "  | three",
        "  | four",
        "hint: see its log",
    ]
    assert "last block 4.0 s before the end" in lines(run, 5000)[-1]


def test_a_dead_run_without_marks_says_only_what_is_known(tmp_path: Path) -> None:
    run = MadeRun(tmp_path / "run-7")
    run.plan()
    run.status(stage=1, step="stage 1", owner=GONE)
    run.block(1, 7, endFinishAt=None)
    shown = lines(run)
    assert shown[2] == "ended in stage 1/2"
    assert "last block 7, its end unknown" in shown[-1]
    assert not any(" - of " in line for line in shown)


def test_a_run_whose_owner_is_gone_or_not_known(tmp_path: Path) -> None:
    run = loaded_run(tmp_path / "run-7")
    run.status(stage=1, owner=GONE)
    shown = lines(run)
    assert (shown[0], shown[3]) == ("run-7: killed 1:35", "its process is gone")
    run.status(stage=1, owner=Owner(1, "boot-1", "elsewhere"))
    shown = lines(run)
    assert shown[0] == "run-7: running 1:40"
    assert "a run of another machine" in shown[3]


def test_a_chain_that_makes_no_blocks_is_told_by_the_colour_of_its_age(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    styles = [foot(standing(run, at)).style for at in (100.0, 119.0, 121.0)]
    assert styles == ["dim", "dim", "bold yellow"]


def test_failed_and_missed_cycles_are_seen(tmp_path: Path) -> None:
    task = next(line for line in picture(standing(loaded_run(tmp_path)), 80) if "vault" in line)
    assert {str(span.style) for span in task.spans} >= {"bold red", "yellow"}


def test_bytes_moved_stand_in_place_of_ages_where_it_is_narrow(tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    run.container(95, "chain", 65.0, block_read_bytes=5 << 20, block_write_bytes=3 << 30)
    run.container(95, "holder", 0.1, network_rx_bytes=1 << 20, network_tx_bytes=None)
    [head] = [line for line in lines(run) if "container" in line]
    assert head.split()[-4:] == ["net", "MiB", "disk", "MiB"]
    assert any(line.endswith("- 5.0/3 072") for line in lines(run))
    assert any(line.endswith("1.0/-         -") for line in lines(run))
    [head] = [line for line in lines(run, width=120) if "container" in line]
    assert head.split()[-1] == "age"


def test_nothing_in_a_file_drives_the_terminal(tmp_path: Path) -> None:
    evil = "a\x1b]0;title\x07b\x1b[2J\x9b1m\r\x08\x7f\u202ec\nd[red]e"
    run = MadeRun(tmp_path)
    run.plan(simulated=True, family=evil, requested=evil)
    run.status(
        stage=1,
        step=evil,
        outcome="failed",
        role=evil,
        reason=evil,
        hint=evil,
        last_lines=(evil,),
        finished_at=EPOCH + 1,
    )
    run.perf(1, evil)
    run.block(1, 1, stage=1)
    run.event(1, "status", status={evil: {"state": evil, "succeeded": 1}})
    run.cycle(1, 2, evil)
    run.process(1, evil, 1.0, name=evil, reason=evil)
    run.process(1, "kernel", None, name=evil, reason=evil)
    run.container(1, evil, 1.0, reason=evil)
    shown = lines(run, width=160)
    assert not any(escape in line for line in shown for escape in ESCAPES)
    assert sum("[red]" in line for line in shown) >= 5
    assert len(lines(run, height=24)) <= 24


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_are_shown_somehow(tmp_path: Path, odd: Any) -> None:
    run = loaded_run(tmp_path)
    run.plan(family=odd, requested=odd, commit=odd, simulated=odd)
    run.process(90, "v2", 1.0, name=odd, reason=odd)
    run.container(91, "chain", 1.0, reason=odd)
    run.status(stage=odd, step=odd, role=odd, reason=odd, hint=odd, outcome="failed")
    assert len(lines(run)) > 20


def test_columns_of_wide_characters_are_cut_in_place() -> None:
    columns = (Column("name", "name", str, "name", width=4, most=6), Column("n", "n", width=3))
    rows = [{"name": "ab", "n": 1}, {"name": "日本語日本", "n": 1234}]
    made = [line.plain for line in table_lines(Table("", columns, rows, form="dense"), None)]
    assert made == ["name       n", "ab         1", "日本 … 1 234"]


def test_two_lists_of_lines_beside_each_other() -> None:
    left, right = [Text("abcdef"), Text("x")], [Text("1"), Text("2"), Text("3")]
    made = [line.plain for line in beside(left, right, 4)]
    assert made == ["abc…   1", "x      2", "       3"]
    assert left[0].plain == "abcdef"


def test_time_under_load_counts_from_the_load_s_begin_where_that_ends_the_stage(
    tmp_path: Path,
) -> None:
    run = MadeRun(tmp_path / "run-7")
    run.plan()
    document = json.loads((run.folder / "run.json").read_text())
    document["plan"]["stages"][1]["load_duration_s"] = 600.0
    (run.folder / "run.json").write_text(json.dumps(document))
    run.status(stage=1, step="stage 1")
    run.perf(10, "stage-start", begun=10)
    run.perf(30, "loadgen-ready", begun=10)
    assert lines(run, 40)[2] == "stage 1/2: preparing the load, 30.0 s"
    run.perf(40, "load-start", begun=10)
    run.perf(40.1, "stage-ready", begun=10)
    assert lines(run, 100)[2] == "stage 1/2: under load, 1:30; under load 1:00 of 10:00"
    run.perf(640, "load-finish", begun=10)
    assert lines(run, 650)[2] == "stage 1/2: winding down, 10:40; under load 10:00 of 10:00"
