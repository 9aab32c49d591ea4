"""Command lines as yargs parses them: `--a.b 1`, `--a.b=1`, `--no-a`, kebab and camel case.

Also parses single values, for the options file and the environment. Pure.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl.errors import UnknownOption, UsageError
from loadgenctl.plan.lookup import Match, find, names
from loadgenctl.plan.options import Option
from loadgenctl.plan.times import EXAMPLES, NAMES, in_unit, seconds_of

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_FREE_NUMBER = re.compile(r"-?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d+)?")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
_SAFE = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_NEGATIVE = re.compile(r"-(?:\d+\.?\d*|\.\d+)")
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_NAME_MAX = 255
MAX_DEPTH = 8
PREFIX = "LOADGENCTL_"
VARIABLE = "environment variable"
"""The `origin` of `unknown` for a variable; it then suggests another variable."""
MAX_ARGUMENT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """One option's value and where it was set."""

    path: tuple[str, ...]
    value: Any
    origin: str


def kebab(word: str) -> str:
    """`outputDir` → `output-dir`."""
    return _CAMEL.sub(lambda m: "-" + m.group(1).lower(), word).replace("_", "-")


def parse(args: Sequence[str]) -> list[Setting]:
    """The settings of a command line, in order. Raises `UsageError` with the nearest known name."""
    settings: list[Setting] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if len(word) > MAX_ARGUMENT:
            raise UsageError("an argument is longer than 64 KiB")
        if not word.startswith("--") or word == "--":
            raise UsageError(
                f"unexpected argument {_shown(word)!r}",
                hint="options start with --; see loadgenctl run --help",
            )
        name, equals, inline = word[2:].partition("=")
        match, negated = _lookup(name)
        if negated:
            if equals:
                raise UsageError(f"--{name} takes no value")
            value: Any = None if match.option.bare else False
        elif equals:
            value = parse_value(match.option, inline, f"--{name}")
        else:
            value = _following(match.option, rest, name)
        settings.append(Setting(match.path, value, f"--{name}"))
    return settings


def canonical(name: str) -> tuple[str, ...]:
    """The path of a dotted name; free-form keys keep their spelling."""
    words = name.split(".")
    if len(words) > MAX_DEPTH or not all(words):
        raise UsageError(f"unusable option name {_shown(name)}")
    if "__proto__" in words:
        raise UsageError(f"unusable option name {_shown(name)}")
    path = tuple(kebab(word) for word in words)
    match = find(path)
    if match is not None and match.option.kind == "tree":
        fixed = len(match.option.path) - 1
        return (*path[:fixed], *words[fixed:])
    return path


def _lookup(name: str) -> tuple[Match, bool]:
    match = find(canonical(name))
    if match is not None:
        return match, False
    head, dot, tail = name.rpartition(".")
    for positive in _positives(tail):
        match = find(canonical(f"{head}{dot}{positive}"))
        if match is not None and match.option.kind == "bool":
            return match, True
    if name.startswith("no-"):
        match = find(canonical(name[3:]))
        if match is not None and (match.option.kind in {"bool", "tree"} or match.option.bare):
            return match, True
    raise unknown(name)


def _positives(word: str) -> list[str]:
    return [word[3:]] if word.startswith("no-") and len(word) > 3 else []


def unknown(
    name: str,
    origin: str = "option",
    known: Sequence[str] | None = None,
    command: str = "loadgenctl run",
) -> UsageError:
    """The error for an unknown name, with the nearest of `known` (default: all plan options).

    For an argument it is an `UnknownOption`.
    """
    typed_here = origin == "option"
    variable = origin == VARIABLE
    typed = of_variable(name) if variable else name
    typed = re.sub(r"\.\d+\.", ".N.", kebab(typed))
    near = difflib.get_close_matches(typed, names() if known is None else known, n=1, cutoff=0.5)
    flag = "--" if typed_here else ""
    message = f"unknown {origin} {_shown(flag + name)}"
    hint = f"see {command} --help"
    if near:
        meant = as_variable(near[0]) if variable else flag + near[0]
        hint = f"did you mean {meant}?"
    return UnknownOption(name, message, hint=hint) if typed_here else UsageError(message, hint=hint)


def of_variable(name: str) -> str:
    """`LOADGENCTL_STAGE__SAVE_STORAGE` → `stage.save-storage`."""
    return name.removeprefix(PREFIX).lower().replace("__", ".").replace("_", "-")


def as_variable(key: str) -> str:
    """`stage.save-storage` → `LOADGENCTL_STAGE__SAVE_STORAGE`."""
    return PREFIX + key.replace(".", "__").replace("-", "_").upper()


def _shown(text: str) -> str:
    return ascii(text[:80])[1:-1]


def _following(option: Option, rest: list[str], name: str) -> Any:
    following = rest[0] if rest else None
    takes = following is not None and (
        not following.startswith("-") or _NEGATIVE.fullmatch(following) is not None
    )
    if option.kind == "bool":
        return _SWITCH[rest.pop(0)] if takes and following in _SWITCH else True
    if not takes or following is None:
        if option.kind == "tree":
            return True
        if option.bare is not None:
            return option.bare
        raise UsageError(f"--{name} needs a value")
    return parse_value(option, rest.pop(0), f"--{name}")


