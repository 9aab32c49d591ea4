"""The check of words and line lengths (docs/writing.md): what it finds and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.writing import RULES, faults, main, phrases

KNOWN = phrases(RULES.read_text("utf-8"))


def found(folder: Path, name: str, text: str) -> list[str]:
    """The faults of a file, each without the folder."""
    file = folder / name
    file.write_text(text)
    return [fault.removeprefix(f"{folder}/") for fault in faults(file, KNOWN)]


def test_the_list_is_the_table_of_the_page() -> None:
    assert {"goes on", "anew", "nobody", "mended"} <= set(KNOWN)
    assert all(KNOWN.values())


def test_a_phrase_is_found_whatever_its_case_and_also_across_two_lines(tmp_path: Path) -> None:
    assert found(tmp_path, "page.md", "# A page\n\nIt is made Anew.\nThe run goes\non.\n") == [
        "page.md:3: 'anew': write again",
        "page.md:4: 'goes on': write continues, resumes, is running",
    ]


def test_parts_of_words_are_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, "page.md", "Recommend, amend, go on-line. They are told apart.\n") == []


def test_of_python_comments_docstrings_and_messages_are_read(tmp_path: Path) -> None:
    code = (
        '"""Nobody waits."""\n'
        "anew = 1\n"
        "# It goes\n# on here.\n"
        'say("the run goes "\n    f"on", anew)\n'
        'say(f"{anew} is mended")\n'
    )
    assert [fault.partition(": ")[0] for fault in found(tmp_path, "code.py", code)] == [
        "code.py:1",
        "code.py:3",
        "code.py:5",
        "code.py:7",
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("page.md", "The user nobody. <!-- words: a user's name -->"),
        ("code.py", 'USER = "nobody"  # words: a user\'s name'),
        ("script.sh", "su nobody # words: a user's name"),
        ("driver.js", "say('nobody'); // words: a user's name"),
    ],
)
def test_a_phrase_with_a_reason_on_its_line_is_allowed(
    tmp_path: Path, name: str, line: str
) -> None:
    assert found(tmp_path, name, f"{line}\n") == []
    assert found(tmp_path, name, f"{line.partition(' words:')[0]}\n") != []


def test_lines_of_markdown_end_at_column_100_but_for_tables_code_and_long_words(
    tmp_path: Path,
) -> None:
    long = "word " * 21
    kept = f"| {long} |\n| --- |\n\n```text\n{long}\n```\n\n    {long}\n\n- https://{'a' * 100}\n"
    assert found(tmp_path, "page.md", kept) == []
    assert found(tmp_path, "page.md", f"{kept}\n{long}\n") == [
        "page.md:12: longer than 100 characters"
    ]
    assert found(tmp_path, "code.py", f"# {long}\n") == []


def test_folders_and_files_can_be_named_and_the_exit_code_says_if_anything_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "page.md").write_text("anew\n")
    (tmp_path / "picture.png").write_bytes(b"\xff\x00")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path}/below/page.md:1: 'anew': write again\n"
    (tmp_path / "below" / "page.md").write_text("again\n")
    assert main([str(tmp_path), str(tmp_path / "below" / "page.md")]) == 0
    assert main([str(tmp_path / "nothing")]) == 2
    assert main([]) == 2
