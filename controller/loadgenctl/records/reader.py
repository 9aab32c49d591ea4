"""Reads the results folder of a finished, running or killed run, or of the original tool."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from loadgenctl.errors import OutputFolderError
from loadgenctl.file_errors import file_error
from loadgenctl.plainfile import RolePath, open_plain
from loadgenctl.records import schema
from loadgenctl.records.shape import (
    Shape,
    document_of,
    shape_of,
    stage_number,
    too_deep,
    well_formed,
)
from loadgenctl.records.status import Status
from loadgenctl.records.superseded import ATTEMPT, MARKS, Counting

Row = dict[str, Any]

MAX_ROW = 16 * 1024 * 1024
"""Bytes of a line; a longer one is damage."""
MAX_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a JSON document."""

_SLOG = re.compile(r"^(?P<role>[a-z]+)-stage-(?P<stage>\d+)\.slog(?P<suffix>\.gz|\.zst|)$")
_CODECS: Mapping[str, Literal["plain", "gzip", "zstd"]] = {
    "": "plain",
    ".gz": "gzip",
    ".zst": "zstd",
}


@dataclass(slots=True)
class Damage:
    """What could not be read of one file."""

    torn: int = 0
    """1 if the last line has no end: the writer was killed, or is writing now."""
    unreadable: int = 0
    """Complete lines that are no JSON object, or one with a field of a wrong kind; of a document
    its fields of a wrong kind, or 1 for all of it.
    """


@dataclass(frozen=True, slots=True)
class SlogFile:
    """A slog that the folder holds."""

    role: str
    stage: int
    codec: Literal["plain", "gzip", "zstd"]
    path: Path


def holds_run(folder: Path) -> bool:
    """True if a run left its records there."""
    return any((folder / name).exists() for name in (schema.RUN, schema.STATUS, schema.PERF))


