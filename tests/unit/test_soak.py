"""The pure parts of bin/soak: its plan, what it expects, its verdict, and the slogs it reads."""

from __future__ import annotations

import gzip
import itertools
import signal
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from images.sim.simsdk.faults import parse_faults
from tests.soak.cases import CHILD_EVERY, PASSES, Case, Expectation, case, cases
from tests.soak.check import judged
from tests.soak.kills import missing, moments
from tests.soak.slogs import blocks_in, inflated
from tests.soak.soak import Asked
from tests.soak.verdict import WARM_UP, Count, judge

from loadgenctl.cli.merged_options import read


def first(seed: int, number: int = 200) -> list[Case]:
    return list(itertools.islice(cases(seed), number))


def test_the_plan_is_the_same_for_the_same_seed() -> None:
    assert first(7) == first(7)
    assert first(7) != first(8)
    assert first(7)[41] == case(7, 42), "a run depends on its own number only"


def test_every_fourth_run_is_a_child_and_some_have_no_fault() -> None:
    drawn = first(7)
    assert [one.number for one in drawn if one.child] == list(
        range(CHILD_EVERY, len(drawn) + 1, CHILD_EVERY)
    )
    healthy = [one for one in drawn if one.kind == "no fault"]
    assert len(healthy) > 20
    assert {one.expected for one in healthy} == {PASSES}


def test_options_and_faults_are_ones_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for one in {one.kind: one for one in first(7, 400)}.values():
        settings = tmp_path / "sim.toml"
        settings.write_text(one.settings)
        words = ["--sdk", "sim", *one.options, "--sim-config", str(settings)]
        assert read(words, None).plan().sdk == "sim"
        assert len(parse_faults(tomllib.loads(one.settings).get("fault", []))) == len(one.faults)


DIED = Expectation(4, ("died",), "chain", "exit code 3")


@pytest.mark.parametrize(
    ("code", "status", "complaint"),
    [
        (0, {"outcome": "died", "role": "chain", "reason": "exit code 3"}, "exit code 0"),
        (4, {"outcome": "failed", "role": "chain", "reason": "exit code 3"}, "outcome failed"),
        (4, {"outcome": "died", "role": "solo", "reason": "exit code 3"}, "role solo"),
        (4, {"outcome": "died", "role": "chain", "reason": "exit code 1"}, "does not say"),
        (4, {}, "outcome None"),
    ],
)
def test_an_end_that_was_not_expected_is_told(
    code: int, status: dict[str, str], complaint: str
) -> None:
    assert complaint in "; ".join(judged(DIED, code, status, acted=True))


def test_an_expected_end_is_none_to_complain_of() -> None:
    status = {"outcome": "died", "role": "chain", "reason": "chain ended: exit code 3"}
    assert judged(DIED, 4, status, acted=True) == []


def test_a_run_that_the_fault_came_too_late_for_has_to_pass() -> None:
    assert judged(DIED, 0, {"outcome": "passed"}, acted=False) == []
    assert judged(DIED, 4, {"outcome": "died"}, acted=False) != []


def test_an_end_asked_for_is_known_whoever_handles_the_signal() -> None:
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        asked = Asked()
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        assert not asked()
    finally:
        asked.close()
        signal.signal(signal.SIGINT, handler)


def counts(number: int = 40) -> list[Count]:
    return [Count(run, 0, 5, 1, 50_000) for run in range(1, number + 1)]


def test_a_soak_in_which_nothing_grows_passes() -> None:
    warming = [replace(count, fds=9, rss_kib=1) for count in counts()[:WARM_UP]]
    verdict = judge([*warming, *counts()[WARM_UP:]])
    assert verdict.complaints == ()
    assert [trend.slope for trend in verdict.trends] == [0, 0, 0]


@pytest.mark.parametrize(
    ("quantity", "leaky"),
    [
        ("fds", [replace(count, fds=5 + count.run // 4) for count in counts()]),
        ("threads", [replace(count, threads=1 + count.run // 10) for count in counts()]),
        ("memory", [replace(count, rss_kib=50_000 + 700 * count.run) for count in counts()]),
        ("left on the engine", [replace(count, left=count.run == 9) for count in counts()]),
    ],
)
def test_a_leak_fails_the_verdict(quantity: str, leaky: list[Count]) -> None:
    (complaint,) = judge(leaky).complaints
    assert quantity in complaint


def test_of_few_runs_only_what_is_left_is_judged() -> None:
    assert judge([]).complaints == ()
    assert judge([Count(1, 2, 5, 1, 1)]).leaked == 2


def line(height: int) -> bytes:
    """A whole block; the bootstrap, of height 0, has no begin."""
    begin = b'{"type":"cosmic-swingset-begin-block","blockHeight":%d}\n' % height
    end = b'{"type":"cosmic-swingset-end-block-finish","blockHeight":%d}\n' % height
    return begin + end if height else end


def test_blocks_are_read_from_a_whole_a_torn_and_a_cut_off_slog(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "chain-stage-0.slog.gz").write_bytes(
        gzip.compress(line(0) + line(1)) + gzip.compress(line(2))
    )
    (tmp_path / "chain-stage-1.slog.gz").write_bytes(gzip.compress(line(3)))
    (shared / "chain-stage-1.slog").write_bytes(line(3) + line(4) + line(5)[:-20])
    assert blocks_in(tmp_path) == {(0, 1), (0, 2), (1, 3), (1, 4)}
    assert line(1) in inflated(gzip.compress(line(1)) + gzip.compress(line(2) * 99)[:-9])


def test_a_block_that_is_not_counted_is_told() -> None:
    assert missing({(0, 1), (0, 2)}, {(0, 1), (0, 2), (1, 3)}) == []
    assert "1 blocks" in missing({(0, 1), (0, 2)}, {(0, 1)})[0]


def test_the_moments_of_kills_are_drawn_from_the_seed_over_the_whole_run() -> None:
    drawn = [moments(3, 20.0)() for _ in range(2)]
    assert drawn[0] == drawn[1]
    draw = moments(3, 20.0)
    many = [draw() for _ in range(200)]
    assert 0 <= min(many) < 1
    assert 19 < max(many) <= 20
