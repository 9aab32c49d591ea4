"""JSON and CSV for other programs: what is escaped, and what a spreadsheet does not evaluate."""

from __future__ import annotations

import csv
import io
import json

import pytest

from loadgenctl.cli.print_data import json_text, print_csv


def printed_csv(capsys: pytest.CaptureFixture[str], **cells: object) -> dict[str, str]:
    print_csv(list(cells), [cells])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    return row


@pytest.mark.parametrize(
    "formula",
    [
        "=cmd|' /C calc'!A0",
        "+1+cmd",
        "-2+3",
        "-",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        " =1+1",
        "\uff1d1+1",
        "-1 2",
        "1_0".replace("1", "-1"),
    ],
)
def test_a_text_that_a_spreadsheet_would_evaluate_is_shown_as_text(
    capsys: pytest.CaptureFixture[str], formula: str
) -> None:
    cell = printed_csv(capsys, folder=formula)["folder"]
    assert cell.startswith("'")
    assert cell[1:].split() == formula.split()


@pytest.mark.parametrize(
    "value", [-1, -1.5, 0, "-1", "-1.5", "+2e-7", "-.5", "1e9", "a-b", "", "7"]
)
def test_numbers_and_plain_texts_stay_as_they_are(
    capsys: pytest.CaptureFixture[str], value: object
) -> None:
    assert printed_csv(capsys, x=value)["x"] == str(value)


def test_names_of_columns_are_no_formulas_either(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["=evil_cycle_count"], [])
    assert capsys.readouterr().out == "'=evil_cycle_count\n"


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "ascii", "cp1252"])
def test_json_is_the_same_in_every_charset(charset: str) -> None:
    document = {"日本": ["ü", "·", "\U0001f600", "\x1b[2J", "\u202e", "plain"]}
    text = json_text(document, charset).encode(charset)
    assert json.loads(text.decode(charset)) == document
    assert b"\x1b" not in text


def test_a_name_that_is_no_text_is_escaped_in_json() -> None:
    assert json.loads(json_text({"file": "a\udcff"}).encode()) == {"file": "a\udcff"}