@dataclass(slots=True)
class RunFolder:
    """A results folder as it is now. Nothing is cached, so a running run can be read again."""

    path: Path
    damage: dict[str, Damage] = field(default_factory=dict)
    """By file, filled in as files are read."""

    def __post_init__(self) -> None:
        """Raise `OutputFolderError` if there is no run, or one that a newer loadgenctl wrote."""
        self.path = Path(self.path)
        if not _is_folder(self.path):
            raise OutputFolderError(
                f"there is no results folder {self.path}", hint="name the folder of a run"
            )
        if not holds_run(self.path):
            raise OutputFolderError(
                f"{self.path} holds no run: neither {schema.RUN} nor {schema.PERF} is there",
                hint="name the folder that holds these files",
            )
        version = self.run.get("schema", schema.SCHEMA_VERSION)
        if not isinstance(version, int) or version > schema.SCHEMA_VERSION:
            raise OutputFolderError(
                f"{self.path} was written in format {version} by loadgenctl "
                f"{self.run.get('loadgenctl', '(unknown)')}; this one reads up to "
                f"{schema.SCHEMA_VERSION}",
                hint="read it with that version of loadgenctl or a later one",
            )

    @property
    def original(self) -> bool:
        """True for a folder of the original load generator."""
        return not (self.path / schema.RUN).exists() and not (self.path / schema.STATUS).exists()

    @property
    def run(self) -> Row:
        """run.json; empty when there is none or it cannot be read (`damage`)."""
        return self._document(schema.RUN)

    @property
    def status(self) -> Status | None:
        """status.json as written; `Status.as_found` finds out whether the run was killed."""
        document = self._document(schema.STATUS)
        return Status.from_json(document) if document else None

    @property
    def outcome(self) -> schema.Outcome | None:
        """The outcome of the run by its folder; None for the original's folders."""
        status = self.status
        return None if status is None else status.as_found().outcome

    @property
    def summary(self) -> Row:
        """summary.json; empty if the run has not written it."""
        return self._document(schema.SUMMARY)

    def perf(self) -> Iterator[Row]:
        """The rows of perf.jsonl."""
        return self.rows(schema.PERF)

    def events(self) -> Iterator[Row]:
        """The rows of events.jsonl."""
        return self.rows(schema.EVENTS)

    def blocks(self) -> Iterator[Row]:
        """The rows of blocks.jsonl."""
        return self.rows(schema.BLOCKS)

    def cycles(self) -> Iterator[Row]:
        """The rows of cycles.jsonl."""
        return self.rows(schema.CYCLES)

    def samples(self) -> Iterator[Row]:
        """The rows of samples.jsonl."""
        return self.rows(schema.SAMPLES)

    def rows(self, file: str) -> Iterator[Row]:
        """The rows of any JSON-lines file of the folder, one at a time; none if it does not exist.

        Of a resumed run only those that count, and without the attempt. Damaged rows are left out
        and counted in `damage[file]`.
        """
        counting = self.counting()
        for row in self._written(file):
            if counting is None:
                yield row
            elif counting.counts(row):
                row.pop(ATTEMPT, None)
                yield row

    def counting(self) -> Counting | None:
        """Which rows count; None if all do, because the run was never resumed."""
        status = self.status
        if status is None or not status.attempts:
            return None
        counting = Counting()
        try:
            stream = open_plain(self.path / schema.PERF)
        except FileNotFoundError:
            return counting
        except OSError as error:
            raise _unreadable(self.path / schema.PERF, error) from error
        with stream:
            for line in iter(lambda: stream.readline(MAX_ROW), b""):
                marked = any(mark in line for mark in MARKS)
                row = parse_row(line, shape_of(schema.PERF)) if marked else None
                if row is not None:
                    counting.note(row)
        return counting

    def _written(self, file: str) -> Iterator[Row]:
        damage, shape = Damage(), shape_of(file)
        self.damage[file] = damage
        try:
            stream = open_plain(self.path / file)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(self.path / file, error) from error
        with stream:
            for line in iter(lambda: stream.readline(MAX_ROW), b""):
                if not line.endswith(b"\n"):
                    if len(line) < MAX_ROW:
                        damage.torn += 1
                        return
                    damage.unreadable += 1
                    _skip_line(stream)
                    continue
                row = parse_row(line, shape)
                if row is not None:
                    yield row
                elif line.strip():
                    damage.unreadable += 1

    def slogs(self) -> list[SlogFile]:
        """The slogs of the folder, chain before client, by stage."""
        found = []
        for entry in self.path.iterdir():
            match = _SLOG.match(entry.name)
            stage = stage_number(match["stage"]) if match else None
            if match and stage is not None:
                codec = _CODECS[match["suffix"]]
                found.append(SlogFile(match["role"], stage, codec, entry))
        return sorted(found, key=lambda slog: (slog.role, slog.stage, slog.codec))

    def _document(self, name: str) -> Row:
        try:
            document = parse_file(self.path / name)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _unreadable(self.path / name, error) from error
        if document is None:
            self.damage[name] = Damage(unreadable=1)
            return {}
        kept, damaged = document_of(name, document)
        self.damage[name] = Damage(unreadable=damaged)
        return kept


def last_heard(folder: Path) -> float | None:
    """The time of a run's last record, epoch seconds; None if no record has one.

    Raises `OutputFolderError` if there is no run, or its records cannot be read.
    """
    # Another reader would count damaged lines twice.
    return max(
        (float(time) for time in _times(RunFolder(folder)) if time is not None), default=None
    )


def _times(run: RunFolder) -> Iterator[float | None]:
    status = run.status
    if status is not None:
        yield from (status.started_at, status.updated_at, status.finished_at)
        if status.started_at is not None:
            for row in run.perf():
                if row.get("timestamp") is not None:
                    yield status.started_at + row["timestamp"]
    # Not the files that `regen` computes from others.
    for file in (schema.EVENTS, schema.SAMPLES):
        yield from (row.get("time") for row in run.rows(file))


