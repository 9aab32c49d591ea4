"""Writes a results folder during a run.

Rows are appended and reach the kernel at once, so that a killed run leaves complete lines;
status.json is replaced as a whole. The first failure to write raises `OutputFolderLost`; after that
the store raises nothing (`broken` is true, `dropped` counts), so that the end of a run does not
fail again at every record.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadgenctl.clock import Clock
from loadgenctl.errors import OutputFolderError
from loadgenctl.owner import Owner
from loadgenctl.plainfile import open_plain, write_plain
from loadgenctl.records import schema
from loadgenctl.records.atomic import replace_file
from loadgenctl.records.encode import document_bytes, row_bytes
from loadgenctl.records.output_guard import Place, folder_error
from loadgenctl.records.reader import RunFolder, holds_run
from loadgenctl.records.status import Status
from loadgenctl.records.superseded import ATTEMPT, FIRST
from loadgenctl.version import VERSION

_MINIMUM_FREE = 16 * 1024 * 1024
"""Bytes below which starting a run makes no sense."""

_OUTSIDE = -1
"""The stage of rows outside of stages, as the original writes it."""


class RunStore:
    """The only writer of one results folder; several threads may call it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Use `create`, which also makes the folder ready."""
        self.folder = folder
        self.stage = _OUTSIDE
        self.broken = False
        self.dropped = 0
        """Rows and status changes that were lost since the folder cannot be written."""
        self.started_at = clock.wall()
        self.attempt = FIRST
        """Rows of later attempts have it."""
        self._clock = clock
        self._origin = clock.monotonic()
        self._stage_origin = self._origin
        self._files: dict[str, int] = {}
        self._lock = threading.RLock()
        self._status = Status(started_at=self.started_at, owner=Owner.current())
        self._closed = False
        self._place = Place.of(folder)

    @classmethod
    def create(cls, folder: Path, clock: Clock) -> RunStore:
        """Make `folder` (parents too) ready for a new run, whose time starts now.

        Raises `OutputFolderError` if it cannot be made or written, has no space, or holds a run.
        """
        folder = folder.absolute()
        there = folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if holds_run(folder):
                raise _in_use(folder)
            _probe(folder)
            return cls(folder, clock)
        except OSError as error:
            if not there:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise folder_error(folder, error, starting=True) from error

    @classmethod
    def resume(cls, folder: Path, clock: Clock, status: Status, *, latest: float) -> RunStore:
        """Continue the records of a run whose process is gone, in another attempt.

        `status` is the state of the run from now on, with its attempts. Times continue from the
        run's start, never before `latest`, the newest timestamp. Raises `OutputFolderError`.
        """
        try:
            _probe(folder)
            for name in schema.ROWS:
                _end_line(folder / name)
            # It is the summary of the attempt before; this one writes its own at its end.
            (folder / schema.SUMMARY).unlink(missing_ok=True)
        except OSError as error:
            raise folder_error(folder, error, starting=True) from error
        store = cls(folder, clock)
        started = status.started_at or store.started_at
        passed = max(store.started_at - started, latest)
        store.started_at, store.attempt = started, status.attempt
        store._origin = store._stage_origin = clock.monotonic() - passed
        store._status = replace(status, owner=Owner.current())
        store.set_status()
        return store

    @property
    def status(self) -> Status:
        """The status as last set."""
        return self._status

    def path(self, *parts: str) -> Path:
        """A path below the folder; folders between are made."""
        target = self.folder.joinpath(*parts)
        with self._writing():
            # The folder itself is not made again: a run that lost it must end.
            self._place.require()
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def check(self) -> None:
        """Raise `OutputFolderLost` if the folder was removed, moved or made read-only since the
        run's start. Then only open files can still be written. Costs two system calls.
        """
        with self._writing():
            self._place.require()

    def remove(self, name: str) -> None:
        """Remove a folder in it, as far as possible; never in the folder of another run that has
        the name by now.
        """
        if self.in_place:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @property
    def in_place(self) -> bool:
        """Whether this run's folder still has the name."""
        return self._place.unchanged()

    def timestamp(self) -> float:
        """Seconds since the run's start, by the monotonic clock."""
        return self._clock.monotonic() - self._origin

    def write_run(self, document: Mapping[str, Any]) -> None:
        """Write run.json, once; `schema`, the writing version and the start time are added."""
        target = self.folder / schema.RUN
        if target.exists():
            raise OutputFolderError(f"{target} is already written", hint="run.json never changes")
        head = {
            "schema": schema.SCHEMA_VERSION,
            "loadgenctl": VERSION,
            "started_at": self.started_at,
        }
        with self._writing():
            self._place.require()
            replace_file(target, document_bytes({**head, **document}))
        with self._lock:
            self._write_status(self._status)

    def set_status(self, **changes: Any) -> Status:
        """Change fields of `Status` and replace status.json; `stage` and times are filled in.

        An outcome other than `running` ends the run. Costs a disk flush: for steps, not for blocks.
        """
        with self._lock:
            now = self._clock.wall()
            changed = replace(self._status, **changes, updated_at=now)
            if "stage" not in changes:
                changed = replace(changed, stage=self._stage_of(changed))
            if changed.finished and changed.finished_at is None:
                # By the clock of the start: later changes of the clock do not count.
                changed = replace(changed, finished_at=self.started_at + self.timestamp())
            self._status = changed
            self._write_status(changed)
            return changed

    def container_ended(
        self, role: str, *, exit_code: int | None, signal: str | None, oom_killed: bool
    ) -> None:
        """Add to the status how a container of the stage ended; None is not known."""
        with self._lock:
            end = {
                "role": role,
                "stage": None if self.stage == _OUTSIDE else self.stage,
                "exit_code": exit_code,
                "signal": signal,
                "oom_killed": oom_killed,
            }
            self.set_status(containers=(*self._status.containers, end))

    def _stage_of(self, status: Status) -> int | None:
        if self.stage != _OUTSIDE:
            return self.stage
        # A run that fails has usually left its stage by then; the stage says where it failed.
        return status.stage if status.finished and status.outcome != "passed" else None

    def begin_stage(self, number: int) -> None:
        """Rows belong to stage `number` from now on and `elapsed` counts from here."""
        with self._lock:
            self.stage = number
            self._stage_origin = self._clock.monotonic()

    def end_stage(self) -> None:
        """Rows belong to no stage (-1) and `elapsed` counts from the run's start again."""
        with self._lock:
            self.stage = _OUTSIDE
            self._stage_origin = self._origin

    def perf_start(self) -> None:
        """The first perf event. Process ages are taken on the machine's clock, hence offset 0."""
        self.perf("perf-start", cpuTimeOffset=0, timeOrigin=round(self.started_at, 6))

    def perf(self, type: str, /, **fields: Any) -> None:  # noqa: A002 - the original's name
        """Append to perf.jsonl; `type` with or without its `perf-`."""
        now = self._clock.monotonic()
        name = type if type.startswith("perf-") else f"perf-{type}"
        with self._lock:
            row = {
                "timestamp": round(now - self._origin, 6),
                "stage": self.stage,
                "elapsed": round(now - self._stage_origin, 6),
                "type": name,
                **fields,
            }
            self.append(schema.PERF, row)

    def append(self, file: str, row: Mapping[str, Any]) -> None:
        """Append a row to a JSON-lines file of the folder, completely or not at all."""
        self.append_many(file, [row])

    def append_many(self, file: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Like `append` for several rows, in one write."""
        if not rows:
            return
        lines = b"".join(self._line(row) for row in rows)
        with self._lock:
            if self._unusable(len(rows)):
                return
            try:
                self._append_line(file, lines)
            except OSError as error:
                self._break(error)

    def write_document(self, name: str, document: Mapping[str, Any]) -> None:
        """Write or replace a JSON file as a whole, e.g. summary.json."""
        with self._writing():
            self._place.require()
            replace_file(self.folder / name, document_bytes(document))

    def close(self) -> None:
        """Close the files; what is appended later is dropped. Idempotent."""
        with self._lock:
            self._closed = True
            for descriptor in self._files.values():
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            self._files.clear()

    def __enter__(self) -> RunStore:
        """For `with`."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def _line(self, row: Mapping[str, Any]) -> bytes:
        return row_bytes(row if self.attempt == FIRST else {**row, ATTEMPT: self.attempt})

    def _unusable(self, rows: int) -> bool:
        if self.broken or self._closed:
            self.dropped += rows
            return True
        return False

    def _append_line(self, file: str, line: bytes) -> None:
        descriptor = self._files.get(file)
        if descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.folder / file, flags, 0o644)
            self._files[file] = descriptor
        before = os.fstat(descriptor)
        if before.st_nlink == 0:
            # Writing to a deleted file succeeds, and is lost.
            raise FileNotFoundError(errno.ENOENT, "removed during the run", file)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, before.st_size)
            raise

    def _write_status(self, status: Status) -> None:
        if self._closed:
            self.dropped += 1
            return
        # Tried although it is broken: there may be space again, and the outcome matters.
        self.write_document(schema.STATUS, status.to_json())

    def _break(self, error: OSError) -> None:
        self.broken = True
        self.dropped += 1
        raise folder_error(self.folder, error) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except OSError as error:
                if self.broken:
                    self.dropped += 1
                    return
                self._break(error)


def _end_line(path: Path) -> None:
    """End a line that was torn when its writer was killed: the next row must not continue it."""
    if not path.exists():
        return
    with open_plain(path) as rows:
        if rows.seek(0, os.SEEK_END) == 0:
            return
        rows.seek(-1, os.SEEK_END)
        if rows.read(1) == b"\n":
            return
    with write_plain(path, append=True) as file:
        file.write(b"\n")


def _in_use(folder: Path) -> OutputFolderError:
    status = RunFolder(folder).status
    if status is not None and status.as_found().outcome == "running":
        return OutputFolderError(
            f"{folder} is being written by a run that is still running",
            hint="give another --output-dir, or wait for that run",
        )
    return OutputFolderError(
        f"{folder} already holds a run", hint="give another --output-dir, or remove the folder"
    )


def _probe(folder: Path) -> None:
    """Find out now, and not an hour into a run, that the folder cannot be written."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
        probe.write(b"\0" * 65536)
        probe.flush()
        os.fsync(probe.fileno())
    usage = os.statvfs(folder)
    # Some file systems report no sizes; there only the probe counts.
    if usage.f_blocks and usage.f_bavail * usage.f_frsize < _MINIMUM_FREE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
