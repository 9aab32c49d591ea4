"""Tables in Markdown, and the places in docs/performance.md where they go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import BenchError


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def put(document: Path, part: str, lines: Sequence[str]) -> None:
    """Replace what stands between the part's markers. Raises `BenchError` if they are not there."""
    begin, end = f"<!-- bench: {part} -->", f"<!-- end: {part} -->"
    text = document.read_text(encoding="utf-8")
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    filled = "\n".join([begin, *lines, end])
    new, count = place.subn(lambda _: filled, text)
    if count != 1:
        raise BenchError(f"{document} does not have one place of the form {begin} … {end}")
    document.write_text(new, encoding="utf-8")
