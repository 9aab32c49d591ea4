"""Records of a wrong kind: damage that is counted and told, in whatever reads a folder."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.hostile import ESCAPES
from tests.unit.run_maker import loaded_run

from loadgenctl.cli.app import main
from loadgenctl.cli.print_data import json_text
from loadgenctl.records import schema
from loadgenctl.records.reader import RowFollower, RunFolder, parse_row
from loadgenctl.records.shape import DEEPEST, shape_of, stage_number, well_formed
from loadgenctl.records.status import Status

NESTED = b"[" * 1000 + b"]" * 1000
WRONG: list[tuple[str, bytes]] = [
    (schema.PERF, b'{"timestamp":"1","stage":1,"type":"perf-stage-start"}'),
    (schema.PERF, b'{"timestamp":1,"stage":1.5,"type":"perf-stage-start"}'),
    (schema.PERF, b'{"timestamp":1,"stage":1,"type":5}'),
    (schema.PERF, b'{"timestamp":1e13,"stage":1,"type":"perf-stage-start"}'),
    (schema.PERF, b'{"timestamp":1,"stage":99999999,"type":"perf-stage-start"}'),
    (schema.PERF, b'{"timestamp":0,"type":"perf-start","timeOrigin":[1]}'),
    (schema.PERF, b'{"timestamp":1,"stage":1}'),
    (schema.EVENTS, b'{"time":1,"type":"start","task":"faucet","seq":"1"}'),
    (schema.EVENTS, b'{"time":NaN,"type":"start","task":"faucet","seq":1}'),
    (schema.EVENTS, b'{"time":1,"type":"missed","task":"faucet","count":1e400}'),
    (schema.BLOCKS, b'{"stage":1,"blockHeight":"7"}'),
    (schema.BLOCKS, b'{"stage":1,"blockHeight":7,"computrons":' + b"9" * 5000 + b"}"),
    (schema.BLOCKS, b'{"stage":1,"blockHeight":9007199254740993}'),
    (schema.BLOCKS, b'{"stage":1,"lag":1}'),
    (schema.BLOCKS, b'{"stage":1,"blockHeight":7,"liveMode":1}'),
    (schema.CYCLES, b'{"stage":1,"task":["faucet"],"seq":1,"success":true}'),
    (schema.CYCLES, b'{"stage":1,"task":"faucet","seq":{},"success":true}'),
    (schema.CYCLES, b'{"stage":1,"task":"faucet","finish":Infinity}'),
    (schema.CYCLES, b'{"stage":1,"task":"faucet","detail":' + NESTED + b"}"),
    (schema.SAMPLES, b'{"time":1,"kind":"process","subject":7}'),
    (schema.SAMPLES, b'{"time":1,"kind":"process","subject":"v1","memory_rss_kib":1e300}'),
    (schema.SAMPLES, b'{"kind":"process","subject":"v1"}'),
]
"""One line each that is damage in its file."""


@pytest.mark.parametrize(("file", "line"), WRONG, ids=lambda value: repr(value)[:60])
def test_a_row_of_a_wrong_kind_is_damage(file: str, line: bytes, tmp_path: Path) -> None:
    run = loaded_run(tmp_path)
    before = len(list(RunFolder(tmp_path).rows(file)))
    run.raw(file, line + b"\n")
    folder = RunFolder(tmp_path)
    assert len(list(folder.rows(file))) == before
    assert folder.damage[file].unreadable == 1
    follower = RowFollower(tmp_path / file)
    assert len(follower.poll()) == before
    assert follower.unreadable == 1


def test_all_of_them_are_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = loaded_run(tmp_path)
    run.status(outcome="failed", finished_at=1_700_000_100.0)
    for file, line in WRONG:
        run.raw(file, line + b"\n")
    (tmp_path / "chain-stage-1.slog").write_bytes(b'{"time":1,"type":"deliver-result"}\n')
    before = _do(capsys, "stats", "--json", str(tmp_path))
    counts = {file: sum(name == file for name, _ in WRONG) for file, _ in WRONG}
    damage = json.loads(before)["damage"]
    assert {name: found["unreadable"] for name, found in damage.items()} == counts
    assert "blocks.jsonl: lines torn 0, unreadable 5" in _do(capsys, "stats", str(tmp_path))
    standing = json.loads(_do(capsys, "top", "--once", "--json", str(tmp_path)))
    assert standing["damage"] == counts
    for words in (("slog", "blocks"), ("slog", "vats"), ("slog", "stats")):
        _do(capsys, *words, str(tmp_path / "chain-stage-1.slog"))
    _do(capsys, "slog", "tail", str(tmp_path))
    assert "damaged before" in _do(capsys, "regen", str(tmp_path))
    again = json.loads(_do(capsys, "stats", "--json", str(tmp_path)))
    assert "blocks.jsonl" not in again["damage"]


def test_of_documents_the_wrong_fields_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded_run(tmp_path)
    status = {"outcome": "failed", "reason": ["x"], "started_at": "now", "exit_code": 4}
    status |= {"last_lines": [1], "owner": {"pid": "1", "start": "x", "host": "y"}, "more": []}
    (tmp_path / schema.STATUS).write_text(json.dumps(status))
    run = json.loads((tmp_path / schema.RUN).read_bytes())
    run |= {"host": [], "started_at": 1e300}
    run["sdk"]["commit_time"] = "2022"
    run["plan"]["stages"][1]["cycles"] = "many"
    (tmp_path / schema.RUN).write_text(json.dumps(run))
    folder = RunFolder(tmp_path)
    assert folder.status == Status(outcome="failed", exit_code=4)
    assert folder.damage[schema.STATUS].unreadable == 4
    assert folder.run["sdk"]["family"] == "agoric"
    assert "host" not in folder.run
    assert folder.damage[schema.RUN].unreadable == 4
    told = _do(capsys, "stats", str(tmp_path))
    assert "status.json: fields torn 0, unreadable 4" in told
    assert json.loads(_do(capsys, "top", "--once", "--json", str(tmp_path)))["damage"] == {
        schema.RUN: 4,
        schema.STATUS: 4,
    }


def test_what_perf_finish_tells_is_looked_at_too(tmp_path: Path) -> None:
    cycles = {"a": {"task": "faucet", "seq": 0, "startedAt": 1, "endedAt": "x"}, "b": 5}
    blocks = {"1": {"blockHeight": 1, "beginAt": 1}, "2": {"blockHeight": 2, "beginAt": []}}
    finish = {"stages": {"1": {"cycles": cycles, "blocks": blocks}, "²": {}, "9" * 5000: {}}}
    row = {"type": "perf-finish", "timestamp": 1, "stage": -1, "stats": finish}
    (tmp_path / schema.PERF).write_text(json.dumps(row) + "\n")
    from loadgenctl.stats import read_run

    data = read_run.load(tmp_path)
    assert [len(stage.blocks) for stage in data.stages.values()] == [1]
    assert data.folder.damage[schema.PERF].unreadable == 3


def test_null_is_not_damage_and_of_blocks_it_is_as_good_as_absent() -> None:
    block = parse_row(b'{"stage":1,"blockHeight":1,"lag":null}', shape_of(schema.BLOCKS))
    assert block == {"stage": 1, "blockHeight": 1}
    cycle = b'{"stage":1,"task":"amm","seq":null,"finish":null}'
    assert parse_row(cycle, shape_of(schema.CYCLES)) == json.loads(cycle)


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        (b'{"kind":"full","vats":[{"vat":"v1","name":null}],"storage":{"x":1.5}}', True),
        (b'{"kind":"full","vats":[{"name":"x"}]}', False),
        (b'{"kind":"full","vats":{}}', False),
        (b'{"kind":"full","storage":{"x":"1"}}', False),
        (b'{"kind":"light","errors":{"kernel":[]}}', False),
        (b'{"kind":"light","request":[]}', False),
    ],
)
def test_lines_of_the_agent(line: bytes, fits: bool) -> None:
    row = parse_row(line)
    assert row is not None
    assert well_formed(row, shape_of("agent-stage-1.jsonl")) is fits


def test_nesting_has_an_end() -> None:
    for depth, fits in ((DEEPEST - 1, True), (DEEPEST, False), (1000, False)):
        line = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        assert (parse_row(line) is not None) is fits
    wide = b'{"a":[' + b",".join([b"[]"] * 1000) + b"]}"
    assert parse_row(wide) is not None


def test_numbers_of_stages() -> None:
    assert [stage_number(text) for text in ("0", "12", "999999")] == [0, 12, 999_999]
    assert {stage_number(text) for text in ("", "-1", "²", "1000000", "9" * 5000, "x")} == {None}


EVIL = "\x1b[31m\x9b2J\u202e\x07\x7f"


def test_json_and_csv_drive_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / f"run{EVIL}\udcff"
    run = loaded_run(folder)
    run.plan(requested=EVIL)
    run.cycle(40, 45, EVIL)
    run.process(91, "v2", 1.0, name=EVIL)
    for words in (("stats", "--json"), ("stats", "--csv"), ("top", "--once", "--json")):
        said = _do(capsys, *words, str(folder))
        assert not ESCAPES & set(said)
        if "--json" in words:
            assert json.loads(said)["run"]["revision"] == EVIL
    (head, row) = csv.reader(io.StringIO(_do(capsys, "stats", "--csv", str(folder))))
    assert not ESCAPES & set(row[head.index("revision")])
    run.status(outcome="failed")
    said = _do(capsys, "regen", "--json", str(folder))
    assert json.loads(said)["runs"][0]["folder"] == str(folder)
    json.loads((folder / schema.SUMMARY).read_bytes())


@pytest.mark.parametrize("value", ["ü €", "😀", EVIL, "\u2028", 2**70, "\udcff", "\U000e0001"])
def test_json_says_the_same_to_a_parser(value: Any) -> None:
    text = json_text({"a": [value]})
    assert json.loads(text) == {"a": [value]}
    assert all(char.isprintable() or char == "\n" for char in text)


def _do(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints; it ends well, and without a traceback."""
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    assert "Traceback" not in err, err
    assert end.value.code in {0, None}, err
    assert not ESCAPES & set(err)
    return out
