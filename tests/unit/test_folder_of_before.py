"""A results folder of an earlier version: tests/data/run-of-before.tar.zst.

loadgenctl 0.1.0 made it before columns had one description: the simulated SDK on the local engine,
two stages, one of them under load. The file beside it is what `stats --csv` printed of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.column_tables import undescribed

from loadgenctl.cli.app import main
from loadgenctl.records import columns, schema
from loadgenctl.records.archive import unpack
from loadgenctl.records.columns import names
from loadgenctl.records.plan_codec import recorded_plan
from loadgenctl.records.reader import RunFolder
from loadgenctl.stats.columnar import tables
from loadgenctl.stats.regen import regenerate
from loadgenctl.stats.summary import summarize

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    folder = tmp_path / "run-of-before"
    folder.mkdir()
    unpack(DATA / "run-of-before.tar.zst", folder)
    return folder


def test_its_summary_is_the_one_that_it_wrote(before: Path) -> None:
    summary = json.loads((before / schema.SUMMARY).read_bytes())
    assert summarize(before) == summary
    assert list(summarize(before)["stages"][0]) == list(summary["stages"][0])
    assert (summary["run"]["outcome"], summary["totals"]["block_count"]) == ("passed", 29)
    assert RunFolder(before).status is not None
    assert len(recorded_plan(RunFolder(before).run).stages) == 2


def test_its_computed_files_are_the_same_to_the_byte(before: Path) -> None:
    found = regenerate(before)
    for name in (schema.BLOCKS, schema.CYCLES):
        assert found.content[name] == (before / name).read_bytes()
        assert not found.rows[name].any
    written = (before / schema.SUMMARY).read_bytes()
    # The summary says that blocks were computed from the slogs.
    for number in (0, 1):
        slog = f"chain-stage-{number}.slog.gz".encode()
        written = written.replace(schema.BLOCKS.encode(), slog, 1)
    assert found.content[schema.SUMMARY] == written


def test_its_csv_is_the_same(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["stats", "--csv", str(before)])
    assert capsys.readouterr().out == (DATA / "run-of-before.csv").read_text(encoding="utf-8")


def test_every_key_of_its_rows_is_a_column(before: Path) -> None:
    assert undescribed(before) == {}


def test_rows_of_samples_have_the_columns_of_their_kind_in_order(before: Path) -> None:
    kinds = {
        ("container", None): columns.CONTAINER,
        ("storage", None): columns.STORAGE,
        ("process", "vats"): columns.VATS,
        ("process", "agent"): columns.AGENT,
        ("process", "controller"): columns.CONTROLLER,
    }
    light = names(columns.PROCESS, mark="*")
    seen = set()
    for row in RunFolder(before).samples():
        subject = row["subject"] if row["kind"] == "process" else None
        values = tuple(row)[len(columns.SAMPLE) - 1 : -1]
        assert (*tuple(row)[: len(columns.SAMPLE) - 1], "reason") == names(columns.SAMPLE)
        expected = kinds.get((row["kind"], subject), columns.PROCESS)
        assert values == names(expected) or (subject == "kernel" and values == light)
        seen.add((row["kind"], subject))
    assert seen >= kinds.keys()


def test_its_tables_have_no_column_that_is_not_described(before: Path) -> None:
    for table, known in zip(
        tables([before]),
        (
            (columns.BLOCK, columns.FIGURE),
            (columns.CYCLE,),
            (
                columns.SAMPLE,
                columns.CONTAINER,
                columns.PROCESS,
                columns.VATS,
                columns.AGENT,
                columns.STORAGE,
            ),
        ),
        strict=True,
    ):
        assert set(table.columns) == {"run", *names(*known)}
