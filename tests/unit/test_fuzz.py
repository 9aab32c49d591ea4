"""The fuzz targets on inputs made by hypothesis, and on those that broke something once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fuzz import mutate
from tests.fuzz.found import Case, cases, keep
from tests.fuzz.guided import Crashes
from tests.fuzz.target import Target, folder, judge
from tests.fuzz.targets import TARGETS

from loadgenctl.errors import UsageError

EXAMPLES = {"options": 150, "toml": 200, "loadconfig": 400, "http": 300, "slog": 250}
SLOW = 200
"""Examples of what is not listed. All of them together take some ten seconds."""


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_whatever_comes_in_is_taken_or_refused(target: Target) -> None:
    seeds = target.seeds()
    changed = st.tuples(
        st.sampled_from(seeds), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3)
    )

    wide = settings().max_examples > EXAMPLES["loadconfig"]

    @settings(max_examples=2000 if wide else EXAMPLES.get(target.name, SLOW))
    @given(st.one_of(changed, st.tuples(st.binary(max_size=300), st.just([]))))
    @example((b"", []))
    def look(given: tuple[bytes, list[int]]) -> None:
        data, changes = given
        for change in changes:
            data = target.mutate(data, change)
        judge(target, data)

    look()


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_what_the_search_begins_with(target: Target) -> None:
    taken = [judge(target, seed) for seed in target.seeds()]
    assert any(taken), "all seeds are refused: the search would see nothing but refusals"


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.target}-{case.about}")
def test_what_broke_something_once(case: Case) -> None:
    judge(TARGETS[case.target], case.data)


def test_the_cases_are_read_as_they_were_kept(tmp_path: Path) -> None:
    file = tmp_path / "fuzz.json"
    file.write_text("[]")
    kept = [Case("slog", "text", b'\0{"time":1}\r\n'), Case("slog", "bytes", bytes(range(256)))]
    for case in (*kept, kept[0]):
        keep(case, file)
    assert cases(file) == kept


def test_a_crash_is_written_down_once_and_told_from_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_input(data: bytes) -> None:
        if data == b"no":
            raise UsageError("no")
        raise ValueError("oops")

    target = Target("made", "", one_input, list, mutate.lines, ())
    assert judge(target, b"no") is False
    crashes = Crashes(target, tmp_path)
    for data in (b"first", b"second"):
        with pytest.raises(ValueError, match="oops") as raised:
            judge(target, data)
        crashes.note(data, raised.value)
    (text,) = tmp_path.glob("*.txt")
    assert text.with_suffix("").read_bytes() == b"first"
    assert "ValueError: oops" in text.read_text()
    assert capsys.readouterr().err.count(": crash: ") == 1


def test_folders_go_with_what_is_in_them() -> None:
    with folder() as place:
        (place / "x").write_text("x")
    assert not place.exists()