class RowFollower:
    """Reads a growing JSON-lines file piece by piece; an unfinished last line waits for its end."""

    def __init__(
        self,
        path: Path | RolePath,
        *,
        most: int = 4 * 1024 * 1024,
        last: int | None = None,
        counting: Counting | None = None,
    ) -> None:
        """`most` bytes are read at a poll, so that a backlog does not block the caller.

        With `last`, of the present content only the lines that begin within so many bytes of the
        end are read; 0 leaves out all of it. With `counting`, which reads perf.jsonl here, only
        rows that count are returned, as by `RunFolder.rows`.
        """
        self.path = path
        self._counting = counting
        self.unreadable = 0
        """Complete lines so far that were no JSON object, or one with a field of a wrong kind."""
        self.behind = False
        """True if the last poll left something to read."""
        self._shape = shape_of(path.name)
        self._most = most
        self._offset = 0
        self._rest = b""
        self._amid = False
        """Up to the next end of a line, everything belongs to a line that is left out."""
        if last is not None:
            self._skip(last)

    @property
    def torn(self) -> bool:
        """True while the last line read has no end."""
        return bool(self._rest)

    def poll(self) -> list[Row]:
        """The rows completed since the last call. A file that became shorter is read again.

        Raises `OutputFolderError`.
        """
        try:
            return self.read()
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def read(self) -> list[Row]:
        """As `poll`, for a file whose damage is not the results folder's. Raises `OSError`."""
        try:
            with open_plain(self.path) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size < self._offset:
                    self._offset, self._rest, self._amid = 0, b"", False
                self.behind = size > self._offset + self._most
                if size == self._offset:
                    return []
                stream.seek(self._offset)
                piece = stream.read(self._most)
        except FileNotFoundError:
            self.behind = False
            return []
        self._offset += len(piece)
        if self._amid:
            _, end, piece = piece.partition(b"\n")
            self._amid = not end
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_ROW:
            self.unreadable += 1
            self._rest, self._amid = b"", True
        rows: list[Row] = []
        for line in lines:
            row = parse_row(line, self._shape)
            if row is not None:
                self._take(row, rows)
            elif line.strip():
                self.unreadable += 1
        return rows

    def _take(self, row: Row, rows: list[Row]) -> None:
        if self._counting is None:
            rows.append(row)
            return
        if self.path.name == schema.PERF:
            self._counting.note(row)
        if self._counting.counts(row):
            row.pop(ATTEMPT, None)
            rows.append(row)

    def _skip(self, last: int) -> None:
        """Begin with the first line that starts within the `last` bytes that are there."""
        try:
            start = self.path.stat().st_size - last
        except FileNotFoundError:
            return
        if start > 0:
            # One byte before: a line that begins exactly there is complete.
            self._offset, self._amid = start - 1, True


def parse_file(path: Path) -> Row | None:
    """The JSON object in a file; None if it holds none. Raises `OSError`, also for a link or a
    pipe.
    """
    with open_plain(path) as stream:
        content = stream.read(MAX_DOCUMENT + 1)
    return parse_row(content) if len(content) <= MAX_DOCUMENT else None


def parse_row(line: bytes, shape: Shape | None = None) -> Row | None:
    """A line's JSON object; None if it is none, or does not have the shape."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or too_deep(line, row):
        return None
    return row if shape is None or well_formed(row, shape) else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError as error:
        raise _unreadable(path, error) from error
    except OSError:
        return False  # a name longer than any


def _skip_line(stream: BinaryIO) -> None:
    """Read on to the line's end."""
    while (piece := stream.readline(MAX_ROW)) and not piece.endswith(b"\n"):
        pass


def _unreadable(path: Path | RolePath, error: OSError) -> OutputFolderError:
    return OutputFolderError(
        f"{path} cannot be read: {error.strerror or error}", hint=file_error(error).hint
    )
