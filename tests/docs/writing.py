"""`python -m tests.docs.writing PATH…`: finds what docs/writing.md rules out, in files and folders.

The phrases are those of the table in docs/writing.md. Read are Markdown and scripts as a whole, and
of Python the comments and strings. Lines of Markdown end at column 100, except tables and code.
"""

from __future__ import annotations

import re
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / "docs" / "writing.md"
SUFFIXES: Final = frozenset({".py", ".sh", ".js", ".toml", ".j2", ".yml", ".yaml", ".md", ""})
WIDTH: Final = 100
_SECTION: Final = "## Words we do not use"
_REASON: Final = re.compile(r"(?:#|//|<!--) words: \S")
_FILLED_IN: Final = re.compile(r"(?<!\{)\{[^{}\n]*\}")
"""An expression in a format string."""
_MARGIN: Final = r"""(?:[\s#/*>"']|\b[fr]+(?=["']))+"""
"""What may be between two words of a phrase: also a line's end, and the begin of the next line."""


def phrases(rules: str) -> dict[str, str]:
    """Phrase → what to write instead, of the table in docs/writing.md."""
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|$", rules.partition(_SECTION)[2], re.MULTILINE)
    return {text: instead for cell, instead in rows for text in re.findall(r"`(.+?)`", cell)}


def faults(path: Path, known: Mapping[str, str]) -> list[str]:
    """One line for each phrase and each long line of a file."""
    text = path.read_text("utf-8")
    if path == RULES:
        # Its own tables name the phrases.
        text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    lines = text.splitlines()
    either = "|".join(_MARGIN.join(map(re.escape, phrase.split())) for phrase in known)
    # Things "are told apart" in plain English, too.
    pattern = re.compile(rf"(?<![\w-])(?:{either})(?![\w-]|\s+apart\b)", re.IGNORECASE)
    plain = {re.sub(_MARGIN, " ", phrase): phrase for phrase in known}
    found = []
    for first, segment in _prose(path, text):
        for match in pattern.finditer(segment):
            number = first + segment.count("\n", 0, match.start())
            phrase = plain[re.sub(_MARGIN, " ", match[0]).lower()]
            if not _REASON.search(lines[number]):
                found.append((number, f"{phrase!r}: write {known[phrase]}"))
    if path.suffix == ".md":
        found += [(number, f"longer than {WIDTH} characters") for number in _long_lines(text)]
    return [f"{path}:{number + 1}: {fault}" for number, fault in sorted(set(found))]


def _prose(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """The text to check, in segments, each with the number of its first line."""
    if path.suffix != ".py":
        yield 0, text
        return
    with path.open("rb") as stream:
        tokens = list(tokenize.tokenize(stream.readline))
    first, end, segment = 0, 0, ""
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in {"NL", "FSTRING_START", "FSTRING_END"}:
            continue
        if name not in {"COMMENT", "STRING", "FSTRING_MIDDLE"} or token.start[0] - 1 > end + 1:
            if segment:
                yield first, segment
            segment = ""
        if name in {"COMMENT", "STRING", "FSTRING_MIDDLE"}:
            line = token.start[0] - 1
            if not segment:
                first, end = line, line
            segment += "\n" * (line - end) + _FILLED_IN.sub("_", token.string)
            end = token.end[0] - 1
    if segment:
        yield first, segment


def _long_lines(text: str) -> Iterator[int]:
    """Lines beyond the width that could be wrapped: no table, no code, no single long word."""
    kept: set[int] = set()
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in {"table_open", "fence", "code_block", "html_block"} and token.map:
            kept.update(range(*token.map))
    for number, line in enumerate(text.splitlines()):
        if (
            len(line) > WIDTH
            and number not in kept
            and " " in line.lstrip(" -*0123456789.")[:WIDTH]
        ):
            yield number


def files_below(path: Path) -> list[Path]:
    """A file itself, or the files of a folder that are read."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in SUFFIXES)


def main(words: Sequence[str]) -> int:
    """The exit code: 1 if anything was found, 2 for a path that is not there."""
    paths = [Path(word).resolve() for word in words]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        sys.stderr.write(
            f"no such file or folder: {', '.join(map(str, missing)) or '(none given)'}\n"
        )
        return 2
    known = phrases(RULES.read_text("utf-8"))
    found = [fault for path in paths for file in files_below(path) for fault in faults(file, known)]
    for fault in found:
        sys.stdout.write(f"{fault.removeprefix(f'{ROOT}/')}\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
