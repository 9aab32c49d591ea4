"""The JUnit file: its form, what it says of each way a run can end, and hostile text in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.report_maker import HOSTILE, TAME, facts_with
from tests.unit.test_reports_text import cycles

from loadgenctl.formatting import clean
from loadgenctl.records.schema import Outcome
from loadgenctl.records.status import Status
from loadgenctl.reports.facts import UNKNOWN, RunFacts
from loadgenctl.reports.junit import junit

TEXT: Final = frozenset({"failure", "error", "skipped", "system-out", "system-err"})
ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "testsuites": frozenset(),
    "testsuite": frozenset(
        {"name", "package", "id", "hostname", "timestamp", "time"}
        | {"tests", "failures", "errors", "skipped"}
    ),
    "properties": frozenset(),
    "property": frozenset({"name", "value"}),
    "testcase": frozenset({"classname", "name", "time"}),
    "failure": frozenset({"message", "type"}),
    "error": frozenset({"message", "type"}),
    "skipped": frozenset({"message"}),
    "system-out": frozenset(),
    "system-err": frozenset(),
}
"""Exactly these: what the schemas of Ant and Jenkins ask for, and nothing they do not know."""


def suite_of(facts: RunFacts) -> ET.Element:
    """The only suite of a report, checked against the form."""
    document = ET.fromstring(junit([facts]))
    check(document)
    [suite] = document
    return suite


def check(document: ET.Element) -> None:
    assert document.tag == "testsuites"
    for element in document.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag], element.tag
        assert element.tag not in TEXT or len(element) == 0
    for suite in document:
        assert suite.tag == "testsuite"
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * (len(tags) - 3), "system-out", "system-err"]
        assert [child.tag for child in suite[0]] == ["property"] * len(suite[0])
        for case in suite.iter("testcase"):
            kinds = [child.tag for child in case]
            assert kinds in ([], ["system-out"], *([k, *o] for k in VERDICTS for o in OUTPUTS))
            assert float(case.attrib["time"]) >= 0
            assert case.attrib["name"]
        for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(list(suite.iter(kind)))
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        names = [(case.attrib["classname"], case.attrib["name"]) for case in suite.iter("testcase")]
        assert len(set(names)) == len(names)


VERDICTS: Final = ("failure", "error", "skipped")
OUTPUTS: Final[tuple[list[str], ...]] = ([], ["system-out"])


def verdicts(suite: ET.Element) -> dict[str, str]:
    """`stage-1 load` → `failure: message`, or `passed`."""
    found = {}
    for case in suite.iter("testcase"):
        group = case.attrib["classname"].removeprefix("loadgenctl.")
        told = [
            f"{child.tag}: {child.attrib['message']}" for child in case if child.tag in VERDICTS
        ]
        found[f"{group} {case.attrib['name']}"] = told[0] if told else "passed"
    return found


ALL_MARKS: Final = {
    "started_at": 100.5,
    "chain_run_at": 101.0,
    "chain_ready_at": 104.0,
    "ready_at": 110.0,
    "shutdown_at": 140.0,
    "finished_at": 142.0,
}
SPANS: Final = {"duration_s": 41.5, "chain_ready_s": 3.0, "held_s": 30.0}


def stage(index: int, until: str = "finished_at", **fields: Any) -> dict[str, Any]:
    """A stage of the summary that came as far as `until`; 0 runs the chain alone."""
    names = list(ALL_MARKS)
    times = {name: ALL_MARKS[name] for name in names[: names.index(until) + 1]}
    reached = {"chain_ready_s": "chain_ready_at", "held_s": "shutdown_at"}
    spans = {name: span for name, span in SPANS.items() if reached.get(name, until) in times}
    kind = "load" if index else "chain-only"
    found = {"stage": index, "kind": kind, "times": times, "durations": spans}
    return found | ({"cycles": cycles()} if index else {}) | fields


def run(
    *stages: dict[str, Any], outcome: Outcome = "passed", planned: int = 3, **status: Any
) -> RunFacts:
    """A run with a load in all stages but the first."""
    plan: list[dict[str, Any]] = [
        {"index": n, "chain_only": not n, "load": {"faucet": {}} if n else None, "cycles": None}
        for n in range(planned)
    ]
    summary = {
        "run": {"folder": "run-1", "outcome": outcome, "started_at": 98.0, "duration_s": 60.5},
        "stages": list(stages),
    }
    document = {
        "sdk": {"repository": "https://git.example/sdk"},
        "image": {"tag": "loadgenctl/agoric:abc", "id": "sha256:0123"},
        "host": {"hostname": "perf-1", "cpus": 2},
        "plan": {"stages": plan},
    }
    return RunFacts(summary, document, Status(outcome=outcome, **status), outcome)


def test_a_run_that_passed() -> None:
    facts = run(stage(0), stage(1), stage(2))
    suite = suite_of(facts)
    assert verdicts(suite) == dict.fromkeys(
        [
            "run build and set-up",
            "stage-0 chain start",
            "stage-0 chain only",
            *(
                f"stage-{n} {name}"
                for n in (1, 2)
                for name in ("chain restart", "load", "cycles amm", "cycles faucet")
            ),
            "run outcome",
        ],
        "passed",
    )
    assert suite.attrib["name"] == "loadgenctl run-1"
    assert suite.attrib["timestamp"] == "1970-01-01T00:01:38"
    assert (suite.attrib["time"], suite.attrib["hostname"]) == ("60.500", "perf-1")
    times = [case.attrib["time"] for case in suite.iter("testcase")]
    assert times[:7] == ["2.500", "3.000", "30.000", "3.000", "30.000", "1.500", "1.500"]
    told = {item.attrib["name"]: item.attrib["value"] for item in suite.iter("property")}
    assert told["image"] == "loadgenctl/agoric:abc"
    assert told["host"] == "perf-1"
    assert told["outcome"] == "passed"


def test_the_numbers_stand_in_the_output() -> None:
    suite = suite_of(facts_with())
    outputs = [str(element.text) for element in suite.iter("system-out")]
    assert (
        "cycles 1 005, failed 5, unfinished 3, missed 12, ok 99.5 %, avg 1.50 s, p50 1.25 s"
        in outputs[1]
    )
    assert "swingset avg 1.50 s, swingset p95 12 346 s" in outputs[0]
    assert outputs[-1].startswith(f"Run {TAME}: died")
    assert "simulated SDK: these numbers say nothing about a real chain" in outputs[-1]
    assert suite.attrib["name"].endswith("(simulated)")


def test_a_chain_that_died_under_load() -> None:
    facts = run(
        stage(0),
        stage(1, until="ready_at"),
        outcome="died",
        stage=1,
        role="chain",
        step="stage 1",
        reason="chain ended unexpectedly",
        exit_code=4,
        role_exit_code=137,
        oom_killed=True,
        last_lines=("block 11", "\x1b[31mpanic\x1b[0m"),
    )
    suite = suite_of(facts)
    told = verdicts(suite)
    assert told["stage-1 chain restart"] == "passed"
    assert told["stage-1 load"] == told["run outcome"] == "error: chain: chain ended unexpectedly"
    assert told["stage-2 chain restart"] == "skipped: the run ended before stage 2"
    assert told["stage-2 cycles faucet"] == "skipped: no cycle finished"
    [first, last] = suite.iter("error")
    assert first.text == last.text
    assert str(last.text).splitlines() == [
        "reason: chain ended unexpectedly",
        "role: chain",
        "step: stage 1",
        "stage: 1",
        "exit code of the role: 137",
        "memory: the role ran out of memory",
        "exit code: 4",
        "",
        "last lines:",
        "block 11",
        "panic",
    ]


def test_a_chain_that_never_was_ready() -> None:
    facts = run(stage(0, until="chain_run_at"), outcome="timeout", stage=0, reason="late")
    told = verdicts(suite_of(facts))
    assert told["run build and set-up"] == "passed"
    assert told["stage-0 chain start"] == told["run outcome"] == "error: late"
    assert told["stage-0 chain only"] == "skipped: the run ended before its end"


def test_a_build_that_failed() -> None:
    facts = run(outcome="failed", reason="yarn build failed", exit_code=3, last_lines=("oh",))
    suite = suite_of(facts)
    told = verdicts(suite)
    assert told["run build and set-up"] == "error: yarn build failed"
    assert told["run outcome"] == "skipped: no stage was reached"
    assert str(next(suite.iter("error")).text).endswith("last lines:\noh")
    assert {text.partition(":")[0] for text in told.values()} == {"error", "skipped"}


def test_cycles_that_failed() -> None:
    loaded = stage(1, cycles=cycles(failed=5), cycle_errors={"the purse did not move": 5})
    facts = run(
        stage(0),
        loaded,
        stage(2),
        outcome="failed",
        stage=2,
        exit_code=4,
        reason="5 load cycles failed",
        role="loadgen",
    )
    suite = suite_of(facts)
    told = verdicts(suite)
    assert told["stage-1 load"] == told["stage-2 load"] == told["stage-2 cycles amm"] == "passed"
    assert told["stage-1 cycles faucet"] == "failure: 5 of 1005 cycles failed"
    assert told["run outcome"] == "failure: loadgen: 5 load cycles failed"
    assert "the purse did not move (5 times)" in str(next(suite.iter("failure")).text)


def test_a_load_that_loaded_nothing() -> None:
    reason = "stage 1 was meant to load but finished no cycle"
    facts = run(
        stage(0), stage(1, cycles={}), outcome="failed", stage=1, exit_code=4, reason=reason
    )
    told = verdicts(suite_of(facts))
    assert told["stage-1 load"] == "failure: no cycles finished"
    assert told["run outcome"] == f"failure: {reason}"


def test_an_interrupted_run() -> None:
    facts = run(
        stage(0),
        stage(1, cycles={}),
        outcome="interrupted",
        stage=1,
        exit_code=130,
        reason="interrupted by SIGINT",
    )
    told = verdicts(suite_of(facts))
    assert told["stage-1 load"] == "skipped: interrupted: 0 cycles in the records"
    assert told["run outcome"] == "error: interrupted by SIGINT"


def test_a_run_that_is_going_on() -> None:
    told = verdicts(suite_of(run(stage(0, until="ready_at"), outcome="running")))
    assert told["stage-0 chain start"] == "passed"
    assert told["stage-0 chain only"] == "skipped: the run is still running"
    assert told["run outcome"].startswith("skipped")


def test_a_folder_of_the_original_does_not_tell_its_outcome() -> None:
    summary = {"run": {"folder": "old", "original": True}, "stages": [stage(0), stage(1)]}
    told = verdicts(suite_of(RunFacts(summary, {}, Status(), UNKNOWN)))
    assert told.pop("run outcome") == "skipped: how the run ended is not known: unknown"
    assert set(told.values()) == {"passed"}


@pytest.mark.parametrize("reached", list(ALL_MARKS))
@pytest.mark.parametrize(
    "outcome", ["passed", "failed", "interrupted", "died", "timeout", "error", "killed"]
)
def test_something_is_red_exactly_when_the_run_went_wrong(outcome: Outcome, reached: str) -> None:
    for stages in ([], [stage(0, until=reached)], [stage(0), stage(1, until=reached)]):
        for where in (None, 0, 1):
            suite = suite_of(run(*stages, outcome=outcome, stage=where, exit_code=4))
            red = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
            assert bool(red) == (outcome != "passed")


def test_names_do_not_depend_on_how_far_the_run_came() -> None:
    whole = verdicts(suite_of(run(stage(0), stage(1), stage(2))))
    cut = verdicts(suite_of(run(stage(0), outcome="killed")))
    # The plan knows of faucet alone.
    assert set(cut) == {name for name in whole if "amm" not in name}


def test_several_runs_are_several_suites() -> None:
    document = ET.fromstring(junit([run(stage(0)), run(stage(0), outcome="killed")]))
    check(document)
    assert [suite.attrib["id"] for suite in document] == ["0", "1"]


def shape(element: ET.Element) -> list[Any]:
    return [element.tag, sorted(element.attrib), *map(shape, element)]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_text_is_nothing_but_text(text: str) -> None:
    suite = suite_of(facts_with(text))
    assert shape(suite) == shape(suite_of(facts_with()))
    last = list(suite.iter("error"))[-1]
    assert last.attrib["message"] == clean(f"{clean(text)}: {clean(text)}")
    assert all(char.isprintable() for char in last.attrib["message"])


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=60).filter(clean))
def test_any_text_is_nothing_but_text(text: str) -> None:
    assert shape(suite_of(facts_with(text))) == shape(suite_of(facts_with()))


def test_xml_can_hold_what_is_left_of_every_character() -> None:
    """Characters by the thousand: 20 lines of 350 in a report."""
    characters = [chr(code) for code in (*range(0x11000), *range(0x1FF00, 0x20100))]
    while characters:
        lines = ["".join(characters[350 * n :][:350]) for n in range(20)]
        del characters[: 350 * 20]
        facts = facts_with()
        status = replace(facts.status, last_lines=tuple(lines))
        suite_of(replace(facts, status=status))
