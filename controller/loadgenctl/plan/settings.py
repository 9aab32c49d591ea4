"""Defaults < file < environment < flags, merged, with the origin of every value.

Pure but for `load_file`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl import program
from loadgenctl.errors import UsageError
from loadgenctl.plan.arguments import (
    PREFIX,
    VARIABLE,
    Setting,
    canonical,
    check,
    of_variable,
    parse,
    parse_value,
    unknown,
)
from loadgenctl.plan.lookup import find
from loadgenctl.plan.options import OPTIONS, ROLES, Option

DEFAULT = "default"
"""The origin of a default."""
CONFIG_VARIABLE = "LOADGENCTL_CONFIG"
SYNONYMS: Mapping[str, str] = {
    "OUTPUT_DIR": "output-dir",
    "SDK_SRC": "src",
    "SDK_REVISION": "revision",
    "SDK_REPO": "sdk-repo",
}
"""Environment variables of the original load generator → the option that they set."""
MAX_TOML = 1024 * 1024
"""Bytes of a TOML file."""
NOT_OPTIONS = frozenset(
    {
        CONFIG_VARIABLE,
        program.VARIABLE,
        "LOADGENCTL_CACHE",
        "LOADGENCTL_REAL_SDK",
        "LOADGENCTL_WITHOUT_DOCKER",
    }
)
"""Variables with another purpose: where things are, and which tests run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Merged options: dotted path → value, and where each came from."""

    values: Mapping[tuple[str, ...], Any]
    origins: Mapping[tuple[str, ...], str]

    def get(self, key: str) -> Any:
        """A plain option's value, or its default."""
        path = tuple(key.split("."))
        if path in self.values:
            return self.values[path]
        match = find(path)
        return match.option.default if match else None

    def given(self, key: str) -> bool:
        """Whether a plain option was set, other than by its default."""
        return self.origins.get(tuple(key.split(".")), DEFAULT) != DEFAULT

    def given_by(self, flag: str) -> str:
        """The source to show after an option, such as ` (loadgenctl.toml)`; empty for a flag."""
        origin = self.origins[tuple(flag.removeprefix("--").split("."))]
        return "" if _source(origin) == "flag" else f" ({origin})"

    def tree(self, key: str) -> dict[str, Any] | None:
        """A free-form subtree as nested dicts; None if nothing in it was set."""
        found: dict[str, Any] = {}
        seen = False
        for path, value in self._below(key):
            seen = True
            _graft(found, path, value, key)
        return found if seen else None

    def switch(self, key: str) -> bool | None:
        """Whether a subtree was turned on or off; None if something in it was set after that."""
        last = None
        for path, value in self._below(key):
            last = value if not path and isinstance(value, bool) else None
        return last

    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values are in force."""
        named = {origin[1:] for origin in self.origins.values() if origin.startswith("$")}
        return tuple(sorted(named))

    def _below(self, key: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        """The settings at a path and below it, in their order: the rest of the path, the value."""
        root = tuple(key.split("."))
        for path, value in self.values.items():
            if path[: len(root)] == root:
                yield path[len(root) :], value


@dataclass(frozen=True, slots=True)
class Row:
    """An option and the value in force."""

    key: str
    value: Any
    source: str
    """`default`, `file`, `environment` or `flag`."""
    origin: str
    """The file, variable or flag."""


def rows(settings: Settings) -> list[Row]:
    """Every option that has a value, in the order of `OPTIONS`."""
    found = []
    matches = {path: find(path) for path in settings.values}
    for number, option in enumerate(OPTIONS):
        paths = [
            path for path, match in matches.items() if match is not None and match.option is option
        ]
        found += [
            (number, path, settings.values[path], settings.origins[path])
            for path in paths
            # An option that was switched off again counts as not given.
            if settings.values[path] is not None
        ]
        if option.default is not None and "*" in option.path:
            found += [
                (number, path, option.default, DEFAULT)
                for path in _by_role(option)
                if path not in settings.values
            ]
    found.sort(key=lambda item: (item[0], [_numeric(word) for word in item[1]]))
    return [Row(".".join(path), value, _source(origin), origin) for _, path, value, origin in found]


def _by_role(option: Option) -> list[tuple[str, ...]]:
    return [tuple(role if word == "*" else word for word in option.path) for role in ROLES]


def _numeric(word: str) -> tuple[int, str]:
    return (int(word), "") if word.isdecimal() else (-1, word)


def _source(origin: str) -> str:
    if origin == DEFAULT:
        return "default"
    return {"-": "flag", "$": "environment"}.get(origin[:1], "file")


def _takes_switch(key: str) -> bool:
    """True for a stage's load, which may be turned on to be that of all stages."""
    match = find(tuple(key.split(".")))
    return match is not None and match.option.key == "stage.*.loadgen.*"


