"""Data from outside: what is refused is named by its path, and nothing of its value is quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field

from loadgenctl.errors import UsageError
from loadgenctl.validation import Refused, checked, refusals, require_lines


class Inner(Struct, forbid_unknown_fields=True):
    """A table."""

    size: int
    place: Path | None = None
    words: dict[str, str] = field(default_factory=dict)


class Outer(Struct, forbid_unknown_fields=True, rename={"inner_table": "inner-table"}):
    """A document."""

    name: str = "x"
    inner_table: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = field(default_factory=dict)
    mixed: str | int | None = None
    lines: list[str] | None = None


def refuse_path(_kind: object, _value: object) -> object:
    raise Refused("leads nowhere", hint="name another one")


def refusal(document: Any, name: str = "top") -> Refused:
    with pytest.raises(Refused) as caught:
        checked(Outer, document, name, refuse_path)
    return caught.value


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        (7, "top must be a table, not a whole number", None),
        ({"name": 1.5}, "top.name must be text, not a decimal number", None),
        ({"name": None}, "top.name must be text, not null", None),
        ({"mixed": []}, "top.mixed must be a whole number or text, not an array", None),
        ({"nam": "x"}, "unknown setting top.nam", "did you mean top.name?"),
        (
            {"zzz": 1},
            "unknown setting top.zzz",
            "known in [top]: name, inner-table, many, by_name, mixed, lines",
        ),
        ({"inner-table": {}}, "top.inner-table.size is missing", None),
        ({"inner-table": {"size": True}}, "top.inner-table.size must be a whole number", None),
        ({"inner-table": {"size": 1, "place": "x"}}, "top.inner-table.place leads", "name another"),
        ({"many": {}}, "top.many must be an array of tables", "write [[top.many]]"),
        ({"lines": "x"}, "top.lines must be an array of strings", None),
        ({"many": [{"size": 1}, {"siez": 1}]}, "unknown setting top.many[1].siez", "many[1].size"),
        (
            {"many": [{"size": 1, "words": {"a": "b", "c.d": 1}}]},
            "top.many[0].words.c.d",
            None,
        ),
        ({"by_name": {"a": {"size": 1}, "b": {"size": "1"}}}, "top.by_name.b.size must be", None),
    ],
)
def test_the_key_is_named_with_its_path(document: Any, message: str, hint: str | None) -> None:
    refused = refusal(document)
    assert refused.message.startswith(message)
    assert hint is None or hint in str(refused.hint)


def test_a_document_without_a_name_of_its_own_begins_with_the_key() -> None:
    assert refusal({"many": [{}]}, "").message == "many[0].size is missing"


def test_the_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"^/x/a.toml: top.name must be"), refusals("/x/a.toml"):
        checked(Outer, {"name": 1}, "top")
    with pytest.raises(UsageError, match=r"^unknown setting top.nme"), refusals(""):
        checked(Outer, {"nme": 1}, "top")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {"b": ["x", "two\nlines"]}}, "top.a.b[1]"),
        ({"a": ""}, "top.a"),
        ({"password": "hunter2\x1b[2J"}, "top.password"),
    ],
)
def test_every_text_is_one_line_and_never_quoted(value: Any, path: str) -> None:
    with pytest.raises(Refused) as caught:
        require_lines(value, "top")
    assert caught.value.message == f"{path} must be one line of text without control characters"
    require_lines({"a": ["x", 1, True, {"b": "ü"}]}, "top")


@pytest.mark.parametrize("value", ["hunter2", 1, ["hunter2"], {"hunter2": 1}])
def test_a_value_of_another_type_is_not_quoted(value: Any) -> None:
    message = refusal({"inner-table": {"size": 1, "words": {"token": [value]}}}).message
    assert message == "top.inner-table.words.token must be text, not an array"


@pytest.mark.parametrize(
    "key",
    ["x` - at `$.name", "x - at `$.y[0][...]", "$", "a\nb", "`", "", "x` - at `$.many[7].size"],
)
def test_a_key_that_looks_like_a_path_is_only_unknown(key: str) -> None:
    assert refusal({key: 1, "name": "x"}).message.startswith(("unknown setting top", "top"))
    assert refusal({"many": [{"size": 1}, {key: 1}]}).message.startswith(("unknown", "top.many"))
