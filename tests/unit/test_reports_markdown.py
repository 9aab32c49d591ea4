"""The page for CI: what it says, and that nothing from outside is more than text in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.unit.report_maker import HOSTILE, TAME, facts_with
from tests.unit.test_reports_text import a_summary

from loadgenctl.formatting import MISSING, clean
from loadgenctl.records.status import Status
from loadgenctl.reports.facts import UNKNOWN, RunFacts
from loadgenctl.reports.markdown import ROWS, code, fenced, page
from loadgenctl.reports.run_tables import tables

CODE = {"code_inline", "fence"}


def parsed(text: str) -> list[Token]:
    """What a reader of Markdown with tables and raw HTML makes of it, flat."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [leaf for token in tokens for leaf in (token.children or [token])]


def skeleton(text: str) -> list[tuple[str, str]]:
    """All but what stands in code: the kinds of the parts, and every letter outside of code."""
    return [
        (token.type, "" if token.type in CODE else token.content + token.info)
        for token in parsed(text)
    ]


def in_code(text: str) -> Iterator[str]:
    """What stands in code."""
    return (token.content for token in parsed(text) if token.type in CODE)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_text_is_nothing_but_code(text: str) -> None:
    shown = page(facts_with(text))
    assert skeleton(shown) == skeleton(page(facts_with()))
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert clean(text, 200) in [clean(content, 200) for content in in_code(shown)]


@given(st.text(min_size=1, max_size=60).filter(clean))
def test_any_text_is_nothing_but_code(text: str) -> None:
    assert skeleton(page(facts_with(text))) == skeleton(page(facts_with()))


@given(st.text(alphabet="`|\\ \nx", min_size=1, max_size=40).filter(clean))
def test_no_backticks_end_a_span(text: str) -> None:
    [token] = [token for token in parsed(f"a {code(text)} b") if token.type in CODE]
    assert token.content.strip() == clean(text, 200)
    [block] = parsed("\n".join(fenced([text.replace("\n", " ")])))
    assert block.type == "fence"


def test_a_fence_stays_short_enough_for_all_renderers() -> None:
    [fence, line, end] = fenced(["`" * 400])
    assert len(fence) - len("text") == len(end) == 81
    assert line == "`" * 80 + "…"


def test_nothing_outside_of_code_can_be_followed() -> None:
    kinds = {kind for text in HOSTILE for kind, _ in skeleton(page(facts_with(text)))}
    assert not {kind for kind in kinds if "link" in kind or "html" in kind or "image" in kind}


def test_text_of_which_nothing_is_seen_is_a_dash() -> None:
    assert code("\x00 \u200b\n") == MISSING


def test_it_says_how_the_run_ended_and_where() -> None:
    shown = page(facts_with())
    lines = shown.splitlines()
    assert lines[0] == "## ❌ loadgenctl (simulated): died after 6:12"
    assert lines[2] == "> **SIMULATED SDK: these numbers say nothing about a real chain.**"
    assert lines[4].startswith(f"- **Why:** `{TAME}`, role `{TAME}`, step `{TAME}`, stage `1`")
    assert "exit code of the role `137`" in lines[4]
    assert "the role ran out of memory" in lines[4]
    assert f"revision `{TAME}`" in lines[5]
    assert "memory `16.0 GiB`" in lines[6]


def test_its_tables_have_the_numbers() -> None:
    rows = [line.strip("| ").split(" | ") for line in page(facts_with()).splitlines()]
    assert ["0", "chain-only", *["-"] * 9] in rows
    stage = ["1", "load", "36 000", "123.5", "-", "99.9", "-", "-", "35 900", "2.50", "12 345"]
    assert stage in rows
    cycles = ["1", f"`{TAME}`", "1 000", "5", "3", "12", "99.5", "1.50", "1.25", "12 346"]
    assert [*cycles, "100 000", "12 346"] in rows
    swingset = ["1.50", "12 346", "1.50", "12 346", "1.5", "12 345.7", "1.5", "123 456 790"]
    assert ["1", "12 345", "-", "-", *swingset] in rows
    assert [f"`container {TAME}`", "-", "0.6", "0.5", "16.2", "5", "1"] in rows
    assert ["`chain: kernel`", "-", "600", "500", "16.2", "5", "1"] in rows


@pytest.mark.parametrize("summary", [facts_with().summary, a_summary(), {}])
def test_it_has_all_columns_and_rows_of_the_tables_for_a_terminal(summary: dict[str, Any]) -> None:
    shown = page(RunFacts(summary, {}, Status(), "passed"))
    for table in tables(summary):
        assert f"### {table.title}" in shown
        assert f"| {' | '.join(column.head for column in table.columns)} |" in shown
        assert all(code(note, 400) in shown for note in table.notes)
        for row in table.cells():
            numbers = [
                str(cell)
                for column, cell in zip(table.columns, row, strict=True)
                if column.kind == "number"
            ]
            assert f"| {' | '.join(numbers)} |" in shown


def test_failures_come_with_the_last_lines() -> None:
    shown = page(facts_with())
    assert f"- `stage 1: {TAME} (3 times)`" in shown
    assert shown.endswith(f"Last lines (`{TAME}`):\n\n```text\n{TAME}\n{TAME}\n```\n")


def test_indentation_of_the_last_lines_stays() -> None:
    shown = page(facts_with("  File \x1b[1mx\x1b[0m\n"))
    assert "\n  File x\n" in shown


def test_a_run_that_passed_has_no_failures_and_no_reason() -> None:
    facts = replace(facts_with(), outcome="passed", status=Status(outcome="passed"))
    shown = page(facts)
    assert shown.startswith("## ✅ loadgenctl (simulated): passed")
    assert "### Notes" in shown, "what is odd about the records"
    assert "Why" not in shown
    assert "```" not in shown


def test_little_is_known_of_the_original_s_folders() -> None:
    assert page(RunFacts({}, {}, Status(), UNKNOWN)) == "## ❔ loadgenctl: unknown\n"


def test_the_page_of_the_longest_run_fits_into_a_job_s_page() -> None:
    facts = facts_with("`" * 500)
    stage = facts.summary["stages"][1]
    stages = [{**stage, "stage": number} for number in range(1000)]
    shown = page(replace(facts, summary={**facts.summary, "stages": stages}))
    assert len(shown.encode()) < 256 * 1024
    assert f"… and {1000 - ROWS} more rows, in summary.json." in shown