def _graft(tree: dict[str, Any], path: tuple[str, ...], value: Any, key: str) -> None:
    if not path:
        if isinstance(value, dict):
            tree.update(value)
            return
        if value is False:
            tree.clear()
        elif value is not True or not _takes_switch(key):
            below = "faucet.interval 10" if key.endswith("loadgen") else "NAME VALUE"
            raise UsageError(f"--{key} takes options below it, such as --{key}.{below}")
        return
    node = tree
    for word in path[:-1]:
        child = node.get(word)
        if not isinstance(child, dict):
            child = node[word] = {}
        node = child
    node[path[-1]] = value


def merge(
    args: Sequence[str],
    environment: Mapping[str, str],
    file: Mapping[str, Any] | None,
    file_name: str,
) -> Settings:
    """Merge all sources of options; later ones override earlier ones. Raises `UsageError`."""
    values: dict[tuple[str, ...], Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for setting in (
        *_defaults(),
        *(setting for setting, _ in from_table(file or {}, file_name)),
        *_from_environment(environment),
        *parse(args),
    ):
        # The last setting comes last in the dict: a subtree is put together in this order.
        values.pop(setting.path, None)
        values[setting.path] = setting.value
        origins[setting.path] = setting.origin
    return Settings(values, origins)


def _defaults() -> Iterable[Setting]:
    for option in OPTIONS:
        if option.default is not None and "*" not in option.path:
            yield Setting(option.path, option.default, DEFAULT)


def from_table(
    table: Mapping[str, Any], file_name: str, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[Setting, str]]:
    """The settings in a file's `[run]` table, with their options' keys. Raises `UsageError`."""
    for name, value in table.items():
        if not name:
            raise UsageError(f"{file_name}: an empty option name in [run]")
        path = (*prefix, name)
        match = find(canonical(".".join(path)))
        if isinstance(value, dict) and (match is None or match.option.kind == "tree"):
            yield from from_table(value, file_name, path)
            continue
        if match is None:
            raise unknown(".".join(path), f"option in {file_name}:")
        shown = f"{file_name}: {'.'.join(path)}"
        yield Setting(match.path, check(match.option, value, shown), file_name), match.option.key


def _from_environment(environment: Mapping[str, str]) -> Iterable[Setting]:
    for name, text in environment.items():
        if name in SYNONYMS and text:
            key = SYNONYMS[name]
        elif name.startswith(PREFIX) and name not in NOT_OPTIONS:
            key = of_variable(name)
        else:
            continue
        match = find(canonical(key))
        if match is None:
            raise unknown(name, VARIABLE)
        yield Setting(match.path, parse_value(match.option, text, name), f"${name}")


def load_file(path: Path, seen: Callable[[os.stat_result], None] | None = None) -> dict[str, Any]:
    """The tables of a loadgenctl.toml. Raises `UsageError` if it cannot be read or is not TOML.

    `seen` is called with the state of the opened file before it is read, and may refuse it.
    """
    tables = load_toml(path, hint="see docs/site-settings.md for an example", seen=seen)
    extra = set(tables) - {"run", "site"}
    if extra:
        raise UsageError(
            f"{path}: unknown table [{min(extra)}]", hint="tables are [run] and [site]"
        )
    for name in ("run", "site"):
        if not isinstance(tables.get(name, {}), dict):
            raise UsageError(f"{path}: {name} must be a table")
    return tables


def load_toml(
    path: Path, *, hint: str, seen: Callable[[os.stat_result], None] | None = None
) -> dict[str, Any]:
    """A TOML file's content. Raises `UsageError` if it cannot be read or is not TOML.

    `seen` as in `load_file`.
    """
    try:
        with path.open("rb") as stream:
            if seen is not None:
                seen(os.fstat(stream.fileno()))
            content = stream.read(MAX_TOML + 1)
        if len(content) > MAX_TOML:
            raise UsageError(f"{path} is larger than {MAX_TOML // 1024} KiB", hint=hint)
        # Some editors write a byte order mark, which is not TOML.
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot read {path}: {reason}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        # Also for numbers with too many digits and for tables nested too deeply.
        raise UsageError(f"{path} is not valid TOML: {error}", hint=hint) from error
