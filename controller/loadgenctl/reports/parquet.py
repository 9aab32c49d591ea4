"""Tables as Parquet files, by way of polars, which is not installed with loadgenctl by itself."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.stats.columnar import Kind, Table

EXTRA: Final = "loadgenctl[parquet]"
_TYPES: Final[Mapping[Kind, str]] = {
    "text": "String",
    "whole": "Int64",
    "number": "Float64",
    "truth": "Boolean",
}

Find = Callable[[str], ModuleType]


def load_polars(find: Find = importlib.import_module) -> ModuleType:
    """The library. Raises `UsageError`, naming the extra, when it is not installed."""
    try:
        return find("polars")
    except ImportError as error:
        raise UsageError(
            "Parquet needs polars, which is not installed",
            hint=f"install the extra: pip install '{EXTRA}'",
            detail=str(error),
        ) from error


def write_tables(folder: Path, tables: Iterable[Table], polars: ModuleType) -> list[Path]:
    """Write each table to `folder`/NAME.parquet, replacing what is there; return the files.

    The folder is made if it is not there, and that around it is. Raises `OutputFolderError`.
    """
    written = []
    try:
        folder.mkdir(exist_ok=True)
        for table in tables:
            target = folder / f"{table.name}.parquet"
            _write(target, table, polars)
            written.append(target)
    except OSError as error:
        raise OutputFolderError(
            f"{folder} cannot be written: {error.strerror or error}",
            hint="name another folder with --parquet",
        ) from error
    return written


def frame(table: Table, polars: ModuleType) -> Any:
    """The table as a `polars.DataFrame` with the types of its columns."""
    schema = {name: _type(kind, polars) for name, kind in table.kinds.items()}
    return polars.DataFrame(dict(table.columns), schema=schema)


def _type(kind: Kind, polars: ModuleType) -> Any:
    if kind == "numbers" or kind == "wholes":
        return polars.List(_type("number" if kind == "numbers" else "whole", polars))
    return getattr(polars, _TYPES[kind])


def _write(target: Path, table: Table, polars: ModuleType) -> None:
    partial = target.with_name(f".{target.name}.tmp")
    try:
        frame(table, polars).write_parquet(partial)
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
