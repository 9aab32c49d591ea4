"""The local engine's memory: a folder per container, in a folder that only its owner can enter.

    NAME/container.json   what it is; written once, complete or not there
    NAME/state.json       how it is doing; by its keeper, replaced atomically
    NAME/log              both outputs of its processes
    NAME/keeper.log       what the keeper had to say, usually nothing
    NAME/keeper.sock      where the keeper takes commands to be executed
    NAME/bin/python3      the Python that loadgenctl runs on

Later commands read here what was made and for which run, even after a crash of the maker.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.file_errors import file_error, hint_for, user_name
from loadgenctl.owner import process_start
from loadgenctl.records.json_documents import read_as

T = TypeVar("T", "Container", "State")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SERIAL = itertools.count()


@dataclass(frozen=True, slots=True)
class Container:
    """What was asked for. Paths are those of this machine already."""

    id: str
    name: str
    role: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The command's own variables, as they were given."""
    workdir: str
    mounts: Mapping[str, str]
    """Target → source."""
    labels: Mapping[str, str]
    log_max_bytes: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be taken for another one."""

    pid: int
    start: str
    """See `owner.process_start`."""

    @property
    def lives(self) -> bool:
        """True while that very process runs."""
        return process_start(self.pid) == self.start

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class State:
    """How far a container has come."""

    id: str
    keeper: Process | None = None
    """Whose child the main process is; None before the start."""
    main: Process | None = None
    started_at: float | None = None
    """Epoch seconds."""
    exit_code: int | None = None
    """None until it has ended."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """One container's folder."""

    path: Path

    @property
    def log(self) -> Path:
        """Both outputs, as they came."""
        return self.path / "log"

    @property
    def keeper_log(self) -> Path:
        """For a keeper that fails."""
        return self.path / "keeper.log"

    @property
    def programs(self) -> Path:
        """What goes before everything on the PATH."""
        return self.path / "bin"

    def container(self) -> Container | None:
        """What was made there; None if nothing is."""
        return _load(self.path / "container.json", Container)

    def state(self) -> State | None:
        """How it is doing; None once it is gone."""
        return _load(self.path / "state.json", State)

    def write_state(self, state: State) -> None:
        """Replace the state. Raises `OSError`."""
        _store(self.path / "state.json", asdict(state))

    def socket(self, descriptor: int) -> str:
        """The keeper's socket by an open descriptor of the folder, whose own path may be longer
        than a socket's address can be.
        """
        return f"/proc/self/fd/{descriptor}/keeper.sock"


@dataclass(frozen=True, slots=True)
class Registry:
    """All containers of one user on this machine."""

    root: Path
    python: str = field(kw_only=True)
    """The interpreter that `python3` means in the containers."""

    def add(self, container: Container) -> Folder:
        """Make a container's folder. Raises `EngineError` when the name is taken."""
        if not _NAME.fullmatch(container.name):
            raise EngineError(f"{container.name!r} is no name for a process")
        self.prepare()
        draft = self.root / f".new-{os.getpid()}-{next(_SERIAL)}"
        draft.mkdir(mode=0o700)
        folder = Folder(self.root / container.name)
        try:
            _store(draft / "container.json", asdict(container))
            Folder(draft).write_state(State(container.id))
            self._make_programs(Folder(draft).programs)
            draft.rename(folder.path)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if folder.path.exists():
                raise EngineError(
                    f"cannot start the process {container.name}: the name is in use"
                ) from error
            trouble = file_error(error)
            raise EngineError(
                f"cannot start the process {container.name}: {trouble.message}",
                hint=trouble.hint,
            ) from error
        return folder

    def find(self, name: str, container_id: str) -> tuple[Folder, State] | None:
        """The folder of exactly that container and how it is doing; None once it is gone."""
        folder = Folder(self.root / name)
        state = folder.state()
        return (folder, state) if state is not None and state.id == container_id else None

    def all(self) -> Iterator[Container]:
        """Every container there is."""
        if not self.root.is_dir():
            return
        for path in sorted(self.root.iterdir()):
            if not path.name.startswith("."):
                container = Folder(path).container()
                if container is not None:
                    yield container

    def discard(self, folder: Folder) -> None:
        """Remove a folder; idempotent."""
        # At once: half a folder must never look like a container.
        trash = self.root / f".old-{uuid.uuid4().hex}"
        try:
            folder.path.rename(trash)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)

    def tidy(self) -> None:
        """Clear away what was cut while it was made or removed."""
        for trash in self.root.glob(".old-*"):
            shutil.rmtree(trash, ignore_errors=True)
        for draft in self.root.glob(".new-*"):
            maker = draft.name.split("-")[1]
            if not maker.isdecimal() or process_start(int(maker)) is None:
                shutil.rmtree(draft, ignore_errors=True)

    def prepare(self) -> None:
        """Make the folder of all. Raises `EngineUnavailable` if it is not ours alone."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.root.stat()
        except OSError as error:
            trouble = file_error(error)
            raise EngineUnavailable(
                f"the local engine {trouble.message}", hint=trouble.hint
            ) from error
        if found.st_uid != os.geteuid():
            raise EngineUnavailable(
                f"the local engine cannot use {self.root}: it belongs to {user_name(found.st_uid)}",
                hint=hint_for(self.root, cause=self.root),
            )
        if found.st_mode & 0o077:
            raise EngineUnavailable(
                f"other users may enter {self.root}",
                hint=f"make it yours alone: chmod 700 {shlex.quote(str(self.root))}",
            )

    def _make_programs(self, folder: Path) -> None:
        # A link would not do: Python finds its virtual environment by the path it is called by.
        folder.mkdir()
        program = folder / "python3"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(self.python)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)


def _load(path: Path, kind: type[T]) -> T | None:
    try:
        return read_as(kind, path)
    except ValueError as error:
        raise EngineError(
            f"{path} is not what the local engine wrote: {error}",
            hint=f"end what runs there by hand and remove {path.parent}",
        ) from error


def _store(path: Path, document: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(path)
