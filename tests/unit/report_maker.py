"""Facts of runs for the tests of reports, with any text in every place that text comes to."""

from __future__ import annotations

from typing import Any

from tests.unit.test_reports_text import a_summary

from loadgenctl.records.schema import Outcome
from loadgenctl.records.status import Status
from loadgenctl.reports.facts import RunFacts

TAME = "tame"


def facts_with(text: str = TAME, *, outcome: Outcome = "died", lines: int = 2) -> RunFacts:
    """A run that died in stage 1; all that comes from outside is `text`."""
    summary = a_summary(
        folder=text,
        run_id=text,
        sdk=text,
        revision=text,
        commit=text,
        loadgenctl=text,
        outcome=outcome,
        reason=text,
        role=text,
        step=text,
        simulated=True,
    )
    for stage in summary["stages"]:
        if "cycles" in stage:
            cycles = stage["cycles"]
            stage["cycles"] = {"all": cycles["all"], text: cycles["faucet"]}
        for name in ("cycle_errors", "anomalies"):
            stage[name] = {text: 3}
        for vat in stage.get("vats", []):
            vat |= {"vat_id": text, "name": text}
    for row in summary["resources"]:
        if row["kind"] == "container":
            row["role"] = text
    summary["damage"] = {text: {"torn": 1, "unreadable": 2}}
    status = Status(
        outcome=outcome,
        step=text,
        stage=1,
        role=text,
        reason=text,
        hint=text,
        exit_code=4,
        role_exit_code=137,
        oom_killed=True,
        last_lines=(text,) * lines,
    )
    return RunFacts(summary, _document(text), status, outcome)


def _document(text: str) -> dict[str, Any]:
    """run.json as far as reports look into it."""
    planned: list[dict[str, Any]] = [
        {"index": 0, "chain_only": True, "load": None, "cycles": None},
        {"index": 1, "chain_only": False, "load": {text: {"interval": 5}}, "cycles": None},
        {"index": 2, "chain_only": False, "load": {text: {"interval": 5}}, "cycles": None},
        {"index": 3, "chain_only": False, "load": {"amm": {}, "vault": None}, "cycles": None},
    ]
    return {
        "sdk": {"repository": text},
        "image": {"tag": text, "id": text},
        "host": {"hostname": text, "cpu": text, "cpus": 2, "kernel": text, "memory_bytes": 2**34},
        "engine": {"kind": text, "version": text},
        "plan": {"stages": planned},
    }


HOSTILE = (
    # HTML, and what is left of it in Markdown
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></pre></details><h1>passed</h1>",
    "<!-- the rest is gone",
    "<![CDATA[ x ]]>",
    "]]>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;",
    "&lt;script&gt; &#60;b&#62; &#x0; &amp;",
    # links, images, references
    "[click](https://evil.example)",
    "![seen](https://evil.example/pixel.png)",
    "[a]: https://evil.example 'title'",
    "<https://evil.example> https://evil.example www.evil.example",
    "mail <me@evil.example> or me@evil.example",
    "[x][y] [^1] [[wiki]]",
    # what GitHub and GitLab look for
    "@everyone @org/team",
    "fixes #1, GH-2, org/repo#3, !4, ~label, %milestone, org/repo@01234567890123456789",
    ":tada: $x^2$ $`y`$",
    "- [x] done",
    "/close",
    "::error::boom ##[error]boom ::stop-commands::x",
    "${{ secrets.GITHUB_TOKEN }}",
    # tables
    "a|b",
    "a\\|b",
    "a\\\\|b|",
    "| --- | ---: |",
    "|\n| --- |\n| x |",
    # code spans and fences
    "`",
    "``",
    "` `` ``` ````",
    "a`b``c",
    "`code` and **bold** after",
    "```\n# out\n```",
    "~~~\nout\n~~~",
    "`" * 300,
    "".join("`" * length + "x" for length in range(1, 20)),
    "ends with a backslash \\",
    "\\`",
    # blocks
    "# heading\n## another",
    "title\n=====",
    "---\n***",
    "> quote\n> more",
    "    code by indentation",
    "\tby a tab",
    "1. one\n2. two",
    # control, direction and other characters that are not seen
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x9b2J",
    "nul\x00bell\x07back\x08del\x7f",
    "carriage\rreturn\r\nfeed\x0c\x0b",
    "lines\u2028and\u2029paragraphs\u0085",
    "\u202egnp.exe\u202c \u2066x\u2069 zero\u200bwidth\ufeff",
    "lone \ud800 surrogates \udfff and \uffff \ufffe",
    "long " * 5000,
    "wörds 漢字 🙂",
)
"""What a commit, a chain's log or a contract could put where a report tells of it."""
