"""Command lines in the manner of yargs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.plan.arguments import kebab, parse


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("--stages 3", "stages", 3),
        ("--stages=3", "stages", 3),
        ("--stage.duration 0.5", "stage.duration", 0.5),
        ("--stage.1.duration -1", "stage.1.duration", -1),
        ("--stage.1.chain-only", "stage.1.chain-only", True),
        ("--stage.1.chainOnly", "stage.1.chain-only", True),
        ("--stage.1.no-chain-only", "stage.1.chain-only", False),
        ("--no-stage.1.chain-only", "stage.1.chain-only", False),
        ("--stage.1.chain-only=false", "stage.1.chain-only", False),
        ("--stage.1.chain-only false", "stage.1.chain-only", False),
        ("--no-reset", "reset", False),
        ("--reset", "reset", True),
        ("--reset true", "reset", True),
        ("--reset 0", "reset", False),
        ("--stage.1.chain-only 1", "stage.1.chain-only", True),
        ("--stage.save-storage=false", "stage.save-storage", False),
        ("--stage.1.loadgen", "stage.1.loadgen", True),
        ("--no-stage.1.loadgen", "stage.1.loadgen", False),
        ("--port.loadgen 4000", "port.loadgen", 4000),
        ("--engine local", "engine", "local"),
        ("--output-dir x", "output-dir", Path("x")),
        ("--outputDir=x", "output-dir", Path("x")),
        ("--stage.loadgen.faucet.interval 6", "stage.loadgen.faucet.interval", 6),
        ("--stage.loadgen.faucet.interval=.5", "stage.loadgen.faucet.interval", 0.5),
        ("--stage.loadgen.amm null", "stage.loadgen.amm", None),
        ("--stage.2.loadgen.cycles 4", "stage.2.loadgen.cycles", 4),
        ("--test-data.sdk-revision abc", "test-data.sdk-revision", "abc"),
        ("--testData.sdkRevision 12", "test-data.sdkRevision", 12),
        ("--test-data.x 0123456", "test-data.x", "0123456"),
        ("--test-data.x 0", "test-data.x", 0),
        ("--test-data.x 0.25", "test-data.x", 0.25),
        ("--test-data.x -0.25", "test-data.x", -0.25),
        ("--test-data.x 1e3", "test-data.x", 1000),
        ("--test-data.x 0x1F", "test-data.x", 31),
        ("--test-data.x +5", "test-data.x", "+5"),
        ("--test-data.x 9007199254740993", "test-data.x", "9007199254740993"),
        ("--test-data.x 1e999", "test-data.x", "1e999"),
        ("--test-data.x .", "test-data.x", "."),
        ("--test-data.x='7'", "test-data.x", 7),
        ('--test-data.x="', "test-data.x", '"'),
        ("--limit.chain.memory 4g", "limit.chain.memory", 4 * 1024**3),
        ("--limit.solo.cpus 1.5", "limit.solo.cpus", 1.5),
        ("--timeout.block 20", "timeout.block", 20),
        ("--monitor-interval 1", "monitor-interval", 1),
    ],
)
def test_meaning(line: str, path: str, value: Any) -> None:
    (setting,) = parse(line.split())
    assert ".".join(setting.path) == path
    assert setting.value == value
    assert type(setting.value) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--stagees 3", "did you mean --stages?"),
        ("--stage.0.chain-onli", "did you mean --stage.N.chain-only?"),
        ("--monitor-intervall 1", "did you mean --monitor-interval?"),
        ("--no-resett", "did you mean --reset?"),
        ("--timeout.cyle 5", "did you mean --timeout.cycle?"),
        ("--limit.chian.memory 4g", "did you mean --limit.chain.memory?"),
        ("--stage.loadgn.x 1", "did you mean --stage.loadgen.*?"),
    ],
)
def test_unknown_names_the_nearest(line: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        "--stages",
        "--stages three",
        "--stages 1.5",
        "--stages 0",
        "--stages nan",
        "--stages 1e400",
        "--no-stages",
        "--no-reset=3",
        "--reset=perhaps",
        "--sdk cosmos",
        "--revision=",
        "--limit.chain.memory much",
        "--limit.moon.memory 4g",
        "--port.moon 4000",
        "--port.loadgen 0",
        "--engine podman",
        "--monitor-interval 0",
        "stray",
        "-x",
        "--",
        "--stage.loadgen.__proto__.x 1",
        "--stage..duration 1",
        "--stage.loadgen {",
        "--" + "a." * 9 + "b 1",
        "--stage.99999.duration 1",
        "--stage.²3.duration 1",
    ],
)
def test_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line.split())


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(UsageError):
        parse(["--test-data.x", "a\x00b"])


def test_an_escape_code_does_not_come_back_in_the_message() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["--\x1b[31mred"])
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(("word", "kebabbed"), [("outputDir", "output-dir"), ("a_b", "a-b")])
def test_kebab(word: str, kebabbed: str) -> None:
    assert kebab(word) == kebabbed
