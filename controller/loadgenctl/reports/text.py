"""The summary of a run as text for a person; plain where the output is not a terminal.

The first lines say how the run ended and give the numbers that matter most; tables follow. Reads
only the summary (`stats.summary.summarize`, or summary.json read back). Every string in it may come
from outside and is shown without escapes and without markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from loadgenctl.formatting import clean, clock_step, duration, number, seconds
from loadgenctl.reports.facts import RunFacts, Summary, part, parts
from loadgenctl.reports.run_tables import tables
from loadgenctl.reports.table_model import (
    UNICODE,
    WIDTH,
    Marks,
    flowing,
    marks_for,
    print_lines,
    table_lines,
    wrapped,
)

_TASKS: Final = 6
"""Tasks that the first lines name."""
_GOOD: Final = "passed"


def print_summary(console: Console, summary: Summary, width: int | None = WIDTH) -> None:
    """Print all lines of the summary, on a terminal in color; None: tables of any width."""
    print_lines(console, summary_lines(summary, width, marks_for(console.encoding)))


def print_runs(console: Console, runs: Sequence[RunFacts], width: int | None = WIDTH) -> None:
    """Print the summaries of runs, each followed by the evidence of a run that did not pass."""
    marks = marks_for(console.encoding)
    for place, run in enumerate(runs):
        lines = [*summary_lines(run.summary, width, marks), *evidence(run, width)]
        print_lines(console, [*([Text()] if place else []), *lines])


def summary_lines(summary: Summary, width: int | None, marks: Marks = UNICODE) -> list[Text]:
    """The first lines, the tables, and notes."""
    lines = header(summary, width)
    for table in tables(summary):
        lines += [Text(), *table_lines(table, width, marks)]
    found = [line for note in notes(summary) for line in wrapped(note.plain, width, note.style)]
    return [*lines, *([Text(), *found] if found else [])]


def header(summary: Summary, width: int | None = None) -> list[Text]:
    """How the run ended and why, the numbers that matter most, what ran."""
    run = part(summary, "run")
    outcome = run.get("outcome") or ("original's folder" if run.get("original") else "?")
    first = Text("Run ").append(clean(run.get("run_id") or run.get("folder") or "?"), "bold")
    first.append(": ").append_text(outcome_text(outcome))
    if "duration_s" in run:
        first.append(f", {duration(run['duration_s'])}")
    lines = [first]
    why = [clean(run[name]) for name in ("role", "step", "reason") if run.get(name)]
    if outcome != _GOOD and why:
        lines += wrapped(": ".join(why), width, "" if outcome == "running" else "red")
    for phrases in (_block_phrases(summary), _cycle_phrases(summary), _start_phrases(summary)):
        lines += flowing(phrases, width) if phrases else []
    if run.get("sdk"):
        lines += wrapped(f"SDK {sdk_words(run)}", width)
    if run.get("deviations"):
        changes = "; ".join(clean(text, 200) for text in run["deviations"])
        lines += wrapped(f"deviations: {changes}", width, "yellow")
    if run.get("simulated"):
        text = "simulated SDK: these numbers say nothing about a real chain"
        lines += wrapped(text, width, "bold yellow")
    if run.get("attempt"):
        lines += wrapped(_attempt_words(run), width)
    return lines


def _block_phrases(summary: Summary) -> list[str]:
    totals = part(summary, "totals")
    loaded = part(totals, "loaded_blocks")
    live = loaded or part(totals, "live_blocks")
    if not live:
        return []
    phrases = []
    for what, name in (("block time", "block_duration_s"), ("swingset", "swingset_time_s")):
        spread = part(live, name)
        if spread:
            average, high = seconds(spread.get("avg")), seconds(spread.get("p95"))
            phrases.append(f"{what} {average} s (p95 {high})")
    return [
        *phrases,
        f"{number(live.get('block_count'))} {'blocks under load' if loaded else 'live blocks'}",
    ]


def _cycle_phrases(summary: Summary) -> list[str]:
    cycles = part(part(summary, "totals"), "cycles")
    everything = part(cycles, "all")
    if not everything:
        loaded = any(stage.get("kind") == "load" for stage in parts(summary, "stages"))
        return ["no cycle of the load"] if loaded else []
    good, finished = number(everything.get("succeeded")), number(everything.get("cycle_count"))
    phrases = [f"cycles {good} of {finished} ok"]
    phrases += [
        f"{number(everything[name])} {name}"
        for name in ("unfinished", "missed")
        if everything.get(name)
    ]
    highs = [
        f"{clean(task, 30)} {seconds(part(row, 'duration_s').get('p95'))} s"
        for task, row in cycles.items()
        if task != "all" and part(row, "duration_s")
    ][:_TASKS]
    return [*phrases, *([f"p95 {highs[0]}", *highs[1:]] if highs else [])]


def _start_phrases(summary: Summary) -> list[str]:
    spans = [part(stage, "durations") for stage in parts(summary, "stages")]
    restarts = [
        span["restart_s"] for span in spans if isinstance(span.get("restart_s"), int | float)
    ]
    ready = spans[0].get("chain_ready_s") if spans else None
    phrases = (
        [] if ready is None or "restart_s" in spans[0] else [f"chain start {seconds(ready)} s"]
    )
    if restarts:
        average = seconds(sum(restarts) / len(restarts))
        many = f" (average of {len(restarts)}, longest {seconds(max(restarts))})"
        phrases.append(f"restart {average} s{many if len(restarts) > 1 else ''}")
    return phrases


def _attempt_words(run: Mapping[str, Any]) -> str:
    """`resumed at stage 2, attempt 2, with the chain as …`; of a run that was resumed."""
    stage, state = run.get("resumed_at_stage"), run.get("resumed_with")
    where = "" if stage is None else f" at stage {clean(stage)}"
    what = f", with {clean(state)}" if state else ""
    return f"resumed{where}, attempt {clean(run['attempt'])}{what}"


def outcome_text(outcome: object) -> Text:
    """The outcome, in a color that shows whether it is good."""
    word = clean(outcome)
    style = "bold green" if word == _GOOD else "bold yellow"
    if word not in {_GOOD, "running", "interrupted"}:
        style = "bold red"
    return Text(word, style)


def sdk_words(run: Mapping[str, Any]) -> str:
    """`agoric beta-7 (commit 0123456789ab) of 2022-01-31`."""
    words = [clean(run["sdk"])]
    if run.get("revision"):
        words.append(clean(run["revision"]))
    commit = run.get("commit")
    if commit and not str(commit).startswith(str(run.get("revision"))):
        words.append(f"(commit {clean(commit)[:12]})")
    made = run.get("commit_time")
    if isinstance(made, int | float):
        words.append(f"of {datetime.fromtimestamp(made, UTC):%Y-%m-%d}")
    if run.get("dirty"):
        words.append("with uncommitted changes")
    if run.get("deviations"):
        words.append("with deviations")
    return " ".join(words)


def notes(summary: Summary) -> list[Text]:
    """What a reader must know about the numbers: errors of cycles, oddities of slogs, damage."""
    lines: list[Text] = []
    for stage in parts(summary, "stages"):
        where = f"stage {stage.get('stage')}"
        unfinished = part(part(stage, "cycles"), "all").get("unfinished")
        if unfinished:
            words = f"cycles without an end in the records: {number(unfinished)}"
            lines.append(Text(f"{where}: {words}", "yellow"))
        for error, count in part(stage, "cycle_errors").items():
            lines.append(Text(f"{where}: {clean(error, 160)} ({times(count)})", "red"))
        offers = part(stage, "offer_times")
        if offers.get("mismatched"):
            words = f"{number(offers['mismatched'])} of {number(offers.get('checked'))}"
            words = f"latencies of offers that do not fit their blocks: {words}"
            lines.append(Text(f"{where}: {words}", "yellow"))
        odd = [f"{clean(kind)} {count}" for kind, count in part(stage, "anomalies").items()]
        slog = [", ".join(odd)] if odd else []
        slog += map(clock_step, parts(stage, "clock_steps"))
        lines += [Text(f"{where}: slog: {words}", "yellow") for words in slog]
        if not stage.get("finished", True):
            lines.append(Text(f"{where} did not finish", "yellow"))
    for name, found in part(summary, "damage").items():
        if "refused" in found:
            words = f"{clean(name)} was not read: it {clean(found['refused'])}"
        else:
            what = "fields" if str(name).endswith(".json") else "lines"
            words = f"torn {found.get('torn', 0)}, unreadable {found.get('unreadable', 0)}"
            words = f"{clean(name)}: {what} {words}"
        lines.append(Text(words, "yellow"))
    return lines


def evidence(facts: RunFacts, width: int | None = None) -> list[Text]:
    """Of a run that did not pass: the last lines of the role's log as recorded, and a hint."""
    if not facts.went_wrong:
        return []
    hint = facts.ending.get("hint")
    lines = [Text(f"  | {line}", "dim") for line in facts.last_lines]
    if lines:
        role = facts.ending.get("role")
        lines = [Text(), Text(f"last lines of {role}:" if role else "last lines:"), *lines]
    return [*lines, *(wrapped(f"hint: {hint}", width) if hint else [])]


def times(count: object) -> str:
    """`once`, `5 times`."""
    return "once" if count == 1 else f"{number(count)} times"
