"""Runs as a JUnit report, which GitLab, Jenkins and others read: what they show as tests.

    testsuites
        testsuite                    a run; its properties are what was run, with what and where
            build and set-up         everything before the first stage
            chain start, restart     per stage: until the chain was ready
            load, chain only         per stage: what was to be done then, to its end
            cycles TASK              per stage with a load and task; its time is their average
            outcome                  how the run ended

The names are the same for every run, so that CI systems recognize a test from run to run. In a
run that went wrong, either `build and set-up` or `outcome` has the reason and the last lines. A
`failure` is a load that did not finish its cycles; all other errors are an `error`. Cases that
were not reached are skipped.

Elements and attributes are those of the XML schemas of both Ant and Jenkins, except for a test
case's `system-out`, which Ant's does not have.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET

from loadgenctl.formatting import MISSING, clean, log_line, number, percent, seconds
from loadgenctl.reports.facts import RunFacts, Summary, part, tasks_of, utc_time
from loadgenctl.reports.text import summary_lines, times
from loadgenctl.stats.summary import measured_blocks

NAME: Final = "loadgenctl"
RUN: Final = "run"
_WIDTH: Final = 100
"""Columns of the summary's tables."""
_FAILED_RUN: Final = 4
"""The exit code of a run that failed: see `errors`."""

