"""Reads JSON documents that an earlier process of loadgenctl wrote, and that may be damaged.

In a file that is cut off, edited or replaced, a field may have another type, numbers may be out of
all bounds, and nesting may be without end. It is checked here, once for all readers.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from loadgenctl.plainfile import NotPlainError
from loadgenctl.records.reader import Row, parse_file
from loadgenctl.records.shape import is_number

T = TypeVar("T")

_NONE = type(None)


def read_document(path: Path) -> Row | None:
    """The JSON object in a file; None if there is no such plain file, or it holds no JSON object.
    Raises `OSError` if it cannot be read.
    """
    try:
        return parse_file(path)
    except (FileNotFoundError, NotADirectoryError, NotPlainError):
        return None


def read_as(kind: type[T], path: Path) -> T | None:
    """A dataclass as `dataclasses.asdict` wrote it; None if the file does not exist.

    Raises `OSError`, and `ValueError` for anything else than such an object.
    """
    try:
        document = parse_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if document is None:
        raise ValueError("it holds no JSON object")
    return decoded(kind, document)


def decoded(kind: type[T], document: object, where: str = "") -> T:
    """A JSON object as the dataclass `kind`, with every field of the type that it declares.

    `where` is the object's place, for the message. Raises `ValueError` for a field that is missing,
    unknown or of another type.
    """
    value: T = _decode(kind, document, where)
    return value


def _decode(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as the type `hint`. Raises `ValueError` for another one."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in args if each is not _NONE)
        return None if value is None else _decode(inner, value, where)
    if origin is Literal and value in args:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(args[0], item, f"{where}.{n}") for n, item in enumerate(value))
    if isinstance(value, dict) and is_dataclass(hint):
        return _object(hint, value, where)
    if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _decode(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and is_number(value):
        return float(value)
    if hint is int and type(value) is int and is_number(value):
        return value
    if hint in (bool, str) and type(value) is hint:
        return value
    raise ValueError(f"{where} is {value!r:.60}")


def _object(kind: Any, document: Mapping[str, Any], where: str) -> Any:
    hints = _hints(kind)
    prefix = f"{where}." if where else ""
    unknown = sorted(document.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{prefix}{unknown[0]} is of another version")
    for field in fields(kind):
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and field.name not in document:
            raise ValueError(f"{prefix}{field.name} is missing")
    return kind(
        **{name: _decode(hints[name], value, f"{prefix}{name}") for name, value in document.items()}
    )


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Evaluated once: the state of a running local container is read several times a second."""
    return get_type_hints(kind)
