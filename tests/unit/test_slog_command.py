"""`loadgenctl slog …` on files."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.slog_maker import Slog
from typer.testing import CliRunner

from loadgenctl.cli.results import slog_app
from loadgenctl.errors import UsageError
from loadgenctl.slog.follow import open_writer


def invoke(*words: object) -> str:
    result = CliRunner().invoke(
        slog_app, [str(word) for word in words], catch_exceptions=False, color=False
    )
    assert result.exit_code == 0
    return result.stdout


def made(path: Path, blocks: Sequence[int] = (1, 2, 3)) -> Path:
    slog = Slog()
    slog.add("create-vat", vatID="v1", dynamic=False, name="bank", managerType="local")
    for height in blocks:
        slog.block(height, deliveries=1)
    writer = open_writer(path)
    writer.write(slog.content())
    writer.close()
    return path


def test_blocks_as_json_table_and_csv(tmp_path: Path) -> None:
    file = made(tmp_path / "chain-stage-1.slog.gz")
    blocks = json.loads(invoke("blocks", "--json", file))["blocks"]
    assert [block["blockHeight"] for block in blocks] == [1, 2, 3]
    assert {block["liveMode"] for block in blocks} == {False}
    rows = list(csv.DictReader(io.StringIO(invoke("blocks", "--csv", file))))
    assert (rows[0]["liveMode"], rows[0]["blockDuration"], rows[0]["deliveries"]) == (
        "false",
        "",
        "1",
    )
    assert "swingset" in invoke("blocks", file)


def test_a_perf_log_tells_which_blocks_are_live(tmp_path: Path) -> None:
    file = made(tmp_path / "chain-stage-1.slog.gz")
    perf = tmp_path / "perf.jsonl"
    rows: list[dict[str, Any]] = [
        {"timestamp": 0, "stage": -1, "type": "perf-start", "timeOrigin": 1000},
        {"timestamp": 8, "stage": 1, "type": "perf-chain-ready"},
        {"timestamp": 14, "stage": 1, "type": "perf-stage-shutdown"},
    ]
    perf.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    blocks = json.loads(invoke("blocks", "--json", "--perf", perf, file))["blocks"]
    assert [block["liveMode"] for block in blocks] == [False, True, True]
    assert [block["beforeShutdown"] for block in blocks] == [True, True, False]
    with pytest.raises(UsageError, match="stage"):
        invoke("blocks", "--perf", perf, "--stage", 7, file)


def test_stats_and_vats(tmp_path: Path) -> None:
    file = made(tmp_path / "chain.slog.gz")
    [stats] = json.loads(invoke("stats", "--json", file))["files"]
    assert stats["blocks"]["all"]["block_count"] == 3
    assert stats["types"]["deliver"] == 3
    assert stats["anomalies"] == {}
    assert "All blocks: 3, heights 1 to 3" in invoke("stats", file)
    [vats] = json.loads(invoke("vats", "--json", file))["files"]
    assert (vats["vats"][0]["name"], vats["vats"][0]["computrons"]) == ("bank", 300)
    assert "bank" in invoke("vats", file)
    assert invoke("vats", "--csv", file).splitlines()[0].startswith("file,vat_id,name,")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        invoke("blocks", tmp_path / "none")


@pytest.mark.parametrize("command", ["blocks", "stats", "vats", "tail"])
@pytest.mark.parametrize("named", ["-", "/dev/stdin"])
def test_every_command_reads_standard_input(tmp_path: Path, command: str, named: str) -> None:
    content = made(tmp_path / "chain.slog").read_bytes()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "loadgenctl", "slog", command, named],
        input=content,
        capture_output=True,
        cwd=tmp_path,
        check=False,
        timeout=60,
    )
    # `tail` names what it follows on standard error.
    told = b"standard input\n" if command == "tail" else b""
    assert (done.returncode, done.stderr) == (0, told)
    assert (b"bank" if command == "vats" else b"1 ") in done.stdout
