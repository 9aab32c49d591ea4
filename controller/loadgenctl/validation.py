"""Data from outside, checked by msgspec. Every refusal names the key with its path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec

from loadgenctl.errors import UsageError

T = TypeVar("T")

NO_LINE: Final = "must be one line of text without control characters"

_EXPECTED: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<found>[^`]+)`")
_FIELD: Final = re.compile(
    r"Object (?P<what>contains unknown|missing required) field `(?P<key>.*)`", re.DOTALL
)
_STEP: Final = re.compile(r"\.(?P<field>[^.\[]+)|\[(?P<item>\d+|\.\.\.)\]")
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
}
_FOUND: Final = {**_WORDS, "float": "a decimal number"}


class Refused(ValueError):
    """A value that is not accepted. The message begins with its path."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """`hint` says what to write instead."""
        super().__init__(message)
        self.message = message
        self.hint = hint


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn `Refused` into a `UsageError` that names the file or URL, if `where` is not empty."""
    try:
        yield
    except Refused as error:
        prefix = f"{where}: " if where else ""
        raise UsageError(f"{prefix}{error.message}", hint=error.hint) from error


def checked(
    kind: type[T], value: object, name: str, make: Callable[[Any, Any], object] | None = None
) -> T:
    """A value of TOML or JSON as `kind`; `name` is its path, for messages. Raises `Refused`.

    `make` is msgspec's `dec_hook`: it makes what is neither TOML nor JSON, such as a `Path`, and
    raises `Refused` with a message that follows the path.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=make)
    except msgspec.ValidationError as error:
        text = str(error)
        at: Any = kind
        reason, found, place = text.rpartition(" - at `$")
        if not found:
            reason, place = text, ""
        for step in _STEP.finditer(place.rstrip("`")):
            if step["field"] and step["field"] not in _fields(at):
                reason = text  # no path, but an unknown key that looks like one
                break
            at = _inside(at, step["field"])
            if step["item"] == "...":
                # msgspec does not name the key of a mapping: check value by value.
                for key, item in _mapping(value).items():
                    checked(at, item, _joined(name, key), make)
            value = _at(value, step)
            name = _joined(name, step["field"]) if step["field"] else f"{name}[{step['item']}]"
        raise _refused(at, name, reason, error.__cause__) from error


def require_lines(value: object, name: str) -> None:
    """Raise `Refused` unless every text in a value is one line that is not empty.

    The message does not quote the text, which may be a password.
    """
    if isinstance(value, str) and not is_line(value):
        raise Refused(f"{name} {NO_LINE}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            require_lines(item, _joined(name, key))
    if isinstance(value, list):
        for number, item in enumerate(value):
            require_lines(item, f"{name}[{number}]")


def is_line(text: str) -> bool:
    """True for one line of text that is not empty and has no control characters."""
    return bool(text) and text.isprintable()


def _refused(kind: Any, name: str, reason: str, cause: BaseException | None) -> Refused:
    if isinstance(cause, Refused):
        return Refused(f"{name} {cause.message}", hint=cause.hint)
    if field := _FIELD.fullmatch(reason):
        path = _joined(name, field["key"])
        if field["what"] == "missing required":
            return Refused(f"{path} is missing")
        known = _fields(kind)
        near = difflib.get_close_matches(field["key"], known, n=1, cutoff=0.4)
        listed = f"known in [{name}]: {', '.join(known)}"
        hint = f"did you mean {_joined(name, near[0])}?" if near else listed
        return Refused(f"unknown setting {path}", hint=hint)
    types = _EXPECTED.fullmatch(reason)
    if types is None:
        return Refused(f"{name}: {reason}")
    wanted = [each for each in types["wanted"].split(" | ") if each != "null"]
    if wanted == ["array"]:
        tables = hasattr(_inside(kind, None), "__struct_fields__")
        return Refused(
            f"{name} must be an array of {'tables' if tables else 'strings'}",
            hint=f"write [[{name}]]" if tables else None,
        )
    words = " or ".join(_WORDS.get(each, each) for each in wanted)
    return Refused(f"{name} must be {words}, not {_FOUND.get(types['found'], types['found'])}")


def _inside(kind: Any, field: str | None) -> Any:
    """The type of a struct's field, or of an array's or a mapping's items."""
    if field:
        inner = get_type_hints(kind)[kind.__struct_fields__[_fields(kind).index(field)]]
    else:
        inner = next((each for each in reversed(get_args(kind)) if each is not ...), None)
    named = [each for each in get_args(inner) if each is not NoneType]
    return named[0] if NoneType in get_args(inner) else inner


def _fields(kind: Any) -> tuple[str, ...]:
    """The keys of a struct; none for another type."""
    return getattr(kind, "__struct_encode_fields__", ())


def _at(value: Any, step: re.Match[str]) -> Any:
    if step["field"]:
        return _mapping(value).get(step["field"])
    index = int(step["item"]) if step["item"].isdigit() else -1
    return value[index] if isinstance(value, list) and 0 <= index < len(value) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