def parse_value(option: Option, text: str, shown: str) -> Any:
    """Parse a value given as text. Raises `UsageError`."""
    if len(text) > MAX_ARGUMENT:
        raise UsageError(f"{shown}: the value is longer than 64 KiB")
    if option.bare is not None and text in _SWITCH:
        return check(option, _SWITCH[text], shown)
    match option.kind:
        case "bool":
            if text not in _SWITCH:
                raise UsageError(f"{shown} takes true or false, not {_shown(text)!r}")
            return _SWITCH[text]
        case "tree":
            return check(option, free_form(text), shown)
        case _:
            return check(option, text, shown)


def check(option: Option, value: Any, shown: str) -> Any:  # noqa: C901 - one case per kind
    """Check a value and convert it to the option's type. Raises `UsageError`."""
    if isinstance(value, str) and "\x00" in value:
        raise UsageError(f"{shown}: a value cannot hold a NUL character")
    if option.bare is not None and isinstance(value, bool):
        return option.bare if value else None
    match option.kind:
        case "bool":
            if not isinstance(value, bool):
                raise UsageError(f"{shown} takes true or false")
            return value
        case "int" | "number":
            return _check_number(option, value, shown)
        case "bytes":
            return _check_bytes(option, value, shown)
        case "path":
            if not isinstance(value, str) or not value:
                raise UsageError(f"{shown} takes a path")
            return _path(value, shown)
        case "text":
            if isinstance(value, bool | dict | list) or value in (None, ""):
                raise UsageError(f"{shown} needs a value")
            if option.choices and value not in option.choices:
                known = ", ".join(option.choices)
                near = difflib.get_close_matches(str(value), option.choices, n=1, cutoff=0.5)
                raise UsageError(
                    f"{shown} is one of {known}, not {_shown(str(value))!r}",
                    hint=f"did you mean {near[0]}?" if near else None,
                )
            return str(value)
        case "tree":
            if not recordable(value):
                raise UsageError(
                    f"{shown} holds a value that cannot be recorded",
                    hint="numbers must be finite and below 2^63, texts without lone surrogates,"
                    f" and nothing deeper than {MAX_DEPTH} levels",
                )
            return value


def recordable(value: Any, depth: int = 0) -> bool:
    """True for a value that every JSON reader keeps exactly."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(
            recordable(key, depth + 1) and recordable(item, depth + 1)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return all(recordable(item, depth + 1) for item in value)
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) < 2**63


def _path(text: str, shown: str) -> Path:
    if any(len(os.fsencode(part)) > _NAME_MAX for part in Path(text).parts):
        raise UsageError(f"{shown}: a name in the path is longer than {_NAME_MAX} bytes")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{shown}: {_shown(text)}: no such user") from error


def _check_number(option: Option, value: Any, shown: str) -> float | int:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    elif isinstance(value, str) and option.unit is not None:
        seconds = seconds_of(value)
        value = value if seconds is None else in_unit(seconds, option.unit)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{shown} takes {_number_words(option)}, not {_shown(str(value))!r}")
    if option.kind == "int" and value != int(value):
        raise UsageError(f"{shown} takes a whole number, not {_shown(str(value))!r}")
    if option.minimum is not None and value < option.minimum:
        raise UsageError(f"{shown} must be at least {option.minimum:g}")
    if abs(value) > 1e12:
        raise UsageError(f"{shown} is too large")
    return int(value) if option.kind == "int" or value == int(value) else float(value)


def _number_words(option: Option) -> str:
    if option.unit is None:
        return "a number"
    return f"{NAMES[option.unit]}, or a time with units such as {EXAMPLES}"


def _check_bytes(option: Option, value: Any, shown: str) -> int:
    found = _BYTES.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if found is None:
        raise UsageError(f"{shown} takes a size such as 512m or 4g, not {_shown(str(value))!r}")
    size = float(found.group(1)) * _UNITS[found.group(2).lower()]
    if size > _SAFE:
        raise UsageError(f"{shown} is too large")
    if option.minimum is not None and size < option.minimum:
        raise UsageError(
            f"{shown} must be at least {option.minimum / 1024**2:g}m, not {_shown(str(value))!r}",
            hint="a plain number is bytes; write e.g. 512m or 4g",
        )
    return int(size)


def free_form(text: str) -> Any:
    """Parse a free-form value: number, boolean, null, JSON object, else text.

    Numbers are recognised as in yargs: a revision such as 0123456 is text, and so is a number that
    cannot be represented exactly. Quotes around the complete value are removed.
    """
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    if text == "null":
        return None
    if _HEXADECIMAL.fullmatch(text) and int(text, 16) <= _SAFE:
        return int(text, 16)
    if _FREE_NUMBER.fullmatch(text) and abs(number := float(text)) <= _SAFE:
        return int(number) if number == int(number) else number
    if text.startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not valid JSON: {_shown(text)}: {str(error)[:200]}") from error
    return text
