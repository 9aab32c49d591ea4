"""The summary of a run as tables for a person; plain text where the output is not a terminal.

Reads nothing but the summary (`stats.run.summarize`, or summary.json read back). Every string in
it may come from outside and is shown without escapes and without markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadgenctl.reports.summary import MEASURING, Summary, memory, part, parts
from loadgenctl.reports.words import (
    MISSING,
    clean,
    clock_step,
    duration,
    mebibytes,
    number,
    percent,
    seconds,
)

WIDTH: Final = 100
"""Columns of a table where the output is not a terminal."""
_VATS: Final = 6
"""Vats that get a line of their own."""
_GOOD: Final = "passed"


def print_summary(console: Console, summary: Summary) -> None:
    """Print header, stages, cycles, live blocks and resources, as far as there are any."""
    width = console.width
    if not console.is_terminal:
        # Nothing wraps a file: rich would assume 80 columns there.
        console.width = WIDTH
    try:
        for line in header(summary):
            console.print(line)
        for table in tables(summary):
            console.print()
            console.print(table)
        told = notes(summary)
        for line in [Text(), *told] if told else []:
            console.print(line)
    finally:
        console.width = width


def tables(summary: Summary) -> list[Table]:
    """The tables that have rows."""
    stages = parts(summary, "stages")
    made = (
        _stage_table(stages),
        _cycle_table(stages, part(summary, "totals")),
        _block_table(stages),
        _vat_table(stages),
        _resource_table(parts(summary, "resources")),
        _growth_table(parts(summary, "growth")),
    )
    return [table for table in made if table.row_count]


def header(summary: Summary) -> list[Text]:
    """What ran, on what, and how it ended."""
    run = part(summary, "run")
    outcome = run.get("outcome") or ("original's folder" if run.get("original") else "?")
    first = Text("Run ").append(clean(run.get("run_id") or run.get("folder") or "?"), "bold")
    first.append(": ").append_text(outcome_text(outcome))
    if "duration_s" in run:
        first.append(f", {duration(run['duration_s'])}")
    lines = [first]
    why = [clean(run[name]) for name in ("role", "step", "reason") if run.get(name)]
    if outcome != _GOOD and why:
        lines.append(Text("  " + ": ".join(why)))
    if run.get("attempt"):
        lines.append(Text(f"  {attempt_words(run)}"))
    if run.get("sdk"):
        lines.append(Text(f"  SDK {sdk_words(run)}"))
    if run.get("simulated"):
        warning = "  simulated: these numbers tell nothing about a real chain"
        lines.append(Text(warning, "bold yellow"))
    return lines


def attempt_words(run: Mapping[str, Any]) -> str:
    """`resumed at stage 2, attempt 2, with the chain as …`; of a run that was resumed."""
    stage, state = run.get("resumed_at_stage"), run.get("resumed_with")
    where = "" if stage is None else f" at stage {clean(stage)}"
    what = f", with {clean(state)}" if state else ""
    return f"resumed{where}, attempt {clean(run['attempt'])}{what}"


def outcome_text(outcome: object) -> Text:
    """How a run stands or ended, in the colour that tells."""
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
    return " ".join(words)


def notes(summary: Summary) -> list[Text]:
    """What a reader must know about the numbers: errors of cycles, oddities of slogs, damage."""
    lines: list[Text] = []
    for stage in parts(summary, "stages"):
        index = stage.get("stage")
        for error, count in part(stage, "cycle_errors").items():
            lines.append(Text(f"  stage {index}: {count} times: {clean(error, 160)}", "red"))
        odd = part(stage, "anomalies")
        if odd:
            words = ", ".join(f"{clean(kind)} {count}" for kind, count in odd.items())
            lines.append(Text(f"  stage {index}: slog: {words}", "yellow"))
        lines += [
            Text(f"  stage {index}: slog: {clock_step(step)}", "yellow")
            for step in parts(stage, "clock_steps")
        ]
        if not stage.get("finished", True):
            lines.append(Text(f"  stage {index} did not finish", "yellow"))
    for name, found in part(summary, "damage").items():
        if "refused" in found:
            lines.append(
                Text(f"  {clean(name)} was not read: it {clean(found['refused'])}", "yellow")
            )
            continue
        words = f"torn {found.get('torn', 0)}, unreadable {found.get('unreadable', 0)}"
        what = "fields" if str(name).endswith(".json") else "lines"
        lines.append(Text(f"  {clean(name)}: {what} {words}", "yellow"))
    return lines


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for place, name in enumerate(columns):
        table.add_column(
            name,
            justify="left" if place < left else "right",
            overflow="ellipsis" if place < left else "fold",
            no_wrap=place < left,
        )
    return table


def _stage_table(stages: Sequence[Summary]) -> Table:
    table = _table(
        "Stages (times in seconds)",
        "stage",
        "kind",
        "duration",
        "blocks",
        "chain ready",
        "first empty",
        "client ready",
        "load ready",
        "cycles ok",
        "failed",
        left=2,
    )
    for stage in stages:
        spans, cycles = part(stage, "durations"), part(part(stage, "cycles"), "all")
        failed = cycles.get("failed")
        table.add_row(
            str(stage.get("stage")),
            clean(stage.get("kind")),
            duration(spans.get("duration_s")),
            number(part(part(stage, "blocks"), "all").get("block_count")),
            seconds(spans.get("chain_ready_s")),
            seconds(spans.get("first_empty_block_s")),
            seconds(spans.get("client_ready_s")),
            seconds(spans.get("loadgen_ready_s")),
            number(cycles.get("succeeded")),
            Text(number(failed), "bold red" if failed else ""),
        )
    return table


def _cycle_table(stages: Sequence[Summary], totals: Summary) -> Table:
    table = _table(
        "Cycles (seconds of the successful ones)",
        "stage",
        "task",
        "cycles",
        "ok %",
        "missed",
        "avg",
        "p50",
        "p95",
        "max",
        "latency p95",
        left=2,
    )
    loaded = [(str(stage.get("stage")), part(stage, "cycles")) for stage in stages]
    loaded = [(index, cycles) for index, cycles in loaded if cycles]
    for index, cycles in loaded:
        tasks = {name: value for name, value in cycles.items() if name != "all" or len(cycles) > 2}
        for task, cycle in tasks.items():
            _cycle_row(table, index, task, cycle)
    if len(loaded) > 1:
        for task, cycle in part(totals, "cycles").items():
            _cycle_row(table, "run", task, cycle)
    return table


def _cycle_row(table: Table, index: str, task: str, cycle: Summary) -> None:
    spread, latency = part(cycle, "duration_s"), part(cycle, "latency_s")
    share = cycle.get("success_percentage")
    table.add_row(
        index,
        clean(task),
        number(cycle.get("cycle_count")),
        Text(percent(share), "bold red" if share is not None and share < 100 else ""),
        number(cycle.get("missed")),
        *(seconds(spread.get(name)) for name in ("avg", "p50", "p95", "max")),
        seconds(latency.get("p95")),
    )


def _block_table(stages: Sequence[Summary]) -> Table:
    table = _table(
        "Live blocks (averages and p95)",
        "stage",
        "blocks",
        "swingset s",
        "p95",
        "swingset %",
        "p95",
        "lag s",
        "p95",
        "deliveries",
        "computrons",
    )
    for stage in stages:
        live = part(part(stage, "blocks"), "live")
        if not live:
            continue
        swingset, share = part(live, "swingset_time_s"), part(live, "swingset_percentage")
        lag = part(live, "lag_s")
        table.add_row(
            str(stage.get("stage")),
            number(live.get("block_count")),
            seconds(swingset.get("avg")),
            seconds(swingset.get("p95")),
            percent(share.get("avg")),
            percent(share.get("p95")),
            seconds(lag.get("avg")),
            seconds(lag.get("p95")),
            number(part(live, "deliveries").get("avg"), 1),
            number(part(live, "computrons").get("avg")),
        )
    return table


def _vat_table(stages: Sequence[Summary]) -> Table:
    """The vats that the kernel spent most time in, over all stages."""
    table = _table(
        "Busiest vats", "vat", "name", "deliveries", "computrons", "time s", "ms each", left=2
    )
    vats: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for row in parts(stage, "vats"):
            vat = vats.setdefault(str(row.get("vat_id")), {"name": None, "count": 0, "work": 0})
            vat["name"] = row.get("name") or vat["name"]
            vat["count"] += row.get("deliveries") or 0
            vat["work"] += row.get("computrons") or 0
            vat["time"] = vat.get("time", 0.0) + (row.get("delivery_time_s") or 0.0)
    busiest = sorted(vats.items(), key=lambda item: item[1]["time"], reverse=True)
    for vat_id, vat in busiest[:_VATS]:
        if not vat["count"]:
            continue
        table.add_row(
            clean(vat_id),
            clean(vat["name"] or MISSING),
            number(vat["count"]),
            number(vat["work"]),
            seconds(vat["time"]),
            number(1000.0 * vat["time"] / vat["count"], 2),
        )
    return table


def _resource_table(resources: Sequence[Summary]) -> Table:
    table = _table(
        "Resources", "what", "name", "max MiB", "avg MiB", "CPU %", "samples", "lost", left=2
    )
    processes = [row for row in resources if row.get("kind") == "process"]
    whole = [row for row in processes if row.get("subject") in {"kernel", "vats"}]
    measuring = [row for row in processes if row.get("subject") in MEASURING]
    vats = [row for row in processes if row not in whole and row not in measuring]
    vats.sort(key=lambda row: memory(row)[0] or 0.0, reverse=True)
    containers = [row for row in resources if row.get("kind") == "container"]
    for row in containers:
        _resource_row(table, row, f"container {clean(row.get('role'))}", "")
    for row in whole:
        _resource_row(table, row, f"chain: {clean(row.get('subject'))}", "")
    for row in vats[:_VATS]:
        _resource_row(table, row, f"chain: {clean(row.get('subject'))}", clean(row.get("name")))
    for row in resources:
        if row.get("kind") == "storage" and row.get("subject") == ".":
            _resource_row(table, row, f"{clean(row.get('role'))}: storage", "")
    for row in measuring:
        _resource_row(table, row, f"measuring: {clean(row.get('subject'))}", "")
    return table


def _growth_table(growth: Sequence[Summary]) -> Table:
    """Slopes per 1000 blocks or cycles; only those that are not zero with 95 % confidence."""
    title = "Growth per 1000 (slope of Theil and Sen, 95 % band)"
    table = _table(title, "stage", "quantity", "per", "slope", "low", "high", "points", left=3)
    for row in growth:
        slopes = [row.get(name) for name in ("slope", "low", "high")]
        known = [value for value in slopes if isinstance(value, int | float)]
        if len(known) < len(slopes) or known[1] <= 0 <= known[2]:
            continue
        stage = row.get("stage")
        table.add_row(
            "run" if stage is None else str(stage),
            clean(row.get("quantity")),
            clean(row.get("per")),
            *(seconds(1000 * value) for value in known),
            number(row.get("points")),
        )
    return table


def _resource_row(table: Table, row: Summary, what: str, name: str) -> None:
    highest, average = memory(row)
    table.add_row(
        what,
        MISSING if name == "None" else name,
        mebibytes(highest),
        mebibytes(average),
        percent(row.get("cpu_percentage")),
        number(row.get("samples")),
        number(row.get("missing")),
    )