Kind = Literal["failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a test case did not pass."""

    kind: Kind
    message: str
    type: str = NAME
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A test case."""

    group: str
    name: str
    time: float | None
    """Seconds."""
    verdict: Verdict | None = None
    output: str = ""


def junit(runs: Iterable[RunFacts]) -> bytes:
    """The XML document, in UTF-8, with a test suite per run."""
    root = ET.Element("testsuites")
    for place, facts in enumerate(runs):
        _add_suite(root, facts, place)
    ET.indent(root)
    out = io.BytesIO()
    ET.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    return out.getvalue() + b"\n"


def _add_suite(root: ET.Element, facts: RunFacts, place: int) -> None:
    cases = list(cases_of(facts))
    kinds = [case.verdict.kind for case in cases if case.verdict is not None]
    where = facts.where
    attributes = {
        "name": f"{NAME} {clean(facts.run.get('folder') or '')}".strip(),
        "package": NAME,
        "id": str(place),
        "hostname": where.get("host") or "localhost",
        "timestamp": utc_time(facts.run.get("started_at")) or "1970-01-01T00:00:00",
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": _time(_seconds(facts.run, "duration_s")),
    }
    if facts.simulated:
        attributes["name"] += " (simulated)"
    suite = ET.SubElement(root, "testsuite", attributes)
    properties = ET.SubElement(suite, "properties")
    for name, value in (facts.what | where | {"outcome": facts.outcome}).items():
        ET.SubElement(properties, "property", {"name": name, "value": value})
    for case in cases:
        _add_case(suite, case)
    ET.SubElement(suite, "system-out").text = _summary_text(facts)
    ET.SubElement(suite, "system-err")


def _add_case(suite: ET.Element, case: Case) -> None:
    classname = f"{NAME}.{case.group}"
    attributes = {"classname": classname, "name": case.name, "time": _time(case.time)}
    element = ET.SubElement(suite, "testcase", attributes)
    verdict = case.verdict
    if verdict is not None:
        about = {"message": clean(verdict.message)}
        if verdict.kind != "skipped":
            about["type"] = verdict.type
        ET.SubElement(element, verdict.kind, about).text = _lines(verdict.text) or None
    if case.output:
        ET.SubElement(element, "system-out").text = _lines(case.output)


def cases_of(facts: RunFacts) -> Iterator[Case]:
    """The test cases of a run, in the order of what they are about."""
    begun, planned = facts.stages, facts.planned
    yield _build_case(facts)
    for index in sorted({*begun, *planned}):
        stage, plan = begun.get(index, {}), planned.get(index, {})
        yield _chain_case(facts, index, stage)
        yield _hold_case(facts, index, stage, plan)
        for task in tasks_of(stage, plan):
            yield _cycles_case(index, task, stage)
    yield Case(RUN, "outcome", None, _ending(facts) if begun or not facts.went_wrong else _NO_STAGE)


_NO_STAGE: Final = Verdict("skipped", "no stage was reached")


def _build_case(facts: RunFacts) -> Case:
    firsts = [_seconds(part(stage, "times"), "started_at") for stage in facts.stages.values()]
    started, first = _seconds(facts.run, "started_at"), firsts[0] if firsts else None
    took = None if started is None or first is None else max(0.0, first - started)
    return Case(RUN, "build and set-up", took, None if firsts else _ending(facts))


def _chain_case(facts: RunFacts, index: int, stage: Summary) -> Case:
    spans = part(stage, "durations")
    took = _seconds(spans, "chain_ready_s")
    verdict = None if took is not None else _not_come_to(facts, index, stage, "the chain was ready")
    # A chain with a kept state starts again in the first stage, too; that is not shown.
    name = "chain restart" if index else "chain start"
    return Case(f"stage-{index}", name, took, verdict)


def _hold_case(facts: RunFacts, index: int, stage: Summary, plan: Summary) -> Case:
    loaded = plan.get("chain_only") is False or stage.get("kind") == "load"
    name = "load" if loaded else "chain only"
    times = part(stage, "times")
    verdict = None
    if "shutdown_at" not in times:
        verdict = _not_come_to(facts, index, stage, "its end", begun="chain_ready_at" in times)
    elif loaded:
        verdict = _too_little(facts, stage, plan)
    held = _seconds(part(stage, "durations"), "held_s")
    return Case(f"stage-{index}", name, held, verdict, _block_words(stage))


def _not_come_to(
    facts: RunFacts, index: int, stage: Summary, what: str, *, begun: bool = True
) -> Verdict:
    """The verdict on something that the records do not contain: it failed, or was not reached.

    `begun`: what comes before it in the stage succeeded.
    """
    if not stage:
        return Verdict("skipped", f"the run ended before stage {index}")
    if not facts.went_wrong:
        running = facts.outcome == "running"
        return Verdict("skipped", "the run is still running" if running else "not in the records")
    ending = _ending(facts)
    if begun and ending is not None and facts.status.stage in (index, None):
        return ending
    return Verdict("skipped", f"the run ended before {what}")


def _too_little(facts: RunFacts, stage: Summary, plan: Summary) -> Verdict | None:
    """The verdict on a load that ended: whether as many cycles as wanted finished."""
    cycles = part(part(stage, "cycles"), "all")
    finished, wanted = _count(cycles, "cycle_count"), plan.get("cycles")
    short = isinstance(wanted, int) and finished < wanted
    if finished and not short:
        return None
    if facts.outcome == "interrupted" or not facts.went_wrong:
        return Verdict("skipped", f"{facts.outcome}: {finished} cycles in the records")
    found = f"{finished} of {wanted}" if short else "no"
    return Verdict("failure", f"{found} cycles finished", type="failed", text=_evidence(facts))


def _cycles_case(index: int, task: str, stage: Summary) -> Case:
    cycles = part(part(stage, "cycles"), task)
    finished, failed = _count(cycles, "cycle_count"), _count(cycles, "failed")
    unfinished = _count(cycles, "unfinished")
    verdict = None
    if not finished:
        left = f", {unfinished} unfinished" if unfinished else ""
        verdict = Verdict("skipped", f"no cycle finished{left}")
    elif failed:
        errors = part(stage, "cycle_errors").items()
        text = "\n".join(f"{error} ({times(count)})" for error, count in errors)
        message = f"{failed} of {finished} cycles failed"
        title = f"{message}; errors of all tasks of stage {index}:\n{text}"
        verdict = Verdict("failure", message, type="failed", text=title)
    spread = part(cycles, "duration_s")
    output = _words(
        cycles=number(finished),
        failed=number(failed),
        unfinished=number(unfinished),
        missed=number(cycles.get("missed")),
        ok=f"{percent(cycles.get('success_percentage'))} %",
        **{name: f"{seconds(spread.get(name))} s" for name in ("avg", "p50", "p95", "max")},
    )
    name = f"cycles {clean(task, 60)}"
    return Case(
        f"stage-{index}", name, _seconds(spread, "avg"), verdict, output if finished else ""
    )


def _ending(facts: RunFacts) -> Verdict | None:
    """How the run ended; None if it passed."""
    if facts.passed:
        return None
    if not facts.went_wrong:
        return Verdict("skipped", f"how the run ended is not known: {facts.outcome}")
    why = facts.ending
    role = f"{why['role']}: " if "role" in why else ""
    failed = facts.outcome == "failed" and facts.status.exit_code == _FAILED_RUN
    return Verdict(
        "failure" if failed else "error",
        f"{role}{why.get('reason', facts.outcome)}",
        type=facts.outcome,
        text=_evidence(facts),
    )


def _evidence(facts: RunFacts) -> str:
    why = [f"{name}: {text}" for name, text in facts.ending.items()]
    lines = facts.last_lines
    return "\n".join([*why, *(["", "last lines:", *lines] if lines else [])])


def _block_words(stage: Summary) -> str:
    blocks = part(stage, "blocks")
    live = measured_blocks(stage)
    if not live:
        return ""
    swingset, share = part(live, "swingset_time_s"), part(live, "swingset_percentage")
    return _words(
        blocks=number(part(blocks, "all").get("block_count")),
        live=number(live.get("block_count")),
        swingset_avg=f"{seconds(swingset.get('avg'))} s",
        swingset_p95=f"{seconds(swingset.get('p95'))} s",
        swingset_share_avg=f"{percent(share.get('avg'))} %",
    )


def _words(**values: str) -> str:
    known = {name: text for name, text in values.items() if not text.startswith(MISSING)}
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in known.items())


def _summary_text(facts: RunFacts) -> str:
    """The summary as a person sees it after a run."""
    return _lines("\n".join(line.plain for line in summary_lines(facts.summary, _WIDTH)))


def _lines(text: str) -> str:
    """`text` with printable characters only, so that XML can contain it."""
    return "\n".join(log_line(line) for line in text.splitlines())


def _seconds(source: Mapping[str, object], name: str) -> float | None:
    value = source.get(name)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def _count(source: Mapping[str, object], name: str) -> int:
    value = source.get(name)
    return value if isinstance(value, int) else 0


def _time(value: float | None) -> str:
    return f"{value or 0.0:.3f}"
