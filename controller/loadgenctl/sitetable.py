"""The tables of `[site]`: strict reading, every refusal says where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.masking import userinfo_length

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?@!*+,=%\[\]-]+")
"""An address that means nothing to a shell, to sed or to a Dockerfile, which it is written into."""


@dataclass(frozen=True, slots=True)
class Table:
    """A TOML table that knows its name, so that every refusal says where."""

    values: Mapping[str, Any]
    name: str
    """Empty for the document itself."""
    folder: Path
    """Relative paths count from it."""

    def path(self, key: str) -> str:
        """The key's full name."""
        return f"{self.name}.{key}" if self.name else key

    def only(self, *known: str) -> None:
        """Refuse every other key."""
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
                raise UsageError(
                    f"unknown setting {self.path(key)}",
                    hint=f"did you mean {self.path(near[0])}?"
                    if near
                    else f"known in [{self.name}]: {', '.join(known)}",
                )

    def table(self, key: str) -> Table:
        """A table inside; empty when absent."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise UsageError(f"{self.path(key)} must be a table, not {value!r}")
        return Table(value, self.path(key), self.folder)

    def tables(self, key: str) -> list[Table]:
        """An array of tables; empty when absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise UsageError(
                f"{self.path(key)} must be an array of tables", hint=f"write [[{self.path(key)}]]"
            )
        return [
            Table(item, f"{self.path(key)}[{number}]", self.folder)
            for number, item in enumerate(value)
        ]

    def text(self, key: str) -> str | None:
        """A string that is not empty; None when absent."""
        return None if key not in self.values else self.required_text(key)

    def required_text(self, key: str) -> str:
        """A string that is not empty."""
        value = self.values.get(key)
        if value is None:
            raise UsageError(f"{self.path(key)} is missing")
        if not isinstance(value, str) or not value or not value.isprintable():
            # Not what it is: a setting may hold a password.
            raise UsageError(
                f"{self.path(key)} must be one line of text without control characters"
            )
        return value

    def texts(self, key: str) -> list[str]:
        """An array of strings that are not empty; empty when absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise UsageError(f"{self.path(key)} must be an array of strings, not {value!r}")
        names = {f"{key}[{number}]": item for number, item in enumerate(value)}
        items = Table(names, self.name, self.folder)
        return [items.required_text(name) for name in names]

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise UsageError(f"{self.path(key)} must be true or false, not {value!r}")
        return value

    def url(self, key: str) -> str | None:
        """An http or https url without the slash at its end; None when absent."""
        value = self.text(key)
        if value is None:
            return None
        if not _URL.fullmatch(value):
            raise UsageError(
                f"{self.path(key)} must be an http or https url",
                hint="of plain characters: what else there is in it has to be percent-encoded",
            )
        return value.rstrip("/")

    def public_url(self, key: str) -> str | None:
        """One without credentials, as it becomes part of images."""
        value = self.url(key)
        if value is not None and userinfo_length(value.partition("://")[2]):
            raise UsageError(
                f"{self.path(key)} may hold no credentials: images hold it, and show it",
                hint="give them to the builder alone, by [site.builder.env], or use a proxy that"
                " adds them",
            )
        return value

    def file(self, key: str) -> Path | None:
        """An existing file; None when absent."""
        value = self.text(key)
        if value is None:
            return None
        path = self.existing(key, value)
        if not path.is_file():
            raise UsageError(f"{self.path(key)} is not a file: {path}")
        return path

    def directory(self, key: str) -> Path:
        """An existing folder."""
        path = self.existing(key, self.required_text(key))
        if not path.is_dir():
            raise UsageError(f"{self.path(key)} is not a folder: {path}")
        return path

    def existing(self, key: str, value: str) -> Path:
        """An existing path, made absolute."""
        try:
            path = (self.folder / Path(value).expanduser()).resolve()
        except (RuntimeError, OSError) as error:
            raise UsageError(f"{self.path(key)} is not a usable path: {value[:60]!r}") from error
        if not path.exists():
            raise UsageError(
                f"{self.path(key)} names a path that does not exist: {path}",
                hint=f"relative paths count from {self.folder}",
            )
        return path
